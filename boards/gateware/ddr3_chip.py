"""The chip of DDR3 that boards of this kind have, 4 Gbit: 8 banks of 32768 rows of 1024 words of 16 bits.

It is used without its DLL (JEDEC JESD79-3F, 4.5), which needs 300 MHz: up to 125 MHz, both latencies 6, no termination.
What is read then comes a cycle early and up to 10 ns behind the clock, which reading has to find out anyway.
"""

from math import ceil

DATA_BITS, ROW_BITS, BANK_BITS, COLUMN_BITS = 16, 15, 3, 10
LANES = DATA_BITS // 8
"""Bytes, each with a strobe of its own."""

ADDRESS_BITS = ROW_BITS + BANK_BITS + COLUMN_BITS + 1
"""Of a byte."""

CAPACITY = 1 << ADDRESS_BITS
"""Bytes."""

LATENCY = 6
"""Cycles of its clock from a command to its data, the only one without the DLL, for reads and writes."""

BURST = 8
"""Words."""

PHASES = 2
"""Cycles of its clock in one of ours."""

FASTEST_HZ = 125e6
"""Its clock without the DLL."""

# Slowest of the grades of MT41K256M16 and of chips like it, in ns.
PRECHARGE_NS, ACTIVATE_NS, WRITTEN_NS, ROW_NS, FOUR_ROWS_NS, REFRESH_NS = 15.0, 15.0, 15.0, 37.5, 50.0, 300.0
"""From a precharge to the next command of the bank; from a row's opening to its use; from the last word written to a
precharge; a row stays open; four rows are opened in; from a refresh to the next command."""

MODES = (
    (2, (LATENCY - 5) << 3),
    (3, 0),
    # No DLL, 34 ohm, no termination.
    (1, 0b000011),
    # Bursts of 8, latency 6, 5 cycles from the last word written to an automatic precharge, at least.
    (0, 0b001 << 9 | (LATENCY - 4) << 4),
)
"""Mode registers in the order in which they are written, and their content."""


def cycles(nanoseconds: float, clock_hz: float) -> int:
    """Of our clock, at least."""
    return ceil(nanoseconds * clock_hz / 1e9 - 1e-6)
