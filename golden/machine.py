"""The bit-exact machine: runs a compiled program on a memory image and computes every tensor as the RTL does.

Numerics are those of ``docs/numerics.md``, instructions those of ``docs/isa.md``. One instruction is one method of
`Pass`; the tensors stand at the addresses of the instructions.
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..arch.config import AcceleratorConfig, derive
from ..arch.formats import BLOCK, FORMAT_BY_CODE
from ..arch.isa import FIELDS, INSTRUCTION_BYTES, Instruction, Opcode, Status
from ..arch.layout import MatmulLayout
from .errors import MachineError, UnwrittenRead
from .execute import Chunk, Pass
from .memory import Bytes, Weights, gather_rows, region, unpack_weights
from .numerics import Floats, add
from .records import Result, Retired
from .store import AddressRange, OnChip

OnRetire = Callable[[Retired], None]


class Machine:
    """The machine and the memory behind its bus.

    Args:
        config: the accelerator.
        memory: uint8, the whole memory; the KV cache in it is written in place.
        image_base, kv_base: byte addresses of the image and of the KV cache.
        program: encoded instructions.
        chunk: tokens of a prompt per pass, at most `config.vector.chunk` (the default). No result depends on it.

    Unpacked weights are kept, one byte an element. Write to the memory with `write`, which forgets what changed.

    Attributes:
        rows_base, rows_bytes: byte address and size of what LOAD_ROWS and STORE_ROWS may touch; 0 bytes at first.
        saturated: the last job wrote the largest float32, of either sign, to the scratchpad.

    Raises:
        ConfigError: an illegal config.
        ValueError: `chunk` out of range.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        memory: Bytes,
        *,
        program: bytes,
        image_base: int = 0,
        kv_base: int = 0,
        chunk: int | None = None,
    ) -> None:
        derive(config)
        self.config = config
        self.memory = memory
        self.image_base = image_base
        self.kv_base = kv_base
        self.chunk = config.vector.chunk if chunk is None else chunk
        if not 1 <= self.chunk <= config.vector.chunk:
            raise ValueError(f"chunk = {chunk}: must be from 1 to vector.chunk = {config.vector.chunk}")
        self.rows_base = self.rows_bytes = 0
        self.memories = tuple(OnChip(config) for _ in range(config.vector.chunks))
        self.saturated = False
        self._tables: dict[int, list[int]] = {}
        self._weights: dict[tuple[int, int, int, int], Weights] = {}
        self._encoded = [program[at : at + INSTRUCTION_BYTES] for at in range(0, len(program), INSTRUCTION_BYTES)]
        self._decoded: dict[int, Instruction] = {}

    def open(self, sequence: int, pages: Sequence[int] = ()) -> None:
        """Open a sequence with these physical pages, in order of position.

        Raises:
            ValueError: no such sequence, or more pages than a block table has entries.
        """
        if not 0 <= sequence < self.config.cache.sequences:
            raise ValueError(f"sequence = {sequence}: must be below cache.sequences = {self.config.cache.sequences}")
        limit = self.config.cache.pages_per_sequence
        if len(pages) > limit:
            raise ValueError(f"pages: {len(pages)} are more than cache.pages_per_sequence = {limit}")
        self._tables[sequence] = list(pages)

    def map(self, sequence: int, pages: Sequence[int]) -> None:
        """Append pages to an open sequence.

        Raises:
            ValueError: more pages than a block table has entries.
            MachineError: SEQUENCE_CLOSED.
        """
        if sequence not in self._tables:
            raise MachineError(Status.SEQUENCE_CLOSED, sequence)
        self.open(sequence, [*self._tables[sequence], *pages])

    def close(self, sequence: int) -> None:
        """Close a sequence; its pages are free."""
        self._tables.pop(sequence, None)

    def write(self, address: int, data: Bytes) -> None:
        """Write to the memory.

        Raises:
            MachineError: BUS_WRITE, part of the data is outside the memory.
        """
        if not 0 <= address <= len(self.memory) - len(data):
            raise MachineError(Status.BUS_WRITE, address)
        self.memory[address : address + len(data)] = data
        for key in [k for k in self._weights if k[0] < address + len(data) and address < k[0] + self._layout(k).bytes]:
            del self._weights[key]

    def run(
        self,
        sequence: int,
        position: int,
        tokens: Sequence[int],
        steps: int,
        *,
        end_of_text: int | None = None,
        all_logits: bool = False,
        on_retire: OnRetire | None = None,
    ) -> Result:
        """Run a job, as ``docs/isa.md`` defines it.

        Args:
            sequence: an open sequence.
            position: of the first token.
            tokens: one at least.
            steps: tokens to sample.
            end_of_text: token that ends the job early.
            all_logits: run the HEAD instructions for every row of every pass and return the logits.
            on_retire: called after every instruction that wrote something.

        Raises:
            MachineError: the machine stopped with an error status.
            UnwrittenRead: the program reads what it did not write.
        """
        self.saturated = False
        self._check_job(sequence, position, len(tokens), steps)
        sampled: list[int] = []
        logits: list[Floats] = []
        pending, passes, first = list(tokens), 0, 0
        work = Pass(self, sequence, all_logits)
        # All logits are those of a pass's only chunk: HEAD instructions run on the last one.
        memories = self.memories[:1] if all_logits else self.memories
        while pending:
            chunks: list[Chunk] = []
            for memory in memories:
                if pending:
                    rows = min(self.chunk, len(pending), BLOCK - position % BLOCK)
                    memory.clear()
                    chunks.append(Chunk(position, first, pending[:rows], memory))
                    pending, position, first = pending[rows:], position + rows, first + rows
            work.begin(passes, chunks, samples=steps > 0 and not pending)
            self._run_pass(work, on_retire)
            passes += 1
            if work.logits is not None:
                logits.append(work.logits)
            if work.samples and work.sampled is not None:
                sampled.append(work.sampled)
                if len(sampled) < steps and work.sampled != end_of_text:
                    pending = [work.sampled]
        ids, values = work.candidates
        return Result(sampled, ids, values, np.concatenate(logits) if all_logits and logits else None, self.saturated)

    def _check_job(self, sequence: int, position: int, count: int, steps: int) -> None:
        """Refuse a job before anything runs: its sequence, then its positions, then its pages from the lowest.

        Raises:
            MachineError: SEQUENCE_CLOSED, POSITION_RANGE or PAGE_UNMAPPED.
        """
        if sequence not in self._tables:
            raise MachineError(Status.SEQUENCE_CLOSED, sequence)
        context = self.config.cache.pages_per_sequence * BLOCK
        end = position + count + max(steps - 1, 0)  # the last sampled token takes no position
        if count == 0:
            raise MachineError(Status.POSITION_RANGE, position)
        if end > context:
            raise MachineError(Status.POSITION_RANGE, max(position, context))
        for first in range(0, end, BLOCK):
            self.page(sequence, first)

    def _run_pass(self, work: Pass, on_retire: OnRetire | None) -> None:
        counter = 0
        while True:
            instruction = self._fetch(counter)
            try:
                tensors = work.execute(instruction)
            except AddressRange:
                raise MachineError(Status.ILLEGAL_INSTRUCTION, counter) from None
            except UnwrittenRead as error:
                raise UnwrittenRead(f"instruction {counter} ({instruction.opcode.name}): {error}") from None
            if tensors and on_retire is not None:
                on_retire(
                    Retired(
                        work.index, counter, work.layer, work.now.position, work.now.rows, instruction, tuple(tensors)
                    )
                )
            if instruction.opcode == Opcode.END:
                return
            counter = instruction.src if work.loops(instruction) else counter + 1

    def _fetch(self, index: int) -> Instruction:
        """Decode an instruction, once.

        Raises:
            MachineError: ILLEGAL_INSTRUCTION, unknown opcode or format, or past the end of the program.
        """
        if index not in self._decoded:
            try:
                instruction = Instruction.decode(self._encoded[index])
            except (IndexError, ValueError):
                raise MachineError(Status.ILLEGAL_INSTRUCTION, index) from None
            if instruction.opcode in (Opcode.MATMUL, Opcode.EMBED):
                built_in = [f.code for f in derive(self.config).formats]
                if instruction.format not in built_in:
                    raise MachineError(Status.ILLEGAL_INSTRUCTION, index)
            if instruction.opcode in (Opcode.LOAD_ROWS, Opcode.STORE_ROWS):
                beat = derive(self.config).bus_bytes
                if not instruction.n or instruction.n % BLOCK or instruction.base % beat or instruction.stride % beat:
                    raise MachineError(Status.ILLEGAL_INSTRUCTION, index)
            self._decoded[index] = instruction
        return self._decoded[index]

    def page(self, sequence: int, position: int) -> int:
        """Physical page of a position of an open sequence.

        Raises:
            MachineError: PAGE_UNMAPPED.
        """
        index = position // BLOCK
        table = self._tables[sequence]
        if index >= len(table) or not 0 <= table[index] < self.config.cache.pages:
            raise MachineError(Status.PAGE_UNMAPPED, position)
        return table[index]

    def weights(self, instruction: Instruction, layer: int) -> Weights:
        """The unpacked matrix of a MATMUL."""
        address = self._address(instruction, layer)
        key = (address, instruction.format, instruction.n, instruction.k)
        if key not in self._weights:
            self._weights[key] = unpack_weights(self.memory, address, self._layout(key))
        return self._weights[key]

    def embed(self, instruction: Instruction, tokens: Sequence[int]) -> Floats:
        """Dequantized rows of an EMBED's table, float32 [rows, k x 32]: rne32(q x d), then add(m)."""
        key = (self.image_base + instruction.base, instruction.format, instruction.n, instruction.k)
        weights = gather_rows(self.memory, key[0], self._layout(key), np.asarray(tokens, np.int64))
        x = weights.quants.astype(np.float32) * weights.scales[:, None]  # [k, 32, rows], 19 bits: exact
        x = add(x, np.float32(0) if weights.mins is None else weights.mins[:, None])
        return x.transpose(2, 0, 1).reshape(len(tokens), -1)

    def operand(self, instruction: Instruction, layer: int, dtype: type) -> np.ndarray:
        """A copy of the n numbers that a LOAD or a ROPE_TABLE streams."""
        address = self._address(instruction, layer)
        return np.frombuffer(region(self.memory, address, instruction.n * np.dtype(dtype).itemsize).tobytes(), dtype)

    def _address(self, instruction: Instruction, layer: int) -> int:
        """Where an operand of the image stands; the base of a late run of layers may be below 0."""
        return self.image_base + (instruction.base + layer * instruction.stride) % (1 << FIELDS["base"])

    def _layout(self, key: tuple[int, int, int, int]) -> MatmulLayout:
        _, code, channels, blocks = key
        return MatmulLayout(self.config, FORMAT_BY_CODE[code], channels, blocks)
