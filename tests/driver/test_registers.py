"""Jobs through registers, on a device that is only registers."""

import numpy as np
import pytest

from celosia.arch.registers import offsets
from celosia.driver import registers
from celosia.driver.device import AcceleratorError, Job
from celosia.driver.registers import IDENTIFICATION, RegisterAccelerator, counter_names


class Still:
    """A device whose job never ends; `moves` of its waits see one more byte on the bus."""

    def __init__(self, moves: int, identification: int = IDENTIFICATION) -> None:
        self.values = dict.fromkeys(offsets(), 0) | {"ID": identification}
        self.written: list[tuple[str, int]] = []
        self.moves, self.waits = moves, 0

    def read_register(self, register: str | int) -> int:
        return self.values[str(register)]

    def write_register(self, register: str | int, value: int) -> None:
        self.written.append((str(register), value))

    def read_memory(self, address: int, size: int) -> np.ndarray:
        return np.zeros(size, np.uint8)

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Nothing is kept."""

    def wait_interrupt(self, timeout: float) -> bool:
        self.waits += 1
        self.values["STREAM_BYTES_LO"] += self.waits <= self.moves
        return False


@pytest.mark.parametrize("moves", [0, 1, 5])
def test_a_device_that_hangs_is_stopped_and_one_that_moves_is_not(moves: int) -> None:
    device = Still(moves)
    with pytest.raises(AcceleratorError, match="no interrupt and no progress"):
        RegisterAccelerator(device).run(Job(0, 7, (1, 2), 1))
    assert device.waits == max(moves + 1, 2)
    assert device.written[-1] == ("CONTROL", registers.ABORT)


def test_a_job_is_written_before_the_doorbell() -> None:
    device = Still(0)
    with pytest.raises(AcceleratorError):
        RegisterAccelerator(device).run(Job(3, 7, (10, 11), 4, end_id=9, chunk=12))
    order = [name for name, _ in device.written]
    doorbell = order.index("CONTROL")
    assert device.written[doorbell] == ("CONTROL", registers.START)
    before = device.written[:doorbell]
    assert [value for name, value in before if name == "TOKEN_DATA"] == [10, 11]
    expected = {"SEQUENCE": 3, "POSITION": 7, "COUNT": 2, "STEPS": 4, "CHUNK": 12, "END_OF_TEXT": 1 << 31 | 9}
    assert {name: value for name, value in before if name in expected} == expected


def test_nothing_at_the_address() -> None:
    with pytest.raises(AcceleratorError, match="no accelerator: ID reads at 0x0"):
        RegisterAccelerator(Still(0, identification=0))


def test_every_counter_has_two_halves() -> None:
    assert counter_names()[0] == "CYCLES"
    assert all(f"{name}_{half}" in offsets() for name in counter_names() for half in ("LO", "HI"))
