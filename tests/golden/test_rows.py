"""LOAD_ROWS and STORE_ROWS: which bytes they touch, what they make of float32 from outside, how they stop."""

import struct
from dataclasses import replace

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.arch.isa import Flag, Instruction, Opcode, Status
from celosia.golden.errors import MachineError
from celosia.golden.machine import Machine
from celosia.golden.numerics import from_outside
from celosia.golden.records import Retired

CONFIG = load_config("default")  # 8 rows a chunk, 4 lanes, 8 bytes a beat
PAIRED = replace(CONFIG, vector=replace(CONFIG.vector, chunks=2))
BASE, SIZE = 4096, 1 << 16
LOAD = Instruction(Opcode.LOAD_ROWS, dst=8, n=64, base=64, stride=1024)
STORE = Instruction(Opcode.STORE_ROWS, src=8, n=64, base=512, stride=1024)
END = Instruction(Opcode.END)


def _machine(*program: Instruction, config: AcceleratorConfig = CONFIG) -> Machine:
    memory = np.full(SIZE, 0xA5, np.uint8)
    encoded = b"".join(instruction.encode() for instruction in program)
    machine = Machine(config, memory, program=encoded)
    machine.rows_base, machine.rows_bytes = BASE, 20 * 1024
    machine.open(0, [0, 0, 0])
    return machine


def _rows(machine: Machine, rows: int) -> np.ndarray:
    """The 256 float32 of each record."""
    return machine.memory[BASE : BASE + rows * 1024].view(np.float32).reshape(rows, 256)


def test_float32_from_outside() -> None:
    """Every exponent, mantissas at both ends, both signs: the definition, in struct and comparisons."""
    bits = np.array(
        [s << 31 | e << 23 | m for s in (0, 1) for e in range(256) for m in (0, 1, 1 << 22, (1 << 23) - 1)], np.uint32
    )
    found = from_outside(bits.view(np.float32)).view(np.uint32).tolist()
    for before, after in zip(bits.tolist(), found, strict=True):
        (value,) = struct.unpack("<f", struct.pack("<I", before))
        if abs(value) < 2.0**-126:
            expected = 0
        elif before >> 23 & 255 == 255:
            expected = struct.unpack("<I", struct.pack("<f", (2.0 - 2.0**-23) * 2.0**127))[0] | before & 1 << 31
        else:
            expected = before
        assert after == expected, hex(before)


@pytest.mark.parametrize("config", [CONFIG, PAIRED], ids=["one chunk", "two chunks"])
def test_rows_belong_to_the_tokens_of_a_job(config: AcceleratorConfig) -> None:
    """A copy, wherever the job's positions are; row 0 is the job's first token's. Nothing else is written."""
    second = [replace(i, flags=Flag.SECOND) for i in (LOAD, STORE)]
    machine = _machine(LOAD, second[0], STORE, second[1], END, config=config)
    random = np.random.default_rng(3)
    _rows(machine, 20)[:, 16:80] = random.standard_normal((20, 64))
    before = machine.memory.copy()
    retired: list[Retired] = []
    machine.run(0, 27, [0] * 20, 0, on_retire=retired.append)
    expected = before[BASE : BASE + 20 * 1024].view(np.float32).reshape(20, 256)
    expected[:, 128:192] = expected[:, 16:80]
    assert np.array_equal(machine.memory, before)
    stored = [t for r in retired for t in r.tensors if t.kind == "rows"]
    assert [t.address for t in stored] == [BASE + 512 + 1024 * row for row in (0, 5, 13)]  # 27 to 31, 32 to 39, ...
    assert all(t.pitch == 1024 for t in stored)


def test_infinity_sets_saturated() -> None:
    machine = _machine(LOAD, END)
    _rows(machine, 20)[:] = 1
    assert not machine.run(0, 0, [0], 0).saturated
    _rows(machine, 20)[0, 79] = -np.inf
    assert machine.run(0, 0, [0], 0).saturated
    assert machine.memories[0].scratchpad.read(8, 1, 64, 16)[0, 63] == -np.finfo(np.float32).max


def test_a_chunk_reads_what_it_stored_before() -> None:
    again = replace(LOAD, dst=200, base=512)
    machine = _machine(LOAD, STORE, again, END)
    _rows(machine, 20)[:, 16:80] = 7
    machine.run(0, 0, [0] * 8, 0)
    assert np.array_equal(machine.memories[0].scratchpad.read(200, 8, 64, 16), np.full((8, 64), 7, np.float32))


@pytest.mark.parametrize("instruction", [LOAD, STORE], ids=["load", "store"])
@pytest.mark.parametrize(("short", "row"), [(-1023, 10), (0, 10), (1, 9), (9 * 1024 + 1, 0)])
def test_the_row_that_is_outside_is_named(instruction: Instruction, short: int, row: int) -> None:
    """The tenth row does not end within; a byte less, and the ninth does not either."""
    fill = replace(LOAD, n=32, base=0, stride=0)
    machine = _machine(fill, replace(instruction, n=32), END)
    _rows(machine, 20)[:] = 1
    machine.rows_bytes = 9 * 1024 + instruction.base + 128 - short
    with pytest.raises(MachineError) as caught:
        machine.run(0, 3, [0] * 20, 0)
    assert (caught.value.status, caught.value.address) == (Status.ROWS_RANGE, row)


def test_the_sum_does_not_wrap() -> None:
    machine = _machine(replace(LOAD, base=(1 << 40) - 64, stride=(1 << 32) - 64), END)
    machine.rows_bytes = (1 << 48) - 1
    with pytest.raises(MachineError) as caught:
        machine.run(0, 0, [0] * 8, 0)
    assert caught.value.status == Status.BUS_READ  # there is no such memory, but the region allows it
    machine.rows_bytes = 1 << 20
    with pytest.raises(MachineError) as caught:
        machine.run(0, 0, [0] * 8, 0)
    assert (caught.value.status, caught.value.address) == (Status.ROWS_RANGE, 0)


@pytest.mark.parametrize(
    "wrong", [{"n": 0}, {"n": 33}, {"base": 4}, {"stride": 1028}, {"src": 4090, "dst": 4090}], ids=str
)
@pytest.mark.parametrize("instruction", [LOAD, STORE], ids=["load", "store"])
def test_operands_that_are_illegal(instruction: Instruction, wrong: dict[str, int]) -> None:
    machine = _machine(LOAD, replace(instruction, **wrong), END)
    _rows(machine, 20)[:] = 1
    with pytest.raises(MachineError) as caught:
        machine.run(0, 0, [0], 0)
    assert (caught.value.status, caught.value.address) == (Status.ILLEGAL_INSTRUCTION, 1)
