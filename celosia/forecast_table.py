"""Predictions of the cycle model as tables for people."""

from typing import Any

from .console import table
from .driver.cycles.paper import ASSUMPTIONS


def show_forecast(predicted: dict[str, Any], clock_mhz: float) -> None:
    """Print what `api.forecast_model` says of a model that fits."""
    rows = {f"decode at context {row['context']}": _line(row) for row in predicted["decode"]}
    prompt = predicted["prompt"]
    table(f"Predicted, at {clock_mhz:g} MHz", rows | {f"prompt of {prompt['tokens']}": _line(prompt)})


def _line(row: dict[str, Any]) -> str:
    per_second = f"{row['tokens_per_second']:,.1f} tokens/s"
    return f"{row['cycles']:,} cycles, {per_second}, {row['limit']} {100 * row['busy']:.1f} % busy"


def show_paper(rows: list[dict[str, Any]]) -> None:
    """Print the rows of `driver.cycles.paper.paper_rows`, all assumptions and all fields of their configs."""
    lines = {}
    for row in rows:
        published = f"; published: {row['source']} {row['published']:g}" if row["published"] else ""
        size = "" if row["fits"] else f"; {row['gigabytes']:g} GB do not fit the memory"
        lines[f"{row['model']}, {row['board']}"] = (
            f"{row['tokens_per_second']:.2f} tokens/s at {row['clock_mhz']:g} MHz "
            f"(bandwidth alone: {row['bound']:.2f}), "
            f"{row['limit']} {100 * row['busy']:.1f} % busy{published}{size}"
        )
    table("Predicted decode of models too large to simulate", lines)
    table("Assumptions", {str(number): text for number, text in enumerate(ASSUMPTIONS, 1)})
    fields = {
        f"{row['model']}, {row['board']}": ", ".join(f"{k} = {v:g}" for k, v in row["config"].items()) for row in rows
    }
    table("Fields of the config that are not kria's", fields)
