"""What SerialSum relies on, over all states that any pace of inputs reaches: a model of who waits for the adder."""

from __future__ import annotations

import pytest

from celosia.hdl.arithmetic.serial_sum import SerialSum

APART = 20
"""Trees that are further apart count as this."""

State = tuple[bool, tuple[bool, ...], int, tuple[int, ...], int]
"""Whether a left input waits; left operands of levels 1 on; pairs that wait; what additions make, the oldest first;
cycles since a tree was complete."""


def _step(state: State, comes: bool, levels: int, total: bool) -> tuple[State, int]:
    """The state a cycle later, and cycles since the last tree if one is complete in this cycle, else APART."""
    left, held, waiting, making, since = state
    made, apart, goal = making[0], APART, 0
    since = min(APART, since + 1)
    if made == levels:
        apart, since, goal = since, 0, levels + 1 if total else 0
    elif 0 < made < levels:
        goal = made + 1 if held[made - 1] else 0
        held = (*held[: made - 1], not held[made - 1], *held[made:])
    if not goal and waiting:
        goal, waiting = 1, waiting - 1
    waiting += comes and left
    return (left != comes, held, waiting, (*making[1:], goal), since), apart


@pytest.mark.parametrize(("levels", "total", "apart"), [(3, False, 7), (4, True, 14)])
def test_the_queue_is_never_full_and_totals_are_back(levels: int, total: bool, apart: int) -> None:
    """Two pairs wait at most. `FloatAdd.latency` cycles between sums are what RowSum needs, `latency` + 1 a total."""
    first: State = (False, (False,) * (levels - 1), 0, (0,) * SerialSum.latency, APART)
    seen, left = {first}, [first]
    most, least = 0, APART
    while left:
        state = left.pop()
        for comes in (False, True):
            following, since = _step(state, comes, levels, total)
            most, least = max(most, following[2]), min(least, since)
            if following not in seen and following[2] < 4:
                seen.add(following)
                left.append(following)
    assert (most, least) == (2, apart)
