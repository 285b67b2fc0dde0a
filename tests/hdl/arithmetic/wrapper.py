"""All blocks in one design, since a build costs more than a bench."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Shape, Value, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


def ports(component: wiring.Component, flow: wiring.Flow) -> dict[str, Shape]:
    """Ports of a block in one direction, without `en`, lowest bits first."""
    return {
        name: Shape.cast(member.shape)
        for name, member in component.signature.members.items()
        if member.flow == flow and name != "en"
    }


class Blocks(wiring.Component):
    """Each block's inputs as one port ``<name>_i`` and its outputs as one port ``<name>_o``; `en` goes to all."""

    def __init__(self, blocks: dict[str, wiring.Component]) -> None:
        self.blocks = blocks
        members = {"en": In(1)}
        for name, block in blocks.items():
            members[f"{name}_i"] = In(unsigned(sum(shape.width for shape in ports(block, In).values())))
            members[f"{name}_o"] = Out(unsigned(sum(shape.width for shape in ports(block, Out).values())))
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for name, block in self.blocks.items():
            m.submodules[name] = block
            inputs = Cat(Value.cast(getattr(block, port)) for port in ports(block, In))
            outputs = Cat(Value.cast(getattr(block, port)) for port in ports(block, Out))
            m.d.comb += [
                block.en.eq(self.en),
                inputs.eq(getattr(self, f"{name}_i")),
                getattr(self, f"{name}_o").eq(outputs),
            ]
        return m
