"""Errors: the machine stops with status, address and interrupt, and the next job is right without a reset."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from celosia.arch.isa import INSTRUCTION_BYTES, Instruction, Opcode
from celosia.arch.layout import CacheLayout
from celosia.driver.device import Job
from celosia.golden.errors import MachineError
from celosia.golden.machine import Machine

from .support import WIDE, Pair, find, small_model, tokens

BUS = WIDE.bus.data_bits // 8
BURST = BUS * WIDE.bus.burst_beats
JOB = Job(0, 0, tokens(12), 3)
LATENCY = 100
"""Cycles: most bursts are in flight when an error comes."""


@pytest.fixture(scope="module")
def pair() -> Pair:
    """One device for all tests: what an error leaves behind would show in the tests that follow."""
    pair = Pair(small_model(WIDE), latency=LATENCY)
    pair.open(0, (6, 1))
    return pair


@contextmanager
def failing(pair: Pair, address: int) -> Iterator[None]:
    """Bursts to the beat at `address` end with an error."""
    pair.device.fail_range(address, address + 1)
    yield
    pair.device.fail_range(0, 0)


@contextmanager
def programmed(pair: Pair, index: int, code: bytes) -> Iterator[None]:
    """Another instruction in the program in memory."""
    at = pair.compiled.memory.region("program").offset + index * INSTRUCTION_BYTES
    before = pair.device.read_memory(at, len(code))
    pair.device.write_memory(at, np.frombuffer(code, np.uint8))
    yield
    pair.device.write_memory(at, before)


def check_stopped(pair: Pair) -> None:
    """Neither busy nor interrupting, and the job can be done again."""
    status = pair.device.read_register("STATUS")
    assert (status & 1, status >> 1 & 1) == (0, 1), "not busy, done"
    assert pair.device.read_register("INTERRUPT_STATUS") == 0
    pair.poison()  # the job that failed may have written more than this one does
    result = pair.run(JOB)
    assert pair.device.read_register("STATUS") == 2
    assert len(result.tokens) == JOB.steps


def weights(pair: Pair) -> int:
    """An address within the second layer's last matrix."""
    placement = pair.compiled.memory.placements["w_down"]
    return placement.offset + placement.stride + placement.bytes // 2


def program(pair: Pair) -> int:
    """Inside of the program."""
    return pair.compiled.memory.region("program").offset + 5 * INSTRUCTION_BYTES


@pytest.mark.parametrize("place", [weights, program])
def test_read_error(pair: Pair, place: Callable[[Pair], int]) -> None:
    address = place(pair)
    with failing(pair, address):
        status, where = pair.fails(JOB)
    assert status == "BUS_READ"
    assert address - BURST < where <= address
    check_stopped(pair)


def test_read_error_in_the_embedding(pair: Pair) -> None:
    """Every beat of the table fails, since rows are scattered over it; the first one read is named."""
    placement = pair.compiled.memory.placements["embedding"]
    low, high = placement.offset, placement.offset + placement.bytes
    pair.device.fail_range(low, high)
    status, where = pair.fails(JOB)
    pair.device.fail_range(0, 0)
    assert status == "BUS_READ"
    assert low <= where < high
    check_stopped(pair)


def test_read_error_in_the_cache(pair: Pair) -> None:
    """Only what is in the cache already is read from there: the second job fails, not the first."""
    layout = CacheLayout(WIDE, pair.compiled.geometry.kv_heads, pair.compiled.geometry.head_blocks, 2)
    address = pair.compiled.memory.kv_offset + 6 * layout.page_bytes + layout.layer_bytes + layout.exponent_bytes
    pair.run(JOB)
    with failing(pair, address):
        status, where = pair.fails(Job(0, 14, tokens(3), 1))
    assert status == "BUS_READ"
    assert address - BURST < where <= address
    check_stopped(pair)


@pytest.mark.parametrize("segment", ["exponents", "keys", "values"])
def test_write_error(pair: Pair, segment: str) -> None:
    layout = CacheLayout(WIDE, pair.compiled.geometry.kv_heads, pair.compiled.geometry.head_blocks, 2)
    within = {"exponents": 0, "keys": layout.exponent_bytes, "values": layout.exponent_bytes + layout.payload_bytes}
    address = pair.compiled.memory.kv_offset + 6 * layout.page_bytes + layout.head_bytes + within[segment]
    with failing(pair, address):
        status, where = pair.fails(JOB)
    assert (status, where) == ("BUS_WRITE", address)
    check_stopped(pair)


def test_address_outside_the_memory(pair: Pair) -> None:
    """The interconnect answers with a decode error."""
    base = pair.compiled.memory.placements["wo"]
    index = next(i for i, n in enumerate(pair.compiled.notes) if n.operand.startswith("wo"))
    wrong = replace(pair.compiled.program[index], base=1 << 38)
    assert base.offset < 1 << 38
    with programmed(pair, index, wrong.encode()):
        assert pair.fails(JOB) == ("BUS_READ", 1 << 38)
    check_stopped(pair)


