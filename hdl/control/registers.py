"""The AXI4-Lite register block, built from `arch.registers`."""

from amaranth import C, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...arch.registers import Field, Register, registers
from ..axi import axi4_lite

ADDRESS_BITS = 12
"""Address bits of the register space: 4 KiB."""

GROUP_BITS = 5
"""Address bits of the registers of which one is chosen in a cycle: 8 of them."""


class LitePort(wiring.Component):
    """AXI4-Lite subordinate to one access at a time: strobes for the registers, a registered address.

    A write takes three cycles, a read four (the address is stable for two cycles before the data is taken, so that
    there can be a register on its way). Byte strobes are not supported by the registers: a write with a partial strobe
    is an SLVERR.

    Members:
        bus : In(axi4_lite), the port.
        address : Out(12), of the access. write_data : Out(32).
        write, read : Out(1), pulse when the access happens. read_data : In(32), valid the cycle `read` is high.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "bus": In(axi4_lite(address_bits=ADDRESS_BITS)),
                "address": Out(ADDRESS_BITS),
                "write_data": Out(32),
                "write": Out(1),
                "read": Out(1),
                "read_data": In(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus = self.bus
        whole = Signal()
        with m.FSM():
            with m.State("Idle"):
                with m.If(bus.awvalid & bus.wvalid):
                    m.d.comb += [bus.awready.eq(1), bus.wready.eq(1)]
                    m.d.sync += [self.address.eq(bus.awaddr), self.write_data.eq(bus.wdata), whole.eq(bus.wstrb.all())]
                    m.next = "Write"
                with m.Elif(bus.arvalid):
                    m.d.comb += bus.arready.eq(1)
                    m.d.sync += self.address.eq(bus.araddr)
                    m.next = "Look Up"
            with m.State("Write"):
                m.d.comb += self.write.eq(whole)
                m.d.sync += bus.bresp.eq(~whole << 1)
                m.next = "Write Response"
            with m.State("Write Response"):
                m.d.comb += bus.bvalid.eq(1)
                with m.If(bus.bready):
                    m.next = "Idle"
            with m.State("Look Up"):
                m.next = "Choose"
            with m.State("Choose"):
                m.next = "Read"
            with m.State("Read"):
                m.d.comb += self.read.eq(1)
                m.d.sync += bus.rdata.eq(self.read_data)
                m.next = "Read Response"
            with m.State("Read Response"):
                m.d.comb += bus.rvalid.eq(1)
                with m.If(bus.rready):
                    m.next = "Idle"
        return m


def member(register: Register, field: Field) -> str:
    """The port of a field: `register` for its only field, `register_field` otherwise, in lower case."""
    name = register.name.lower()
    return name if len(register.fields) == 1 else f"{name}_{field.name}"


class RegisterBlock(wiring.Component):
    """Every register of the map behind an AXI4-Lite port.

    Members:
        bus : In(axi4_lite).
        Per field, named by `member`: Out(width) where the block stores or pulses it; In(width) where hardware does;
        `<name>_set` : In(1) for write-one-to-clear bits; `<name>_load`, `<name>_value` where hardware may load it too.
        write, read : Out(1), an access to `address` happens this cycle; a stored field has its new value the next one.
        address : Out(12). written : Out(32), the value of a write.
    """

    def __init__(self) -> None:
        ports: dict[str, object] = {
            "bus": In(axi4_lite(address_bits=ADDRESS_BITS)),
            "address": Out(ADDRESS_BITS),
            "written": Out(32),
            "write": Out(1),
            "read": Out(1),
        }
        for register in registers():
            for field in register.fields:
                name = member(register, field)
                if not field.stored:
                    ports[name] = In(field.width)
                elif field.write_one_clears:
                    ports[f"{name}_set"] = In(1)
                    ports[name] = Out(1)
                else:
                    ports[name] = Out(field.width, init=field.reset)
                if field.hardware_writes:
                    ports[f"{name}_load"] = In(1)
                    ports[f"{name}_value"] = In(field.width)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.port = port = LitePort()
        connect(m, flipped(self.bus), port.bus)
        m.d.comb += [
            self.address.eq(port.address),
            self.written.eq(port.write_data),
            self.write.eq(port.write),
            self.read.eq(port.read),
        ]
        m.d.comb += port.read_data.eq(self._chosen(m, port.address))
        for register in registers():
            selected = port.write & (port.address == register.offset)
            for field in register.fields:
                self._store(m, register, field, selected, port.write_data)
        return m

    def _chosen(self, m: Module, address: Signal) -> Signal:
        """The register at an address that was the same in the cycle before: one of every group, then one of the groups.

        The registers are thousands of bits all over a chip; a multiplexer in one piece would draw them to one place.
        """
        groups: dict[int, list[Register]] = {}
        for register in registers():
            groups.setdefault(register.offset >> GROUP_BITS, []).append(register)
        chosen = Signal(32)
        for number, members in groups.items():
            value = Signal(32, name=f"group_{number}", reset_less=True)
            m.d.sync += value.eq(0)
            with m.Switch(address[:GROUP_BITS]):
                for register in members:
                    with m.Case(register.offset % (1 << GROUP_BITS)):
                        m.d.sync += value.eq(self._read_value(register))
            with m.If(address[GROUP_BITS:] == number):
                m.d.comb += chosen.eq(value)
        return chosen

    def _read_value(self, register: Register) -> object:
        parts, low = [], 0
        for field in register.fields:
            value = getattr(self, member(register, field))
            parts += [C(0, field.low - low), C(0, field.width) if field.pulse else value]
            low = field.low + field.width
        return Cat(*parts)

    def _store(self, m: Module, register: Register, field: Field, selected: object, data: Signal) -> None:
        if not field.stored:
            return
        name = member(register, field)
        value = getattr(self, name)
        bits = data[field.low : field.low + field.width]
        if field.pulse:
            m.d.sync += value.eq(0)
        if field.hardware_writes:
            with m.If(getattr(self, f"{name}_load")):
                m.d.sync += value.eq(getattr(self, f"{name}_value"))
        if field.write_one_clears:
            with m.If(getattr(self, f"{name}_set")):
                m.d.sync += value.eq(1)
            with m.Elif(selected & bits):
                m.d.sync += value.eq(0)
        elif field.writable:
            with m.If(selected):
                m.d.sync += value.eq(bits)
