"""All presets in one table: what generating them costs, and what they do with a model."""

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from rich.console import Console
from rich.table import Table

from .api import load
from .arch.config import AcceleratorConfig, derive, load_config, preset_names
from .arch.model import ModelConfig, rope_frequencies
from .console import Reporter
from .driver.compiler import FitError, plan, uniform_formats
from .driver.cycles.forecast import decode_at, prompt_of
from .hdl.verilog import accelerator_verilog

_PREDICTED = ("model", "decode_cycles", "bus_busy", "prompt_cycles", "array_busy", "prompt_bus_busy")
CONTEXT, PROMPT = 256, 128
"""Positions of the decode step and tokens of the prompt that are predicted."""

SMOLLM2 = ModelConfig(
    name="SmolLM2-135M",
    dim=576,
    hidden_dim=1536,
    n_layers=30,
    n_heads=9,
    n_kv_heads=3,
    head_dim=64,
    vocab_size=49152,
    context_length=2048,
    tied_embeddings=True,
    rope_frequencies=rope_frequencies(64, 100000.0),
)

TINYLLAMA = ModelConfig(
    name="TinyLlama-1.1B",
    dim=2048,
    hidden_dim=5632,
    n_layers=22,
    n_heads=32,
    n_kv_heads=4,
    head_dim=64,
    vocab_size=32000,
    context_length=2048,
    tied_embeddings=False,
    rope_frequencies=rope_frequencies(64, 10000.0),
)


def preset_rows(report: Reporter) -> list[dict[str, Any]]:
    """A row of plain data for every preset, the smallest array first.

    Each has what `_generate` measures, and of the largest of three models that fits, the shapes of TinyLlama-1.1B and
    SmolLM2-135M and the embedded one: predicted cycles of a decode step and how much of them the bus is busy, cycles of
    a prompt and how much of them the array and the bus are (the cycle model, docs/performance.md).
    """
    configs = sorted(map(load_config, preset_names()), key=lambda config: derive(config).macs)
    rows = []
    for number, config in enumerate(configs):
        report(number, len(configs), f"generating {config.name}")
        rows.append(_row(config))
    return rows


def _row(config: AcceleratorConfig) -> dict[str, Any]:
    # A process of its own: what it needs at most is then its own too, and its memory is free again.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        measured = pool.submit(_generate, config).result()
    macs = derive(config).macs
    size = measured["verilog_bytes"]
    return {
        "preset": config.name,
        "macs": macs,
        "bus_bits": config.bus.data_bits,
        **measured,
        "bytes_per_mac": round(size / macs),
        **_predicted(config),
    }


def _generate(config: AcceleratorConfig) -> dict[str, Any]:
    """Seconds of CPU (ours and Yosys') and the most memory of ours that its Verilog takes, and its size."""
    started = time.perf_counter()
    size = len(accelerator_verilog(config))
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "generate_seconds": round(time.perf_counter() - started, 1),
        "generate_cpu_seconds": round(sum(usage.ru_utime + usage.ru_stime for usage in used), 1),
        "peak_megabytes": round(used[0].ru_maxrss * unit / 1e6),
        "verilog_bytes": size,
    }


def _predicted(config: AcceleratorConfig) -> dict[str, Any]:
    for model, format in ((TINYLLAMA, "Q4_1"), (SMOLLM2, "Q4_1"), (load().config, "Q8_0")):
        if format not in config.array.formats:
            continue
        try:
            made = plan(config, model, uniform_formats(model, format, "Q8_0"))
        except FitError:
            continue
        step, prompt = decode_at(made, CONTEXT), prompt_of(made, PROMPT)
        return {
            "model": model.name,
            "decode_cycles": round(step.decode[0]),
            "bus_busy": round(step.bus[1] / step.decode[0], 4),
            "prompt_cycles": round(prompt.prefill),
            "array_busy": round(prompt.array[0] / prompt.prefill, 4),
            "prompt_bus_busy": round(prompt.bus[0] / prompt.prefill, 4),
        }
    return dict.fromkeys(_PREDICTED)


def show_presets(rows: list[dict[str, Any]]) -> None:
    """Print them."""
    drawn = Table(title=f"Presets; predicted: a decode step at {CONTEXT} positions, a prompt of {PROMPT} tokens")
    names = ("preset", "MACs", "bus, bits", "generate, s (CPU)", "memory, MB", "Verilog, MB", "bytes a MAC")
    for name in (*names, "model", "decode, cycles", "bus busy", "prompt, cycles", "array busy", "bus busy"):
        drawn.add_column(name, justify="left" if name in ("preset", "model") else "right")
    for row in rows:
        cells = [
            row["preset"],
            f"{row['macs']:,}",
            f"{row['bus_bits']:,}",
            f"{row['generate_seconds']:g} ({row['generate_cpu_seconds']:g})",
            f"{row['peak_megabytes']:,}",
            f"{row['verilog_bytes'] / 1e6:.1f}",
            f"{row['bytes_per_mac']:,}",
        ]
        cells += [row["model"] or "-"]
        cells += [_cell(row[name]) for name in _PREDICTED[1:]]
        drawn.add_row(*cells)
    Console(width=max(Console().width, 160)).print(drawn)


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{100 * value:.1f} %"
