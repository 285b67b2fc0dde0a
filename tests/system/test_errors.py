"""Errors: the machine stops with status, address and interrupt, and the next job is right without a reset."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from celosia.arch.isa import INSTRUCTION_BYTES, Instruction, Opcode
from celosia.arch.layout import CacheLayout
from celosia.driver.device import AcceleratorError, Job
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


CONTEXT = 32 * WIDE.cache.pages_per_sequence
WHOLE = tuple(range(WIDE.cache.pages_per_sequence))
NO_PAGE = WIDE.cache.pages
"""A page number that the cache does not have."""


def check_failure(pair: Pair, job: Job, expected: tuple[str, int]) -> None:
    """Both machines stop with this status and address."""
    assert pair.fails(job) == expected
    with pytest.raises(AcceleratorError) as error:
        pair.golden.run(job)
    assert (error.value.status, error.value.address) == expected


@pytest.mark.parametrize(
    ("pages", "job", "status", "address"),
    [
        ((6,), Job(0, 20, tokens(14), 1), "PAGE_UNMAPPED", 32),
        ((6,), Job(0, 40, tokens(3), 1), "PAGE_UNMAPPED", 32),
        ((), Job(0, 0, tokens(3), 1), "PAGE_UNMAPPED", 0),
        ((NO_PAGE, 1), Job(0, 40, tokens(3), 1), "PAGE_UNMAPPED", 0),
        ((6, NO_PAGE), Job(0, 30, tokens(3), 1), "PAGE_UNMAPPED", 32),
        # Two are missing: what the stream unit would read and what the page writer would write; two that are read.
        ((NO_PAGE, 2**16 - 1), Job(0, 40, tokens(3), 1), "PAGE_UNMAPPED", 0),
        ((6, NO_PAGE, 1, NO_PAGE), Job(0, 100, tokens(3), 1), "PAGE_UNMAPPED", 32),
        # Only the last decode step needs the third page.
        ((6, 1), Job(0, 62, tokens(2), 2), "PAGE_UNMAPPED", 64),
        (WHOLE, Job(0, CONTEXT - 4, tokens(4), 2), "POSITION_RANGE", CONTEXT),
        (WHOLE, Job(0, CONTEXT + 8, tokens(4), 2), "POSITION_RANGE", CONTEXT + 8),
        (WHOLE, Job(0, 3, (), 1), "POSITION_RANGE", 3),
        ((), Job(0, CONTEXT - 4, tokens(4), 2), "POSITION_RANGE", CONTEXT),
        ((6, 1), Job(1, 0, tokens(3), 1), "SEQUENCE_CLOSED", 1),
        ((6, 1), Job(3, CONTEXT, tokens(3), 1), "SEQUENCE_CLOSED", 3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_jobs_that_are_refused(pair: Pair, pages: tuple[int, ...], job: Job, status: str, address: int) -> None:
    """Before anything runs, and by both machines for the same reason."""
    pair.open(0, pages)
    check_failure(pair, job, (status, address))
    assert pair.device.read_register("AUXILIARY_BYTES_LO") == pair.device.read_register("STREAM_BYTES_LO") == 0
    pair.open(0, (6, 1))
    check_stopped(pair)


@pytest.mark.parametrize(("position", "count", "steps"), [(0, 64, 1), (CONTEXT - 4, 4, 1), (CONTEXT - 4, 1, 4)])
def test_jobs_that_need_all_they_may(pair: Pair, position: int, count: int, steps: int) -> None:
    """The last sampled token takes no position: exactly the mapped pages and the whole context are enough."""
    pair.open(0, (6, 1) if position == 0 else WHOLE)
    pair.poison()
    assert len(pair.run(Job(0, position, tokens(count), steps)).tokens) == steps
    pair.open(0, (6, 1))


@pytest.mark.parametrize("token", [100, 2**31 + 7])
def test_tokens_that_do_not_exist(pair: Pair, token: int) -> None:
    check_failure(pair, Job(0, 0, (5, 7, token), 1), ("TOKEN_RANGE", token))
    check_stopped(pair)


JOB_REGISTERS = (
    *(f"{name}_BASE_{half}" for name in ("IMAGE", "KV", "PROGRAM") for half in ("LO", "HI")),
    *("PROGRAM_LENGTH", "SEQUENCE", "POSITION", "COUNT", "STEPS", "END_OF_TEXT"),
)


def test_writes_while_a_job_runs(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job is what the registers said at the doorbell; later writes are for the next job, or ignored."""
    device, wait = pair.device, pair.device.wait_interrupt
    pair.poison()
    first = pair.run(JOB).tokens[0]
    before = {name: device.read_register(name) for name in JOB_REGISTERS}
    changed = {name: value ^ 0x20 for name, value in before.items()} | {
        "PROGRAM_LENGTH": 1,
        "SEQUENCE": 2,
        "COUNT": 1,
        "STEPS": 1,
        "END_OF_TEXT": 1 << 31 | first,
    }
    waits = []

    def change(timeout: float) -> bool:
        """At once after the doorbell, and again after every token."""
        for name, value in changed.items():
            device.write_register(name, value)
        device.write_register("TOKEN_INDEX", 0)
        for token in JOB.tokens:
            device.write_register("TOKEN_DATA", token ^ 1)
        waits.append(device.read_register("STATUS") & 1)
        return wait(timeout)

    monkeypatch.setattr(device, "wait_interrupt", change)
    pair.poison()
    result = pair.run(JOB)
    monkeypatch.undo()
    assert (result.tokens[0], len(result.tokens)) == (first, JOB.steps)
    assert waits[0] == 1 and len(waits) > 1, "a job was running"
    assert {name: device.read_register(name) for name in changed} == changed, "the registers themselves did change"
    for name, value in before.items():
        device.write_register(name, value)
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


def test_sampled_tokens_are_those_of_the_running_job(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the doorbell on, while the program is still being loaded: who polls would take the last job's for them."""
    device, wait = pair.device, pair.device.wait_interrupt
    seen = []

    def look(timeout: float) -> bool:
        seen.append(device.read_register("SAMPLED"))
        return wait(timeout)

    pair.poison()
    assert len(pair.run(JOB).tokens) == device.read_register("SAMPLED") == JOB.steps
    monkeypatch.setattr(device, "wait_interrupt", look)
    pair.poison()
    pair.run(JOB)
    assert seen[0] == 0


@pytest.mark.parametrize("cycles", [0, 1, 600, 2000, 9000, 20000])
def test_abort(pair: Pair, cycles: int) -> None:
    """At any moment: the job is over without an error and what was in flight disturbs nothing.

    The first two come before the program is loaded (`LATENCY`): such a job does not begin.
    """
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
    assert (device.read_register("STREAM_BYTES_LO") == 0) == (cycles < LATENCY)
    device.write_register("INTERRUPT_STATUS", 3)
    list(device.writes())
    check_stopped(pair)
