"""What stands around an accelerator in a simulator whose cycles Python steps: a memory and a register master."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from celosia.arch.registers import offsets


class Outside:
    """An AXI4 memory that answers in the next cycle, timed as `ideal_memory(1)` of `celosia.sim.dram`, and an AXI4-Lite
    master with one access at a time.

    Parameters
    ----------
    bus_bytes : width of the data of AXI4.
    memory_bytes : size of the memory.

    Attributes
    ----------
    cycles : so far.
    seconds : after which a cycle raises `TimeoutError`.
    """

    def __init__(self, bus_bytes: int, memory_bytes: int, *, seconds: float) -> None:
        self.bus_bytes, self.memory = bus_bytes, np.full(memory_bytes, 0xA5, np.uint8)
        self.cycles, self.irq, self.value, self.seconds = 0, False, 0, seconds
        self._end = time.perf_counter() + seconds
        self._inputs: dict[str, int] = {}
        self._beats: deque[tuple[int, int, bool]] = deque()
        self._writes: deque[list[int]] = deque()
        self._responses: deque[int] = deque()
        self._access: dict[str, int] = {}

    def read(self, offset: int) -> None:
        """Begin to read a register; `value` holds it when `idle`."""
        self._access = {"s_axil_araddr": offset, "s_axil_arvalid": 1, "s_axil_rready": 1}

    def write(self, offset: int, value: int) -> None:
        """Begin to write a register, until `idle`."""
        self._access = {"s_axil_awaddr": offset, "s_axil_wdata": value, "s_axil_wstrb": 15}
        self._access |= {"s_axil_awvalid": 1, "s_axil_wvalid": 1, "s_axil_bready": 1}

    def idle(self) -> bool:
        """Whether the access is over."""
        return not (self._access.get("s_axil_rready") or self._access.get("s_axil_bready"))

    def cycle(self, get: Callable[[str], int]) -> dict[str, int]:
        """One cycle: `get` tells its outputs; returns those inputs that are others in the next one."""
        if time.perf_counter() > self._end:
            raise TimeoutError(f"no more than {self.cycles} cycles in {self.seconds} seconds")
        self.cycles += 1
        self.irq = bool(get("irq"))
        self._register(get)
        self._write_side(get)
        inputs = self._access | {
            "m_axi_arready": 1,
            "m_axi_awready": 1,
            "m_axi_wready": int(bool(self._writes)),
            "m_axi_bvalid": int(bool(self._responses)),
            **self._read_side(get),
        }
        if self._responses:
            inputs["m_axi_bid"] = self._responses[0]
        changed = {name: value for name, value in inputs.items() if self._inputs.get(name) != value}
        self._inputs |= changed
        return changed

    def _register(self, get: Callable[[str], int]) -> None:
        for channel in ("ar", "aw", "w"):
            if self._access.get(f"s_axil_{channel}valid") and get(f"s_axil_{channel}ready"):
                self._access[f"s_axil_{channel}valid"] = 0
        if self._access.get("s_axil_rready") and get("s_axil_rvalid"):
            self.value, self._access["s_axil_rready"] = get("s_axil_rdata"), 0
        if self._access.get("s_axil_bready") and get("s_axil_bvalid"):
            self._access["s_axil_bready"] = 0

    def _write_side(self, get: Callable[[str], int]) -> None:
        if self._responses and get("m_axi_bready"):
            self._responses.popleft()
        if self._writes and get("m_axi_wvalid"):
            burst = self._writes[0]
            data = get("m_axi_wdata").to_bytes(self.bus_bytes, "little")
            strobes = get("m_axi_wstrb")
            for lane in range(self.bus_bytes):
                if strobes >> lane & 1:
                    self.memory[burst[0] + lane] = data[lane]
            burst[0] += self.bus_bytes
            burst[1] -= 1
            if not burst[1]:
                self._responses.append(self._writes.popleft()[2])
        if get("m_axi_awvalid"):
            self._writes.append([get("m_axi_awaddr"), get("m_axi_awlen") + 1, get("m_axi_awid")])

    def _read_side(self, get: Callable[[str], int]) -> dict[str, int]:
        if self._beats and get("m_axi_rready"):
            self._beats.popleft()
        if get("m_axi_arvalid"):
            address, last, identity = get("m_axi_araddr"), get("m_axi_arlen"), get("m_axi_arid")
            for beat in range(last + 1):
                self._beats.append((address + beat * self.bus_bytes, identity, beat == last))
        if not self._beats:
            return {"m_axi_rvalid": 0}
        address, identity, last = self._beats[0]
        data = int.from_bytes(self.memory[address : address + self.bus_bytes].tobytes(), "little")
        return {"m_axi_rvalid": 1, "m_axi_rdata": data, "m_axi_rid": identity, "m_axi_rlast": int(last)}


class SteppedDevice:
    """A `Device` over an `Outside`; `wait` lets cycles pass until a condition holds."""

    def __init__(self, outside: Outside, wait: Callable[[Callable[[], bool]], object]) -> None:
        self.outside, self._wait = outside, wait

    def read_register(self, register: str) -> int:
        """Over AXI4-Lite."""
        self.outside.read(offsets()[register])
        self._wait(self.outside.idle)
        return self.outside.value

    def write_register(self, register: str, value: int) -> None:
        """Over AXI4-Lite."""
        self.outside.write(offsets()[register], value)
        self._wait(self.outside.idle)

    def read_memory(self, address: int, size: int) -> np.ndarray:
        """Behind the accelerator's back."""
        return self.outside.memory[address : address + size].copy()

    def write_memory(self, address: int, data: np.ndarray) -> None:
        """Behind the accelerator's back."""
        self.outside.memory[address : address + len(data)] = data

    def wait_interrupt(self, timeout: float) -> bool:
        """Until the interrupt; `Outside.seconds` end what takes too long."""
        self._wait(lambda: self.outside.irq)
        return timeout > 0
