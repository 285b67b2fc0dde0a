"""Which parameter of the config shortens a critical path."""

from ..arch.config import AcceleratorConfig
from ..arch.pipeline import FAMILIES
from .timing import CriticalPath
from .units import Unit

WIRES = 0.6
"""Share of a path above which it is a matter of placement rather than of logic."""


def hint(unit: Unit, path: CriticalPath, config: AcceleratorConfig) -> str:
    """What a user can change about a path: parameters that the unit's widths and depths come from, if it has any."""
    ways = []
    if unit.widths:
        ways.append(f"smaller {' or '.join(unit.widths)}: widths and depths of this unit come from there")
    faster = _faster(config) if unit.pipelined else None
    if faster:
        ways.append(f"{faster}: it gets more registers")
    same = "it has the most registers that a config gives it" if unit.pipelined else "it is the same in every config"
    advice = "; ".join(ways) or f"no parameter: {same}, a faster one needs another pipeline stage"
    share = path.routing_ns / path.delay_ns
    if share < WIRES:
        return advice
    return f"{share:.0%} of it is wires, which a smaller unit shortens; {advice}"


def _faster(config: AcceleratorConfig) -> str | None:
    """The fields that give a unit more registers; None where the clock is the fastest of its family."""
    family = FAMILIES.get(config.control.family)
    if family is None:
        return f"a control.family ({', '.join(FAMILIES)}) and a higher control.clock_mhz"
    if config.control.clock_mhz >= family.fastest_mhz:
        return None
    return f"a higher control.clock_mhz (at most {family.fastest_mhz:g})"
