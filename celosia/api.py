"""What the commands do, as functions: load, compile, run, evaluate, describe."""

import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from .arch.config import AcceleratorConfig, derive
from .arch.model import Model
from .boards.host.board import BOARD_DEVICES
from .driver.compiler import (
    AUTO,
    COMPILED_FILES,
    CompiledModel,
    FitError,
    check_folder,
    choose_formats,
    compile_model,
    plan,
    quantize_model,
)
from .driver.cycles import forecast
from .driver.evaluate import Evaluation, FloatLogits, evaluate
from .driver.figures import figures
from .driver.golden_accelerator import GoldenAccelerator, GoldenLogits
from .driver.importers import load_model
from .driver.reference import FloatSession
from .driver.requests import CONTEXT_FIX, RequestError, check_prompt
from .driver.runtime import Generation, Session
from .driver.sampling import Sampling
from .driver.tokenizer import StreamDecoder
from .run_report import RunReport
from .sim.dram import load_dram
from .verified import Pair, VerifiedAccelerator, verified
from .waves import wave_file

DEVICES = ("rtl", "golden", "float", *BOARD_DEVICES)
EVALUATORS = ("golden", "float")
DEFAULT_MODEL = "celosia-tiny"
DEFAULT_PROMPT = "Once upon a time"
STREAM_MARGIN = 1.25
"""A tile a cycle must be this much more than a beat, or the array and not the bus sets the speed."""

Progress = Callable[[int, int], None]
OnText = Callable[[str], None]


def load(name: str | None = None) -> Model:
    """A model by path or name; None is the embedded one.

    Raises:
        ModelError: there is none, or it cannot be used.
    """
    if name is None or (name == DEFAULT_MODEL and not Path(name).exists()):
        return load_model(str(resources.files("celosia.models") / DEFAULT_MODEL))
    return load_model(name)


def tokens_of(model: Model, prompt: str | None, tokens: Sequence[int] | None, default: str) -> list[int]:
    """Token ids of a prompt, which is given as text, as ids, or not at all.

    Raises:
        RequestError: both are given, or text for a model without a tokenizer.
    """
    if prompt is not None and tokens is not None:
        raise RequestError("a text and token ids are given: give one of them")
    if tokens is not None:
        return list(tokens)
    if model.tokenizer is None:
        raise RequestError(f"model {model.config.name!r} has no tokenizer: give token ids")
    return model.tokenizer.encode(default if prompt is None else prompt)


def run(
    model: Model,
    config: AcceleratorConfig,
    *,
    prompt: str | None = None,
    tokens: Sequence[int] | None = None,
    count: int = 32,
    sampling: Sampling | None = None,
    device: str = "rtl",
    on_text: OnText | None = None,
    progress: Progress | None = None,
    status: OnText | None = None,
    waves: Path | None = None,
    dram: str | Path | None = None,
) -> RunReport:
    """Generate text on a device.

    Args:
        prompt, tokens: the prompt as text or as ids; neither: a default text.
        count: tokens to generate at most.
        sampling: None is greedy.
        device: "rtl", "uio" or "xdma" (beside the golden machine, and compared with it), "golden" or "float".
        on_text: called with each piece of the generated text.
        progress: called while the model is compiled, with bytes packed and in all.
        status: told what is being done, a line at a time.
        waves: VCD to write, of the RTL; compressed if its name ends in .gz.
        dram: timing of the RTL's memory, a preset or a TOML file (docs/dram.md); None is ideal and measures nothing.

    Raises:
        ConfigError, FitError, RequestError: bad input. ToolMissing, BuildError, CacheError: no simulator.
        BoardError: no board.
    """
    _check_device(device, DEVICES)
    if waves is not None:
        _check_waves(waves, device)
    if dram is not None and device != "rtl":
        raise RequestError(f"device is {device!r}: only rtl has a dram")
    memory = None if dram is None else load_dram(dram)
    fed = tokens_of(model, prompt, tokens, DEFAULT_PROMPT)
    measured: dict[str, Any] = {}
    started = time.perf_counter()
    decoder = StreamDecoder(model.tokenizer) if model.tokenizer else None

    def emit(token: int) -> None:
        if on_text:
            on_text(decoder.push(token) if decoder else f"{token} ")

    if device == "float":
        generation = FloatSession(model).generate(fed, count, sampling, emit)
    elif device == "golden":
        compiled = compile_model(model, config, progress=progress)
        generation = Session(GoldenAccelerator(), compiled).generate(fed, count, sampling, emit)
    else:
        with wave_file(waves) as pipe:
            compiled = compile_model(model, config, progress=progress)
            check_prompt(
                fed,
                count,
                unfed=0,
                position=0,
                context=compiled.context,
                vocabulary=compiled.model.vocab_size,
                fix=CONTEXT_FIX,
            )
            with verified(device, compiled, report=status, waves=pipe, memory=memory) as accelerator:
                generation = Session(accelerator, compiled).generate(fed, count, sampling, emit)
                measured = _measured(compiled, accelerator)
    if on_text and decoder:
        on_text(decoder.finish())
    return _report(model, config, device, generation, time.perf_counter() - started, measured)


