"""The on-chip memories of the golden machine, with addresses, so that overlapping tensors show up as wrong results.

What nothing has written in the current pass cannot be read: that would be a bug of the compiler.
"""

import numpy as np

from ..arch.config import AcceleratorConfig
from ..arch.formats import BLOCK
from ..arch.layout import ceil_div
from .errors import UnwrittenRead
from .numerics import Floats, Words

_UNWRITTEN = 1 << 14
"""An exponent that no block has."""


class AddressRange(ValueError):
    """A tensor does not fit the memory that it is addressed in."""


class FloatMemory:
    """The scratchpad or the parameter memory: words of V float32. NaN marks what was never written."""

    def __init__(self, name: str, words: int, lanes: int) -> None:
        self.name, self.lanes = name, lanes
        self.data = np.full(words * lanes, np.nan, np.float32)

    def clear(self) -> None:
        """Forget everything."""
        self.data.fill(np.nan)

    def rows(self, word: int, rows: int, width: int, pitch: int) -> Floats:
        """A view [rows, width] of a tensor at `word` with `pitch` words a row.

        Raises:
            AddressRange: it does not fit.
        """
        start, step = word * self.lanes, pitch * self.lanes
        if start + (rows - 1) * step + width > len(self.data):
            raise AddressRange(f"{self.name} word {word}: {rows} rows of {width} float32, {pitch} words apart")
        size = self.data.itemsize
        return np.lib.stride_tricks.as_strided(self.data[start:], (rows, width), (step * size, size))

    def read(self, word: int, rows: int, width: int, pitch: int) -> Floats:
        """A copy of a tensor.

        Raises:
            AddressRange: it does not fit.
            UnwrittenRead: part of it was not written in this pass.
        """
        result = self.rows(word, rows, width, pitch).copy()
        if np.isnan(result).any():
            row, lane = np.argwhere(np.isnan(result))[0]
            raise UnwrittenRead(f"{self.name} word {word}: row {row}, element {lane} of [{rows}, {width}]")
        return result


class ActivationMemory:
    """Words of one quantized block in each of R banks; row r of a tensor of k blocks: bank r mod R, group r div R."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.banks = config.array.rows
        words = config.vector.activation_words
        self.q = np.zeros((words, self.banks, BLOCK), np.int16)
        self.exponents = np.full((words, self.banks), _UNWRITTEN, np.int16)

    def clear(self) -> None:
        """Forget everything."""
        self.exponents.fill(_UNWRITTEN)

    def _check(self, word: int, rows: int, blocks: int) -> int:
        groups = ceil_div(rows, self.banks)
        if word + groups * blocks > len(self.q):
            raise AddressRange(f"activation memory word {word}: {rows} rows of {blocks} blocks")
        return groups

    def write(self, word: int, q: Words, exponents: Words) -> None:
        """Store q int16 [rows, blocks, 32] and exponents [rows, blocks] at `word`.

        Raises:
            AddressRange: they do not fit.
        """
        rows, blocks, _ = q.shape
        self._check(word, rows, blocks)
        group, bank = np.divmod(np.arange(rows), self.banks)
        address = word + group[:, None] * blocks + np.arange(blocks)
        self.q[address, bank[:, None]] = q
        self.exponents[address, bank[:, None]] = exponents

    def read(self, word: int, rows: int, blocks: int) -> tuple[Words, Words]:
        """The inverse of `write`.

        Raises:
            AddressRange: the tensor does not fit.
            UnwrittenRead: part of it was not written in this pass.
        """
        groups = self._check(word, rows, blocks)
        part = slice(word, word + groups * blocks)
        q = self.q[part].reshape(groups, blocks, self.banks, BLOCK).swapaxes(1, 2).reshape(-1, blocks, BLOCK)[:rows]
        exponents = self.exponents[part].reshape(groups, blocks, self.banks).swapaxes(1, 2).reshape(-1, blocks)[:rows]
        if (exponents == _UNWRITTEN).any():
            row, block = np.argwhere(exponents == _UNWRITTEN)[0]
            raise UnwrittenRead(f"activation memory word {word}: row {row}, block {block} of [{rows}, {blocks}]")
        return q, exponents


class OnChip:
    """The memories that belong to one chunk: scratchpad, parameter memory, activation memory."""

    def __init__(self, config: AcceleratorConfig) -> None:
        vector = config.vector
        self.scratchpad = FloatMemory("scratchpad", vector.scratchpad_words, vector.lanes)
        self.parameters = FloatMemory("parameter memory", vector.parameter_words, vector.lanes)
        self.activations = ActivationMemory(config)

    def clear(self) -> None:
        """Forget everything."""
        for memory in (self.scratchpad, self.parameters, self.activations):
            memory.clear()
