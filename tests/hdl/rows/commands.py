"""Random LOAD_ROWS and STORE_ROWS, and the bytes that are meant."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from celosia.arch.config import AcceleratorConfig, derive
from celosia.arch.isa import Instruction, Opcode


@dataclass(frozen=True)
class Rows:
    """One command. `word`: of the scratchpad, the first."""

    opcode: Opcode
    rows: int
    token: int
    n: int
    word: int
    base: int
    stride: int

    @classmethod
    def choose(cls, random: Random, config: AcceleratorConfig, opcode: Opcode, **fields: int) -> Rows:
        """Rows that lie apart in memory, and in the scratchpad where there is room."""
        beat, lanes = derive(config).bus_bytes, config.vector.lanes
        words = config.vector.scratchpad_words
        rows = fields.get("rows", random.randint(1, config.vector.chunk))
        n = fields.get("n", 32 * random.randint(1, min(8, words * lanes // (32 * rows))))
        stride = max(4 * n, beat) + beat * random.randrange(40)
        word = random.randrange(words - rows * n // lanes + 1)
        token = fields.get("token", random.choice([0, 1, random.randrange(1000)]))
        return cls(opcode, rows, token, n, word, beat * random.randrange(100), stride)

    def offset(self, row: int) -> int:
        """Of a row of the chunk, in the region."""
        return self.base + (self.token + row) * self.stride

    @property
    def bytes(self) -> int:
        """A region that is just large enough."""
        return self.offset(self.rows - 1) + 4 * self.n

    def words(self, lanes: int) -> range:
        """Scratchpad words, rows one behind the other."""
        return range(self.word, self.word + self.rows * self.n // lanes)

    def command(self) -> dict[str, Any]:
        """The COMMAND payload."""
        place = {"src": self.word} if self.opcode == Opcode.STORE_ROWS else {"dst": self.word}
        instruction = Instruction(self.opcode, n=self.n, base=self.base, stride=self.stride, **place)
        context = {"layer": 5, "rows": self.rows, "position": 77, "sequence": 0, "token": self.token, "chunk": 0}
        return {"instruction": vars(instruction), **context}
