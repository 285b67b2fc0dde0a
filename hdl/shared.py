"""Data units that a design contains hundreds of times are emitted once.

Amaranth makes a module of every instance. With a `Library` as the platform, a component whose class is `shared` becomes
an instance of one module for all of its kind: large arrays generate several times faster, and the Verilog says
`float_add` where it adds. Without one (benches of units, Amaranth's simulator) nothing changes.
"""

import re
from collections.abc import Callable, Hashable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from amaranth.back import verilog
from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

Unit = TypeVar("Unit", bound=type[wiring.Component])
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Library:
    """The shared modules of one design, in the order of their first use.

    Two components are the same module if their class and the arguments that made them, given or not, are equal.
    """

    def __init__(self) -> None:
        self._names: dict[Hashable, str] = {}
        self._waiting: list[tuple[str, wiring.Component, Callable[..., Any]]] = []

    def instance(self, component: wiring.Component, kind: Hashable, build: Callable[..., Any]) -> Instance:
        """The component as an instance of its kind's module."""
        if kind not in self._names:
            stem = _WORD.sub("_", type(component).__name__).lower()
            number = sum(name.rstrip("0123456789_") == stem for name in self._names.values())
            self._names[kind] = f"{stem}_{number + 1}" if number else stem
            self._waiting.append((self._names[kind], component, build))
        connections = {f"{flow}_{signal.name}": signal for signal, flow in _ports(component)}
        return Instance(self._names[kind], i_clk=ClockSignal(), **connections)

    def verilog(self) -> list[str]:
        """Verilog of each module; emitting one may find others that it contains."""
        texts = []
        while self._waiting:
            name, component, build = self._waiting.pop(0)
            body = _Body(component, build)
            ports = [*(signal for signal, _ in _ports(component)), body.domain.clk]
            texts.append(verilog.convert(body, name, self, ports=ports, emit_src=False, strip_internal_attrs=True))
        return texts


class _Body(Elaboratable):
    """What is inside a shared module. Its clock domain has no reset: only data is in there."""

    def __init__(self, component: wiring.Component, build: Callable[..., Any]) -> None:
        self.component, self.build = component, build
        self.domain = ClockDomain("sync", reset_less=True)

    def elaborate(self, platform: object) -> Module:
        m: Module = self.build(self.component, platform)
        m.domains.sync = self.domain
        return m


def shared(unit: Unit) -> Unit:
    """Class decorator: emit the unit once for all instances that are made with equal arguments.

    For units without control state: their registers get no reset, and `ResetInserter` around them does not reach
    inside. Arguments must be hashable.
    """
    construct, build = unit.__init__, unit.elaborate
    parameters = signature(construct)

    @wraps(construct)
    def __init__(self: wiring.Component, *args: Any, **kwargs: Any) -> None:
        construct(self, *args, **kwargs)
        given = parameters.bind(self, *args, **kwargs)
        given.apply_defaults()
        self._kind = (unit, *list(given.arguments.values())[1:])

    @wraps(build)
    def elaborate(self: wiring.Component, platform: object) -> Elaboratable:
        if isinstance(platform, Library):
            return platform.instance(self, self._kind, build)
        return build(self, platform)

    unit.__init__, unit.elaborate = __init__, elaborate
    return unit


def _ports(component: wiring.Component) -> list[tuple[Signal, str]]:
    """Ports, each with the letter that begins its name in an `Instance`."""
    members = component.signature.flatten(component)
    return [(Value.cast(value), "i" if member.flow is In else "o") for _, member, value in members]
