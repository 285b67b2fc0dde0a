"""The whole accelerator on Verilator under cocotb."""

from celosia.arch.config import AcceleratorConfig, Array, Bus, Cache, Control, Stream, Vector
from celosia.hdl.control.accelerator import Accelerator

from ..harness.runner import run_bench

CONFIG = AcceleratorConfig(
    name="system",
    bus=Bus(data_bits=64, outstanding=4, burst_beats=8),
    array=Array(rows=2, channels=2, activation_bits=8),
    vector=Vector(
        lanes=2,
        chunk=4,
        chunks=2,
        scratchpad_words=2048,
        activation_words=128,
        parameter_words=64,
        max_head_dim=32,
    ),
    cache=Cache(pages=3, sequences=1, pages_per_sequence=2, tail_words=32),
    stream=Stream(fifo_beats=64, scale_fifo_beats=16, attention_lag=2),
    control=Control(program_words=64, top_k=5),
)


def test_accelerator() -> None:
    """Every channel stalls 40 % of the time; nothing stalls in the other tests, whose memory is the fast one."""
    run_bench(
        Accelerator(CONFIG, trace=True),
        "tests.system.bench_accelerator",
        name="accelerator",
        parameters={"config": CONFIG.to_dict(), "stall": 0.4},
    )