def _measured(compiled: CompiledModel, accelerator: Pair) -> dict[str, Any]:
    """The fields of a report that only the RTL has, simulated or on a board."""
    found = figures(compiled, accelerator.jobs)
    comparison = accelerator.comparison
    simulated = _simulated(accelerator) if isinstance(accelerator, VerifiedAccelerator) else {}
    return {
        "bit_exact": comparison.bit_exact,
        "tensors_compared": comparison.tensors,
        "elements_compared": comparison.elements,
        "mismatch": str(comparison.mismatch) if comparison.mismatch else None,
        "cycles": {"prefill": found.prefill, "decode": list(found.decode)},
        "bytes": {
            "weights": found.weights,
            "kv": found.kv,
            "activations": found.activations,
            "program": found.program,
        },
        "bus_bytes_per_cycle": derive(compiled.config).bus_bytes,
        "bus_utilization": found.bus_utilization,
        "mac_utilization": found.mac_utilization,
        **simulated,
    }


def _simulated(accelerator: VerifiedAccelerator) -> dict[str, Any]:
    device = accelerator.device
    return {
        "simulated_hz": device.cycles / device.seconds if device.seconds else None,
        "simulated_hz_cpu": device.cycles / device.cpu_seconds if device.cpu_seconds else None,
        "comparison_share": accelerator.cpu_seconds / device.cpu_seconds if device.cpu_seconds else None,
        "memory": decoded.to_json() if (decoded := accelerator.decode_memory()) else None,
    }


def _report(
    model: Model,
    config: AcceleratorConfig,
    device: str,
    generation: Generation,
    seconds: float,
    measured: dict[str, Any],
) -> RunReport:
    return RunReport(
        **measured,
        model=model.config.name,
        config=config.name,
        device=device,
        prompt_tokens=list(generation.prompt),
        generated_tokens=list(generation.tokens),
        text=model.tokenizer.decode(generation.tokens) if model.tokenizer else None,
        saturated=None if device == "float" else any(job.saturated for job in generation.jobs),
        seconds=seconds,
    )


def _check_waves(waves: Path, device: str) -> None:
    if device != "rtl":
        raise RequestError(f"device is {device!r}: only rtl has waves")
    if not waves.parent.is_dir():
        raise RequestError(f"waves: there is no folder {str(waves.parent)!r}: make it first")
    if waves.suffix == ".fst":
        raise RequestError(
            f"waves is {str(waves)!r}: only VCD is written; name it .vcd, or .vcd.gz for a quarter of the size"
        )


def _check_device(device: str, devices: Sequence[str]) -> None:
    if device not in devices:
        raise RequestError(f"device is {device!r}: it must be one of {', '.join(devices)}")


