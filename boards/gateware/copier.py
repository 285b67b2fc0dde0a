"""From the bytes of a flash into a memory, with a check of every one."""

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from ...hdl.axi import BURST_INCR, axi4_write
from ...hdl.common import bits_for
from ..boot import MAGIC


class Copier(wiring.Component):
    """Takes a file as `boot.flash_file` makes it and writes its content from address 0 on, a beat at a time.

    Takes a byte a cycle, and none for some cycles after the last one of a beat while that is written. Ends with `done`,
    behind the last response and only if the checksum is right, or with `failed`.

    Parameters
    ----------
    data_bits, address_bits : int
        Of the memory's port.
    capacity : int
        Bytes of the memory.

    Members
    -------
    i : In(stream.Signature(8))
    writes : Out(axi4_write), single beats; ids have one bit
    done : Out(1); failed : Out(1); damaged : Out(1), there is a file, but its checksum or its length is wrong
    """

    def __init__(self, *, data_bits: int, address_bits: int, capacity: int) -> None:
        self.data_bits, self.capacity = data_bits, capacity
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(8))),
                "writes": Out(axi4_write(address_bits=address_bits, data_bits=data_bits, id_bits=1)),
                "done": Out(1),
                "failed": Out(1),
                "damaged": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        writes, beat_bytes = self.writes, self.data_bits // 8
        shift = bits_for(beat_bytes)
        beat, behind = Signal(self.data_bits), Signal(self.data_bits)
        lane = Signal(shift)
        full = Signal()
        length, left = Signal(32), Signal(bits_for(self.capacity // beat_bytes + 1))
        checksum = Signal(32)
        m.submodules.crc = crc = CRC32_ISO_HDLC(data_width=8).create()
        taking = Signal()
        m.d.comb += [
            behind.eq(Cat(beat[8:], self.i.payload)),
            length.eq(behind[:32]),
            self.i.ready.eq(taking),
            full.eq(self.i.valid & taking & lane.all()),
            crc.data.eq(self.i.payload),
            writes.awsize.eq(shift),
            writes.awburst.eq(BURST_INCR),
            writes.wdata.eq(beat),
            writes.wstrb.eq(~0),
            writes.wlast.eq(1),
            writes.bready.eq(1),
        ]
        with m.If(self.i.valid & taking):
            m.d.sync += [beat.eq(behind), lane.eq(lane + 1)]
        for channel in ("aw", "w"):
            with m.If(getattr(writes, f"{channel}ready")):
                m.d.sync += getattr(writes, f"{channel}valid").eq(0)
        with m.FSM(name="copier"):
            with m.State("Take Magic"):
                m.d.comb += taking.eq(1)
                with m.If(full):
                    m.next = "Take Length"
                    with m.If(behind[:64] != int.from_bytes(MAGIC, "little")):
                        m.next = "Fail"
            with m.State("Take Length"):
                m.d.comb += [taking.eq(1), crc.start.eq(1)]
                m.d.sync += [left.eq(length[shift:]), checksum.eq(behind[32:64])]
                with m.If(full):
                    m.next = "Take Beat"
                    with m.If((length > self.capacity) | (length[:shift] != 0) | (length == 0)):
                        m.d.sync += self.damaged.eq(1)
                        m.next = "Fail"
            with m.State("Take Beat"):
                m.d.comb += [taking.eq(1), crc.valid.eq(self.i.valid)]
                with m.If(full):
                    m.d.sync += [writes.awvalid.eq(1), writes.wvalid.eq(1), left.eq(left - 1)]
                    m.next = "Write Beat"
            with m.State("Write Beat"):
                with m.If(writes.bvalid):
                    m.d.sync += writes.awaddr.eq(writes.awaddr + beat_bytes)
                    m.next = "Take Beat"
                    with m.If(left == 0):
                        m.next = "Check"
            with m.State("Check"):
                m.next = "Succeed"
                with m.If(crc.crc != checksum):
                    m.d.sync += self.damaged.eq(1)
                    m.next = "Fail"
            with m.State("Succeed"):
                m.d.sync += self.done.eq(1)
            with m.State("Fail"):
                m.d.sync += self.failed.eq(1)
        return m
