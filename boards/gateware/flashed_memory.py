"""An SDRAM, of whatever kind, that begins with what a flash holds."""

from amaranth.hdl import Cat, Const, Module, ResetInserter, Signal, Value, unsigned
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ...arch.config import Bus
from ...hdl.axi import axi4_read, axi4_write
from ...hdl.common import address_bits, bits_for
from ..boot import ENTRY_FIELDS, SEND
from .copier import Copier
from .flash import FlashReader

FLASH_PINS = {"clock": Out(1), "cs": Out(1), "copi": Out(1), "cipo": In(1)}
"""Of the flash, 1 for asserted; `cipo` behind a register at the pad."""


class FlashedMemory(wiring.Component):
    """SDRAM behind an AXI4 port that answers once a file from a flash has been copied into it.

    A byte takes 16 cycles. If there is no file, or a damaged one, or if the SDRAM cannot be used, reads get a boot list
    instead of the memory's: bytes that the console is to send, which say so, and behind the last one no answer, so that
    it does not go on.

    Parameters
    ----------
    sdram : wiring.Component
        `Sdram` or `Ddr3`, of the same bus. Becomes a part of it. Its `failure` says what its `failed` means; None if
        it has none.
    bus : Bus
    flash_offset : int
        Where the file begins in the flash.

    Members
    -------
    hold : In(1), keeps all of it in reset
    reads : In(axi4_read), writes : In(axi4_write); ids have one bit
    ready : Out(1), the file has been copied; failed : Out(1), it was not and will not be
    pads : the SDRAM's; flash : `FLASH_PINS`
    """

    def __init__(self, sdram: wiring.Component, *, bus: Bus, flash_offset: int) -> None:
        self.sdram, self.bus = sdram, bus
        ports = {"data_bits": bus.data_bits, "address_bits": bus.address_bits}
        self.reader = FlashReader(start=flash_offset)
        self.copier = Copier(capacity=sdram.capacity, **ports)
        causes = [
            f"no model in flash at {flash_offset:#x}: write one, then reset",
            f"model in flash at {flash_offset:#x} is damaged: write it again, then reset",
            *([] if sdram.failure is None else [sdram.failure]),
        ]
        self.texts = [f"\r\n{cause}\0".encode() for cause in causes]
        super().__init__(
            {
                "hold": In(1),
                "reads": In(axi4_read(**ports, id_bits=1)),
                "writes": In(axi4_write(**ports, id_bits=1)),
                "ready": Out(1),
                "failed": Out(1),
                "pads": Out(sdram.pads.signature),
                "flash": Out(wiring.Signature(FLASH_PINS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sdram, reader, copier = self.sdram, self.reader, self.copier
        for name, part in {"sdram": sdram, "reader": reader, "copier": copier}.items():
            m.submodules[name] = ResetInserter(self.hold)(part)
        wiring.connect(m, reader.o, copier.i)
        wiring.connect(m, sdram.pads, wiring.flipped(self.pads))
        m.d.comb += [
            self.ready.eq(copier.done),
            self.failed.eq(copier.failed | self._sdram_failed),
            *(getattr(self.flash, name).eq(getattr(reader, name)) for name in ("clock", "cs", "copi")),
            reader.cipo.eq(self.flash.cipo),
        ]
        self._share_writes(m)
        self._answer(m)
        return m

    @property
    def _sdram_failed(self) -> Value:
        return Const(0) if self.sdram.failure is None else self.sdram.failed

    def _share_writes(self, m: Module) -> None:
        """The copier's until it is done."""
        to, ours, its = self.sdram.writes, self.writes, self.copier.writes
        for name, member in to.signature.members.items():
            if member.flow is In:
                m.d.comb += getattr(to, name).eq(getattr(its, name))
                with m.If(self.copier.done):
                    m.d.comb += getattr(to, name).eq(getattr(ours, name))
            elif name in ("bid", "bresp"):
                m.d.comb += getattr(ours, name).eq(getattr(to, name))
            else:
                m.d.comb += [
                    getattr(its, name).eq(getattr(to, name) & ~self.copier.done),
                    getattr(ours, name).eq(getattr(to, name) & self.copier.done),
                ]

    def _answer(self, m: Module) -> None:
        """Reads, once it is known who answers them: the SDRAM or a text, whose end gets no answer."""
        to, ours, copier = self.sdram.reads, self.reads, self.copier
        rom = b"".join(self.texts)
        m.submodules.texts = texts = memory.Memory(shape=unsigned(8), depth=len(rom), init=list(rom))
        character = texts.read_port(domain="comb")
        begin, place = Signal(address_bits(len(rom))), Signal(address_bits(len(rom)))
        taken, answered, axi_id = Signal(), Signal(), Signal()
        # Registers: the accelerator, to which reads go, may be far away.
        done, failed = Signal(), Signal()
        m.d.sync += [done.eq(copier.done), failed.eq(self.failed)]
        with m.If(self._sdram_failed):
            m.d.comb += begin.eq(len(self.texts[0] + self.texts[1]))
        with m.Elif(copier.damaged):
            m.d.comb += begin.eq(len(self.texts[0]))
        m.d.comb += character.addr.eq(place)
        for name, member in to.signature.members.items():
            target, source = (to, ours) if member.flow is In else (ours, to)
            m.d.comb += getattr(target, name).eq(getattr(source, name))
        with m.If(~done):
            m.d.comb += [to.arvalid.eq(0), ours.arready.eq(0)]
        with m.If(failed):
            m.d.comb += [
                ours.arready.eq(~taken),
                ours.rvalid.eq(answered),
                ours.rid.eq(axi_id),
                ours.rlast.eq(1),
                ours.rdata.eq(Cat(character.data, Const(SEND << (ENTRY_FIELDS["value"] - 8)))),
            ]
            with m.If(~taken):
                address = ours.araddr[bits_for(self.bus.data_bits // 8) :]
                m.d.sync += [taken.eq(ours.arvalid), place.eq(begin + address), axi_id.eq(ours.arid)]
            with m.Elif(~answered):
                m.d.sync += answered.eq(character.data != 0)
            with m.Elif(ours.rready):
                m.d.sync += [taken.eq(0), answered.eq(0)]
