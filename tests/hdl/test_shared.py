"""Units that are emitted once."""

import re

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from celosia.arch.config import load_config
from celosia.hdl.arithmetic.add import FloatAdd
from celosia.hdl.arithmetic.fixed import FixedToFloat
from celosia.hdl.shared import Library
from celosia.hdl.verilog import accelerator_verilog


class Both(wiring.Component):
    """Two adders and two converters of different widths, in a domain that is called otherwise."""

    def __init__(self) -> None:
        super().__init__({"a": In(32), "n": In(8), "sum": Out(32), "difference": Out(32), "x": Out(32), "y": Out(32)})

    def elaborate(self, platform: object) -> Elaboratable:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.plus, m.submodules.minus = plus, minus = FloatAdd(), FloatAdd(positive=False)
        m.submodules.narrow, m.submodules.wide = narrow, wide = FixedToFloat(width=8), FixedToFloat(width=9)
        m.d.comb += [
            *(unit.en.eq(1) for unit in (plus, minus, narrow, wide)),
            *(port.eq(self.a) for port in (plus.a, plus.b, minus.a, minus.b)),
            minus.sub.eq(1),
            narrow.n.eq(self.n),
            wide.n.eq(self.n),
            self.sum.eq(plus.o),
            self.difference.eq(minus.o),
            self.x.eq(narrow.o),
            self.y.eq(wide.o),
        ]
        return m


def test_equal_units_share_a_module_and_others_do_not() -> None:
    library = Library()
    top = verilog.convert(Both(), "both", library, emit_src=False)
    modules = [re.findall(r"^module (\S+?)\(", text.replace(" (", "("), re.MULTILINE) for text in library.verilog()]
    assert modules == [["float_add"], ["fixed_to_float"], ["fixed_to_float_2"]]
    assert set(re.findall(r"^  (float_add|fixed_to_float\w*) (\w+)", top, re.MULTILINE)) == {
        ("float_add", "plus"),
        ("float_add", "minus"),
        ("fixed_to_float", "narrow"),
        ("fixed_to_float_2", "wide"),
    }


def test_without_a_library_every_unit_is_a_module() -> None:
    text = verilog.convert(Both(), "both", emit_src=False)
    assert len(re.findall(r"^module ", text, re.MULTILINE)) == 5


def test_shared_modules_have_data_only() -> None:
    """No reset inside, and no handshake at the ports: what must be forgotten with `clear` cannot be in there."""
    text = accelerator_verilog(load_config("ecp5"))
    modules = dict(re.findall(r"^module (\S+) ?\((.*?)\);.*?^endmodule", text, re.MULTILINE | re.DOTALL))
    shared = {name: ports for name, ports in modules.items() if not name.startswith("\\top") and name != "top"}
    assert {"float_add", "accumulator", "scratchpad"} <= set(shared)
    for name, ports in shared.items():
        assert not {"rst", "valid", "ready"} & set(re.split(r"\W+|__", ports)), name
