"""The chip of SDR SDRAM that boards of this kind have: 4 banks of 8192 rows of 512 words of 16 bits.

One with more columns is used as far as these reach.
"""

DATA_BITS, ROW_BITS, BANK_BITS, COLUMN_BITS = 16, 13, 2, 9

ADDRESS_BITS = ROW_BITS + BANK_BITS + COLUMN_BITS + 1
"""Of a byte."""

CAPACITY = 1 << ADDRESS_BITS
"""Bytes."""

CAS_LATENCY = 2
"""Cycles from a read to its data at the chip; all chips manage two up to 100 MHz."""
