"""The `celosia` command: options in, a function of `api` called, its result printed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import api
from .arch.config import load_config
from .arch.model import BLOCK_FORMATS
from .bench import bench as run_phases
from .bench_table import show_bench
from .build_command import build_
from .chat import conversation, converse, leaving, messages
from .console import MISMATCH, CommandGroup, progress, table
from .driver.compiler import AUTO
from .driver.cycles.paper import ASSUMPTIONS, paper_rows
from .driver.pull import CATALOG, pull_with_bar
from .driver.requests import RequestError
from .driver.sampling import Sampling
from .forecast_table import show_forecast, show_paper
from .generate import generate
from .matmul_command import matmul
from .options import TokenList, config_option, decodes_option, json_option, model_option, prompts_option
from .preset_table import preset_rows, show_presets
from .run_report import RunReport
from .synth_command import synth


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="celosia")
def main() -> None:
    """Generates LLM accelerators and runs language models on them, bit for bit as the RTL does."""


main.add_command(matmul)


@main.command("compile")
@model_option
@config_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--context", type=click.IntRange(1), help="Positions that a sequence must be able to have.")
@click.option("--weight-format", type=click.Choice([AUTO, *BLOCK_FORMATS]), default=AUTO, help="Of float weights.")
@click.option("--head-format", type=click.Choice([AUTO, *BLOCK_FORMATS]), default="Q8_0", help="Of float tables.")
@json_option
def compile_(
    model: str | None,
    config: str | None,
    output: Path,
    context: int | None,
    weight_format: str,
    head_format: str,
    as_json: bool,
) -> None:
    """Compile a model: memory image, program listing, manifest.

    Example: celosia compile --model smollm2-135m --config kria -o build/smollm2
    """
    chosen = load_config(config)
    loaded = api.load(model)
    with progress("packing") as report:
        compiled = api.compile_to(
            loaded,
            chosen,
            output,
            weight_format=weight_format,
            head_format=head_format,
            context=context,
            progress=report,
        )
    rows = {
        "model": compiled.model.name,
        "config": compiled.config.name,
        "output": str(output),
        "instructions": len(compiled.program),
        "program_bytes": compiled.program_bytes,
        "image_bytes": compiled.memory.image_bytes,
        "kv_bytes": compiled.memory.kv_bytes,
        "context": compiled.context,
        "seconds": compiled.seconds,
    }
    _print("Compiled", rows, as_json)


@main.command("run")
@model_option
@config_option
@click.option("--prompt", metavar="P", help="Text to continue.")
@click.option("--tokens", type=TokenList(), help="Token ids to continue, instead of a text.")
@click.option("-n", "count", type=int, default=32, show_default=True, help="Tokens to generate at most.")
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-k", type=int, help="Sample among the best K only.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help="Sample among the best that reach P.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampling.")
@click.option("--device", type=click.Choice(api.DEVICES), default="rtl", show_default=True)
@click.option("--waves", type=click.Path(path_type=Path), metavar="F", help="Write a VCD of the RTL; .gz: compressed.")
@click.option("--dram", metavar="D", help="The RTL's memory: ideal, ddr4, hbm, or a TOML file (docs/dram.md).")
@json_option
def run(
    model: str | None,
    config: str | None,
    prompt: str | None,
    tokens: list[int] | None,
    count: int,
    temperature: float,
    top_k: int | None,
    top_p: float,
    seed: int,
    device: str,
    waves: Path | None,
    dram: str | None,
    as_json: bool,
) -> None:
    """Generate text on a device; on the RTL, compare every tensor with the golden machine (exit code 1: they differ).

    Example: celosia run --prompt "Once upon a time" -n 64
    """
    sampling = Sampling(temperature, top_k, top_p, seed)
    chosen = load_config(config)
    loaded = api.load(model)
    with progress("compiling") as report:
        result = api.run(
            loaded,
            chosen,
            prompt=prompt,
            tokens=tokens,
            count=count,
            sampling=sampling,
            device=device,
            on_text=None if as_json else _stream(report.stop),
            progress=report,
            status=report.status,
            waves=waves,
            dram=dram,
        )
    _show_run(result, as_json)


def _show_run(result: RunReport, as_json: bool) -> None:
    """Print a run; exit with 1 where RTL and golden differ."""
    if as_json:
        click.echo(json.dumps(result.to_json()))
    else:
        click.echo()
        table(f"{result.model} on {result.config}", result.summary())
    if result.saturated:
        click.echo("celosia: warning: a number left the range of float32 and was saturated", err=True)
    if result.bit_exact is False:
        click.echo(f"celosia: RTL and golden differ: {result.mismatch}", err=True)
        sys.exit(MISMATCH)


@main.command("demo")
@click.pass_context
def demo(context: click.Context) -> None:
    """Generate the default accelerator, run the embedded model on its RTL, compare every tensor.

    Example: celosia demo
    """
    click.echo(api.DEFAULT_PROMPT, nl=False)
    context.invoke(run, count=48, device="rtl")


@main.command("chat")
@model_option
@config_option
@click.option("--device", type=click.Choice(api.DEVICES), default="golden", show_default=True)
@click.option("--system", metavar="TEXT", help="System message, before the conversation.")
@click.option(
    "-n", "count", type=click.IntRange(1), default=256, show_default=True, help="Tokens of an answer at most."
)
@click.option("--temperature", type=float, default=0.0, show_default=True, help="0 is greedy.")
@click.option("--top-k", type=int, help="Sample among the best K only.")
@click.option("--top-p", type=float, default=1.0, show_default=True, help="Sample among the best that reach P.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the sampling.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each line of stdin.")
def chat(
    model: str | None,
    config: str | None,
    device: str,
    system: str | None,
    count: int,
    temperature: float,
    top_k: int | None,
    top_p: float,
    seed: int,
    as_json: bool,
) -> None:
    """Hold a conversation: a line of stdin is a message. Ctrl-C ends an answer; Ctrl-D, or Ctrl-C twice, leaves.

    Example: celosia chat --model smollm2-135m --config kria
    """
    chosen = load_config(config)
    sampling = Sampling(temperature, top_k, top_p, seed)
    loaded = api.load(model)
    with (
        progress("compiling") as report,
        conversation(
            loaded, chosen, device=device, system=system, sampling=sampling, count=count, status=report.status
        ) as (talk, verified),
        leaving(),
    ):
        for message in messages("> ", before=report.stop):
            converse(talk, message, report.stop, as_json)
            mismatch = verified.comparison.mismatch if verified else None
            if mismatch:
                click.echo(f"celosia: RTL and golden differ: {mismatch}", err=True)
                sys.exit(MISMATCH)


@main.command("bench")
@model_option
@config_option
@click.option("--dram", metavar="D", help="The memory: ideal, ddr4, hbm, or a TOML file (docs/dram.md).")
@prompts_option
@decodes_option
@click.option("--html", type=click.Path(path_type=Path), metavar="F", help="Write a page: timeline, roofline, causes.")
@click.option("--chrome-trace", "trace", type=click.Path(path_type=Path), metavar="F", help="Timeline for Perfetto.")
@json_option
def bench(
    model: str | None,
    config: str | None,
    dram: str | None,
    prompts: tuple[int, ...],
    decodes: tuple[int, ...],
    html: Path | None,
    trace: Path | None,
    as_json: bool,
) -> None:
    """Run decode, prompt, attention and each unit on the RTL, and say what every cycle was for (docs/bench.md).

    Example: celosia bench --html bench.html
    """
    chosen = load_config(config)
    loaded = api.load(model)
    with progress("compiling") as report:
        result = run_phases(
            loaded,
            chosen,
            dram=dram,
            prompts=prompts,
            decodes=decodes,
            progress=report,
            status=report.status,
            html=html,
            trace=trace,
        )
    if as_json:
        click.echo(json.dumps(result))
    else:
        show_bench(result)


@main.command("generate")
@config_option
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@json_option
def generate_(config: str | None, output: Path, as_json: bool) -> None:
    """Write an accelerator: Verilog, manifest, register map, and what FuseSoC and Vivado read.

    Example: celosia generate --config kria -o build/kria
    """
    chosen = load_config(config)
    with progress("generating") as report:
        manifest = generate(chosen, output, status=report.status)
    rows = {
        "config": chosen.name,
        "output": str(output),
        "macs_per_cycle": manifest["derived"]["macs_per_cycle"],
        "verilog_bytes": manifest["verilog_bytes"],
        "seconds": manifest["seconds"],
    }
    _print("Generated", rows, as_json)


main.add_command(synth)
main.add_command(build_)


def _stream(before: Callable[[], None]) -> Callable[[str], None]:
    """Prints pieces of text as they come."""

    def show(text: str) -> None:
        before()
        click.echo(text, nl=False)

    return show


@main.command("eval")
@model_option
@config_option
@click.option("--text", "file", type=click.Path(path_type=Path), metavar="F", help="UTF-8 text file.")
@click.option("--tokens", type=TokenList(), help="Token ids, instead of a text.")
@click.option("--window", type=int, default=512, show_default=True, help="Tokens in a window.")
@click.option("--limit", type=click.IntRange(2), help="Only the first tokens of the text.")
@click.option("--device", type=click.Choice(api.EVALUATORS), default="golden", show_default=True)
@json_option
def evaluate(
    model: str | None,
    config: str | None,
    file: Path | None,
    tokens: list[int] | None,
    window: int,
    limit: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Perplexity of a text, against the float32 reference.

    Example: celosia eval --model smollm2-135m --config kria --text book.txt --limit 4608
    """
    if (file is None) == (tokens is None):
        raise RequestError("give a text file with --text, or token ids with --tokens")
    chosen = load_config(config)
    loaded = api.load(model)
    ids = tokens if file is None else api.tokens_of(loaded, _read(file), None, "")
    with progress("tokens") as report:
        result = api.evaluate_model(
            loaded, chosen, tokens=(ids or [])[:limit], window=window, device=device, progress=report
        )
    rows = {"model": loaded.config.name, "config": chosen.name, "device": device, "window": window, **result.to_json()}
    _print("Evaluated", rows, as_json)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{file}: byte {error.start} is not UTF-8; convert the file") from None