def _illegal(pair: Pair, kind: str) -> tuple[int, bytes]:
    program = pair.compiled.program
    matmul, norm = find(pair.compiled, Opcode.MATMUL, 3), find(pair.compiled, Opcode.NORM)
    if kind == "opcode":
        return norm, b"\x4d" + program[norm].encode()[1:]
    if kind == "format":
        return matmul, replace(program[matmul], format=9).encode()
    return norm, replace(program[norm], dst=WIDE.vector.activation_words).encode()


@pytest.mark.parametrize("kind", ["opcode", "format", "destination"])
def test_illegal_instruction(pair: Pair, kind: str) -> None:
    """The golden machine stops at the same one."""
    index, code = _illegal(pair, kind)
    with programmed(pair, index, code):
        found = pair.fails(JOB)
    assert found == ("ILLEGAL_INSTRUCTION", index)
    encoded = [instruction.encode() for instruction in pair.compiled.program]
    encoded[index] = code
    memory = pair.golden.machine.memory.copy()
    machine = Machine(WIDE, memory, program=b"".join(encoded), kv_base=pair.compiled.memory.kv_offset)
    machine.open(0, (6, 1))
    with pytest.raises(MachineError) as error:
        machine.run(JOB.sequence, JOB.position, JOB.tokens, JOB.steps)
    assert (error.value.status.name, error.value.address) == found
    check_stopped(pair)


def test_program_without_an_end(pair: Pair) -> None:
    """Behind the last instruction there is nothing."""
    index = len(pair.compiled.program) - 1
    nothing = Instruction(Opcode.LOOP, k=0, n=1)
    with programmed(pair, index, nothing.encode()):
        assert pair.fails(JOB) == ("ILLEGAL_INSTRUCTION", index + 1)
    check_stopped(pair)


@pytest.mark.parametrize(
    ("pages", "job", "status", "address"),
    [
        ((6,), Job(0, 20, tokens(14), 1), "PAGE_UNMAPPED", 32),
        ((6,), Job(0, 40, tokens(3), 1), "PAGE_UNMAPPED", 40),
        ((24, 1), Job(0, 40, tokens(3), 1), "PAGE_UNMAPPED", 0),
        ((6, 24), Job(0, 30, tokens(3), 1), "PAGE_UNMAPPED", 32),
        ((), Job(0, 0, tokens(3), 1), "PAGE_UNMAPPED", 0),
        ((6, 1), Job(1, 0, tokens(3), 1), "SEQUENCE_CLOSED", 1),
        ((6, 1), Job(3, 0, tokens(3), 1), "SEQUENCE_CLOSED", 3),
        ((6, 1), Job(0, 0, (5, 7, 100), 1), "TOKEN_RANGE", 100),
        ((6, 1), Job(0, 0, (5, 2**31 + 7), 1), "TOKEN_RANGE", 2**31 + 7),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_jobs_that_cannot_be_done(pair: Pair, pages: tuple[int, ...], job: Job, status: str, address: int) -> None:
    """The golden machine says the same."""
    pair.open(0, pages)
    found = pair.fails(job)
    with pytest.raises(Exception, match=status) as error:
        pair.golden.run(job)
    assert found == (status, address)
    assert (error.value.status, error.value.address) == found
    pair.open(0, (6, 1))
    check_stopped(pair)


def test_position_beyond_the_table(pair: Pair) -> None:
    """Refused before anything runs; the address is one more than the last position that the job would reach."""
    end = 32 * WIDE.cache.pages_per_sequence
    assert pair.fails(Job(0, end - 4, tokens(4), 2)) == ("POSITION_RANGE", end + 1)
    assert pair.device.read_register("STREAM_BYTES_LO") == 0
    check_stopped(pair)


def test_control_out_of_turn(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second start while a job runs is ignored, and so is an abort when none does."""
    device, wait = pair.device, pair.device.wait_interrupt
    started: list[float] = []

    def start_again(timeout: float) -> bool:
        if not started:  # once: when the last token has come, the job may be over
            device.write_register("CONTROL", 1)
        started.append(timeout)
        return wait(timeout)

    device.write_register("CONTROL", 2)
    monkeypatch.setattr(device, "wait_interrupt", start_again)
    pair.poison()
    assert len(pair.run(JOB).tokens) == JOB.steps


def test_no_tokens(pair: Pair) -> None:
    assert pair.fails(Job(0, 3, (), 1)) == ("POSITION_RANGE", 3)
    check_stopped(pair)


@pytest.mark.parametrize("cycles", [1, 300, 2000, 9000, 30000])
def test_abort(pair: Pair, cycles: int) -> None:
    """At any moment: the job is over without an error and what was in flight disturbs nothing."""
    device = pair.device
    device.write_register("TOKEN_INDEX", 0)
    for token in JOB.tokens:
        device.write_register("TOKEN_DATA", token)
    for name, value in {"COUNT": 12, "STEPS": 3, "POSITION": 0, "SEQUENCE": 0, "INTERRUPT_ENABLE": 1}.items():
        device.write_register(name, value)
    device.write_register("CONTROL", 1)
    while device.read_register("CYCLES_LO") < cycles:
        assert device.read_register("STATUS") & 1, "busy"
    device.write_register("CONTROL", 2)
    assert device.wait_interrupt(20)
    assert device.read_register("STATUS") == 2, "done, no error"
    device.write_register("INTERRUPT_STATUS", 3)
    list(device.writes())
    check_stopped(pair)
