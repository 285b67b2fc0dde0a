"""The three simulators whose speed is compared simulate the same: how fast is not asserted, other work moves that."""

from .speed import SIMULATORS


def test_three_simulators() -> None:
    """Tokens, candidates, every counter of the hardware, the cycles of the job among them, and what is in memory."""
    legs = {name: run(0.0) for name, run in SIMULATORS.items()}
    first = legs["RtlDevice"].result
    assert first["counters"]["cycles"] > 1000
    assert {name: leg.result for name, leg in legs.items()} == dict.fromkeys(legs, first)
    assert len({leg.memory for leg in legs.values()}) == 1
