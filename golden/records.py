"""What the golden machine reports: results of a job, and the tensors that each instruction wrote."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arch.isa import Instruction
from .numerics import Floats


@dataclass(frozen=True, eq=False)
class TensorWrite:
    """A tensor that an instruction wrote.

    Attributes:
        kind: where it went, which says what the arrays are:

            - ``spm``: float32 [rows, width];
            - ``am``: q int16 [rows, blocks, 32], with exponents int16 [rows, blocks]; QUERY: one per virtual head;
            - ``pm``: float32 [n];
            - ``key``, ``value``: int8 [virtual heads, rows, blocks, 32], exponents int8 [virtual heads, rows, blocks];
            - ``rope``: float32 [rows, pairs, 2], sine and cosine;
            - ``logits``: float32 [rows, channels], what went to the top-k unit;
            - ``topk``: float32 [count], with token ids int64 [count];
            - ``rows``: float32 [rows, n] in the memory behind the bus.
        address: first word in that memory; ``key`` and ``value``: byte address of the layer in the page; ``rows``: byte
            address of the first row; else 0.
        data: the floats or integers.
        companion: exponents or ids, None where there are none.
        pitch: words (``spm``) or bytes (``rows``) from one row to the next, else 0.
    """

    kind: str
    address: int
    data: NDArray[Any]
    companion: NDArray[Any] | None = None
    pitch: int = 0


@dataclass(frozen=True)
class Retired:
    """One executed instruction.

    Attributes:
        pass_index: passes of the job before this one.
        index: of the instruction in the program.
        layer: iteration of the loop, 0 outside.
        position: of its chunk's first row.
        rows: of its chunk.
        instruction: itself.
        tensors: what it wrote.
    """

    pass_index: int
    index: int
    layer: int
    position: int
    rows: int
    instruction: Instruction
    tensors: tuple[TensorWrite, ...]


@dataclass(frozen=True, eq=False)
class Result:
    """Outcome of a job.

    Attributes:
        tokens: sampled tokens.
        candidate_ids: int64 [<= top_k], best first, of the last step.
        candidate_values: float32, their logits.
        logits: float32 [passes' rows, vocabulary] if all of them were asked for.
        saturated: the largest float32, of either sign, was written to the scratchpad.
    """

    tokens: list[int]
    candidate_ids: NDArray[np.int64]
    candidate_values: Floats
    logits: Floats | None = None
    saturated: bool = False