@main.command("pull")
@click.argument("name")
def pull(name: str) -> None:
    """Fetch a model into the user's cache.

    Example: celosia pull smollm2-135m
    """
    click.echo(pull_with_bar(name))


pull.help = f"{pull.help}\n\nNames: {', '.join(CATALOG)}, or a Hugging Face repository as owner/name."


@main.command("info")
@model_option
@config_option
@click.option("--paper", is_flag=True, help="Instead: models too large to simulate, on two boards' memory bandwidths.")
@click.option("--presets", is_flag=True, help="Instead: what generating each preset takes, and how fast it would be.")
@json_option
def info(model: str | None, config: str | None, paper: bool, presets: bool, as_json: bool) -> None:
    """What a config is, what a model is, whether they fit, and how fast that would be (docs/performance.md).

    Example: celosia info --model smollm2-135m --config kria
    """
    if paper:
        rows = paper_rows()
        if as_json:
            click.echo(json.dumps({"rows": rows, "assumptions": ASSUMPTIONS}))
        else:
            show_paper(rows)
        return
    if presets:
        with progress("generating all presets") as report:
            rows = preset_rows(report)
        if as_json:
            click.echo(json.dumps(rows))
        else:
            show_presets(rows)
        return
    chosen = load_config(config)
    loaded = api.load(model)
    predicted = api.forecast_model(loaded, chosen)
    settings, fitted = api.describe_config(chosen), api.describe_model(loaded, chosen)
    if as_json:
        click.echo(json.dumps({"config": settings, "model": fitted, "predicted": predicted}))
        return
    table("Config", settings)
    table("Model", fitted)
    if predicted is not None:
        show_forecast(predicted, chosen.control.clock_mhz)


def _print(title: str, rows: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows))
    else:
        table(title, rows)