def evaluate_model(
    model: Model,
    config: AcceleratorConfig,
    *,
    text: str | None = None,
    tokens: Sequence[int] | None = None,
    window: int = 512,
    device: str = "golden",
    progress: Progress | None = None,
) -> Evaluation:
    """Perplexity of a text on a device, against the float32 reference on the same quantized weights.

    Raises:
        ConfigError, FitError, RequestError: bad input.
    """
    _check_device(device, EVALUATORS)
    ids = tokens_of(model, text, tokens, "")
    if device == "float":
        _check_window(window, model.config.context_length)
        return evaluate(FloatLogits(model), None, ids, window, progress)
    compiled = compile_model(model, config)
    _check_window(window, compiled.context)
    return evaluate(FloatLogits(quantize_model(model, compiled.formats)), GoldenLogits(compiled), ids, window, progress)


def _check_window(window: int, context: int) -> None:
    if window > context:
        raise RequestError(f"window is {window}: the context is {context} positions; choose {context} or fewer")


def compile_to(
    model: Model,
    config: AcceleratorConfig,
    folder: Path,
    *,
    weight_format: str = AUTO,
    head_format: str = "Q8_0",
    context: int | None = None,
    progress: Progress | None = None,
) -> CompiledModel:
    """Compile a model and write image, listing and manifest.

    Raises:
        ConfigError, FitError: bad input. OSError: the folder cannot be written; nothing is left behind.
    """
    check_folder(folder, COMPILED_FILES)
    compiled = compile_model(
        model, config, weight_format=weight_format, head_format=head_format, context=context, progress=progress
    )
    compiled.save(folder)
    return compiled


def describe_config(config: AcceleratorConfig) -> dict[str, Any]:
    """Parameters of a config and what follows from them."""
    derived = derive(config)
    enough = STREAM_MARGIN * derived.bus_bytes
    bound = [f.name for f in derived.formats if config.array.channels * f.block_bytes < enough]
    return {
        **config.to_dict(),
        "bus_bytes": derived.bus_bytes,
        "macs_per_cycle": derived.macs,
        "array_bound_formats": bound,
    }


def describe_model(model: Model, config: AcceleratorConfig) -> dict[str, Any]:
    """Sizes of a model and how it fits a config.

    Returns:
        Plain data; `fits` says whether it does, `misfits` what to change, and the rest is None where it doesn't.
    """
    c = model.config
    tied = c.tied_embeddings
    described: dict[str, Any] = {
        "name": c.name,
        "architecture": c.architecture,
        "parameters": sum(_count(t.shape) for n, t in model.tensors.items() if not (tied and n == "output")),
        "layers": c.n_layers,
        "dim": c.dim,
        "hidden_dim": c.hidden_dim,
        "heads": c.n_heads,
        "kv_heads": c.n_kv_heads,
        "head_dim": c.head_dim,
        "vocabulary": c.vocab_size,
        "context": c.context_length,
    }
    try:
        made = plan(config, c, choose_formats(model, config, AUTO, "Q8_0"))
    except FitError as error:
        return {**described, "fits": False, "misfits": [str(m) for m in error.misfits]}
    memory = made.memory
    streamed = memory.streamed_bytes
    return {
        **described,
        "fits": True,
        "misfits": [],
        "formats": {"output": made.formats.output, **{n: made.formats.slots(n) for n in made.formats.linears}},
        "usable_context": made.context,
        "program_bytes": len(made.program) * 32,
        "image_bytes": memory.image_bytes,
        "kv_bytes": memory.kv_bytes,
        "streamed_bytes_per_token": streamed,
        "lower_bound_cycles_per_token": -(-streamed // derive(config).bus_bytes),
        "on_chip_words": made.allocation.used,
    }


def _count(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size


def forecast_model(model: Model, config: AcceleratorConfig) -> dict[str, Any] | None:
    """Cycles that the cycle model predicts for decode and a prompt, see `forecast`; None: it does not fit."""
    try:
        return forecast(plan(config, model.config, choose_formats(model, config, AUTO, "Q8_0")))
    except FitError:
        return None
