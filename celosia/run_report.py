"""What a run measured, for programs and for people."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RunReport:
    """What `run` measured; fields that do not apply to a device are None. `docs/` says what the figures mean."""

    model: str
    config: str
    device: str
    prompt_tokens: list[int]
    generated_tokens: list[int]
    text: str | None
    bit_exact: bool | None = None
    tensors_compared: int | None = None
    elements_compared: int | None = None
    mismatch: str | None = None
    cycles: dict[str, Any] | None = None
    bytes: dict[str, int] | None = None
    bus_bytes_per_cycle: int | None = None
    bus_utilization: float | None = None
    mac_utilization: float | None = None
    simulated_hz: float | None = None
    simulated_hz_cpu: float | None = None
    comparison_share: float | None = None
    memory: dict[str, Any] | None = None
    saturated: bool | None = None
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain data; a mismatch is for people, who read it on stderr."""
        return {name: value for name, value in asdict(self).items() if name != "mismatch"}

    def summary(self) -> dict[str, Any]:
        """The rows of the table that people read."""
        rows: dict[str, Any] = {
            "device": self.device,
            "prompt tokens": len(self.prompt_tokens),
            "generated tokens": len(self.generated_tokens),
        }
        if self.cycles is not None and self.bytes is not None:
            decode = self.cycles["decode"]
            rows |= {
                "bit-exact": self.bit_exact,
                "compared": f"{self.tensors_compared:,} tensors, {self.elements_compared:,} elements",
                "cycles of the prompt": self.cycles["prefill"],
                "cycles per token": round(sum(decode) / len(decode)) if decode else None,
                "bytes moved": self.bytes,
                "bus utilization": _percent(self.bus_utilization),
                "MAC utilization": _percent(self.mac_utilization),
                **self._memory_rows(),
                **self._simulation_rows(),
            }
        return rows | {"seconds": round(self.seconds, 1)}

    def _simulation_rows(self) -> dict[str, Any]:
        if not self.simulated_hz:
            return {}
        return {
            "simulated kHz": round(self.simulated_hz / 1000, 1),
            "comparison, of the simulation's time": _percent(self.comparison_share),
        }

    def _memory_rows(self) -> dict[str, Any]:
        if self.memory is None:
            return {}
        return {
            f"decode, of what {self.memory['name']} delivers": _percent(self.memory["share_of_deliverable"]),
            "decode, of the peak of port or DRAM": _percent(self.memory["share_of_peak"]),
        }


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"
