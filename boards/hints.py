"""Which parameter of the config shortens a critical path."""

from .timing import CriticalPath
from .units import Unit

WIRES = 0.6
"""Share of a path above which it is a matter of placement rather than of logic."""


def hint(unit: Unit, path: CriticalPath) -> str:
    """What a user can change about a path: parameters that the unit's widths and depths come from, if it has any."""
    ways = []
    if unit.widths:
        ways.append(f"smaller {' or '.join(unit.widths)}: widths and depths of this unit come from there")
    if unit.pipelined:
        ways.append("a higher control.clock_mhz, with a control.family: it gets more registers")
    nothing = "no parameter: this unit is the same in every config, a faster one needs another pipeline stage"
    advice = "; ".join(ways) or nothing
    share = path.routing_ns / path.delay_ns
    if share < WIRES:
        return advice
    return f"{share:.0%} of it is wires, which a smaller unit shortens; {advice}"
