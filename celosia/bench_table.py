"""A bench as tables for people."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.table import Table

from .bench import stalls
from .sim.ledger import ARRAY_USEFUL, BUS_USEFUL

MOST_CAUSES = 3
"""Causes that a cell names; the JSON object has all of them."""

FILE_WIDTH = 220

_FIGURES = ("cycles", "bytes", "MACs", "bus", "MAC", "bound", "ratio")


def show_bench(result: dict[str, Any], console: Console | None = None) -> None:
    """Print every phase, then the instruction classes of whole steps, then what was not run."""
    # In a file or a pipe nothing wraps.
    console = console or (Console() if sys.stdout.isatty() else Console(width=FILE_WIDTH))
    title = f"{result['model']} on {result['config']}, {result['dram']} memory"
    table = _table(title, "phase", "predicted", "elements/cycle")
    for phase in result["phases"]:
        rate = f"{phase['elements'] / phase['cycles']:.2f}" if phase["kind"] == "unit" else "-"
        table.add_row(phase["name"], *_figures(phase), _predicted(phase), rate, *_causes(phase, phase["ledger_cycles"]))
    console.print(table)
    for phase in result["phases"]:
        if phase["kind"] in ("decode", "prompt"):
            table = _table(f"{phase['name']}: instruction classes", "instruction", "exposed")
            for entry in phase["instructions"]:
                exposed = entry["exposed_cycles"]
                table.add_row(entry["name"], *_figures(entry), f"{exposed:,}", *_causes(entry, exposed))
            console.print(table)
    for phase in result["phases"]:
        if phase["kind"] == "decode":
            console.print(f"{phase['name']}: {phase['cycles_per_token']:,.1f} cycles a token")
        if phase["kind"] == "prompt":
            shares = (phase[name] for name in ("mac_utilization", "mac_utilization_without_head"))
            console.print(
                "{}: {} of the array, {} without the output head".format(phase["name"], *map(_percent, shares))
            )
    for extra in result["extra_cycles"]:
        cycles, alone = (f"{extra[name]:,}" for name in ("cycles", "product_cycles"))
        console.print(
            f"{extra['name']}: {100 * extra['share']:+.3f} % cycles over the bare product "
            f"({extra['phase']}: {cycles}, its products alone {alone})"
        )
    for phase in result["phases"]:
        if phase["dram"] is not None:
            shares = (phase["dram"][name] for name in ("share_of_deliverable", "share_of_peak"))
            console.print(
                "{}: {} of what the memory delivers, {} of its peak".format(phase["name"], *map(_percent, shares))
            )
    for phase in result["skipped"]:
        console.print(f"{phase['name']}: not run: {phase['reason']}")


def _table(title: str, first: str, *more: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first, no_wrap=True)
    for name in (*_FIGURES, *more):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("bus idle by cause")
    table.add_column("array idle by cause")
    return table


def _figures(entry: dict[str, Any]) -> list[str]:
    ratio = entry["ratio"]
    return [
        *(f"{entry[name]:,}" for name in ("cycles", "bytes", "macs")),
        *(_percent(entry[name]) for name in ("bus_utilization", "mac_utilization")),
        f"{entry['lower_bound_cycles']:,}",
        "-" if ratio is None else f"{ratio:.3f}",
    ]


def _predicted(phase: dict[str, Any]) -> str:
    """Cycles of the cycle model, and how far they are from the measured ones."""
    cycles = phase["predicted_cycles"]
    return "-" if cycles is None else f"{cycles:,} ({100 * (cycles / phase['cycles'] - 1):+.2f} %)"


def _causes(entry: dict[str, Any], total: int) -> list[str]:
    """The largest causes of lost cycles, as shares of all cycles that the ledgers have."""
    cells = []
    for ledger, useful in (("bus", BUS_USEFUL), ("array", ARRAY_USEFUL)):
        lost = stalls(entry[ledger], useful)[:MOST_CAUSES]
        cells.append(
            ", ".join(f"{name} {_percent(count / total)}".replace(" ", "\N{NO-BREAK SPACE}") for name, count in lost)
        )
    return cells


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
