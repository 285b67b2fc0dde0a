"""A bench as one self-contained page: timeline of every unit, roofline, lost cycles by cause."""

from __future__ import annotations

import json
import math
from html import escape
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bench_trace import interval_name
from .sim.bench import Bench, Measured
from .sim.ledger import ARRAY_CLASSES, ARRAY_USEFUL, BUS_CLASSES, BUS_USEFUL, UNITS

MOST_INTERVALS = 30_000
"""Of a phase on the page; the first ones. `--chrome-trace` has all of them."""

MOST_BUCKETS = 1024
WIDTH, HEIGHT, MARGIN = 760, 340, 56
USEFUL_COLOURS = ("#2f7d4f", "#7fbf95")
CAUSE_COLOURS = (
    *("#c0504d", "#e0903a", "#d9b93b", "#8064a2", "#4f81bd", "#31a0a5", "#b65f9b", "#7a5c3e"),
    *("#9aa63c", "#5f6f8f", "#d98880", "#a0785a", "#6c8ebf", "#997a8d", "#708a5a", "#b0b0b0"),
)


def page(result: dict[str, Any], run: Bench) -> str:
    """The HTML document of a bench; `result` is its JSON object."""
    template = (resources.files(__package__) / "bench_page.html").read_text(encoding="utf-8")
    title = f"{result['model']} on {result['config']}, {result['dram']} memory"
    data = json.dumps({"units": UNITS, **_colours(), "phases": [_timeline(m) for m in run.measured]})
    parts = {
        "TITLE": escape(title),
        "TABLE": _table(result),
        "ROOFLINE": _roofline(result),
        "BUS": _bars(result, "bus", BUS_CLASSES, BUS_USEFUL),
        "ARRAY": _bars(result, "array", ARRAY_CLASSES, ARRAY_USEFUL),
        "SKIPPED": "".join(f"<li>{escape(s['name'])}: {escape(s['reason'])}</li>" for s in result["skipped"]),
        # Inside a script element nothing but its end needs to be hidden.
        "DATA": data.replace("</", "<\\/"),
    }
    for name, text in parts.items():
        template = template.replace(f"@@{name}@@", text)
    return template


def colours(classes: tuple[str, ...], useful: tuple[str, ...]) -> dict[str, str]:
    """A colour for every class: greens for what is useful."""
    causes = [name for name in classes if name not in useful]
    return dict(zip(useful, USEFUL_COLOURS, strict=True)) | dict(zip(causes, CAUSE_COLOURS, strict=False))


def _colours() -> dict[str, Any]:
    both = (("bus", BUS_CLASSES, BUS_USEFUL), ("array", ARRAY_CLASSES, ARRAY_USEFUL))
    return {name: [[c, colours(classes, useful)[c]] for c in classes] for name, classes, useful in both}


def _timeline(measured: Measured) -> dict[str, Any]:
    """What the script draws of a phase."""
    ledger = measured.ledger
    names: dict[str, int] = {}
    rows = []
    for record in ledger.intervals[:MOST_INTERVALS]:
        name = names.setdefault(interval_name(measured, record), len(names))
        rows.append(
            [int(record[f]) for f in ("begin", "end", "unit")] + [name, int(record["layer"]), int(record["chunk"])]
        )
    bus, width = _coarse(ledger.bus_buckets, ledger.bucket_cycles)
    array, _ = _coarse(ledger.array_buckets, ledger.bucket_cycles)
    return {
        "name": measured.phase.name,
        "cycles": ledger.cycles,
        "names": list(names),
        "intervals": rows,
        "cut": len(ledger.intervals) > MOST_INTERVALS or ledger.dropped > 0,
        "bucket": width,
        "busBuckets": bus.tolist(),
        "arrayBuckets": array.tolist(),
    }


def _coarse(buckets: NDArray[np.int64], cycles: int) -> tuple[NDArray[np.int64], int]:
    """Neighbouring buckets together, so that at most `MOST_BUCKETS` are left."""
    group = -(-len(buckets) // MOST_BUCKETS) or 1
    padded = np.pad(buckets, ((0, -len(buckets) % group), (0, 0)))
    return padded.reshape(-1, group, buckets.shape[1]).sum(axis=1), cycles * group


def _table(result: dict[str, Any]) -> str:
    head = ("phase", "cycles", "bytes", "MACs", "bus", "MAC", "lower bound", "ratio")
    rows = []
    for phase in result["phases"]:
        cells = (
            phase["name"],
            f"{phase['cycles']:,}",
            f"{phase['bytes']:,}",
            f"{phase['macs']:,}",
            _percent(phase["bus_utilization"]),
            _percent(phase["mac_utilization"]),
            f"{phase['lower_bound_cycles']:,}",
            "-" if phase["ratio"] is None else f"{phase['ratio']:.3f}",
        )
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<tr>{''.join(f'<th>{escape(h)}</th>' for h in head)}</tr>{''.join(rows)}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _bars(result: dict[str, Any], ledger: str, classes: tuple[str, ...], useful: tuple[str, ...]) -> str:
    """A bar for each phase: what its cycles were for, as shares."""
    colour = colours(classes, useful)
    used = [c for c in classes if any(phase[ledger][c] for phase in result["phases"])]
    line, left, width = 26, 130, 600
    parts = []
    for row, phase in enumerate(result["phases"]):
        total, x, y = phase["ledger_cycles"], float(left), row * line
        parts.append(f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{escape(phase["name"])}</text>')
        for name in used:
            share = phase[ledger][name] / total if total else 0
            tip = f"{phase['name']}: {name} {phase[ledger][name]:,} of {total:,} cycles ({100 * share:.1f} %)"
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 2}" width="{share * width:.2f}" height="{line - 6}" fill="{colour[name]}">'
                f"<title>{escape(tip)}</title></rect>"
            )
            x += share * width
    legend = "".join(f'<span><i style="background:{colour[c]}"></i>{c}</span>' for c in used)
    height = line * len(result["phases"])
    return (
        f'<svg class="bars-{ledger}" viewBox="0 0 {left + width + 10} {height}" role="img">{"".join(parts)}</svg>'
        f'<p class="legend">{legend}</p>'
    )


def _roofline(result: dict[str, Any]) -> str:
    """MACs a cycle over MACs a byte, both on logarithmic axes, under what bus and array allow."""
    peak, bus = result["macs_per_cycle"], result["bus_bytes_per_cycle"]
    points = [
        (phase["name"], phase["macs"] / phase["bytes"], phase["macs"] / phase["cycles"])
        for phase in result["phases"]
        if phase["macs"] and phase["bytes"] and phase["cycles"]
    ]
    ridge = peak / bus
    low = min([ridge / 8, *(p[1] / 2 for p in points)])
    high = max([ridge * 8, *(p[1] * 2 for p in points)])
    floor = min([low * bus, *(p[2] / 2 for p in points)])

    def x(intensity: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * math.log(intensity / low) / math.log(high / low)

    def y(rate: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * math.log(rate / floor) / math.log(2 * peak / floor)

    parts = [
        *(
            _tick(value, x(value), HEIGHT - MARGIN + 14, f"M{x(value):.1f},20 V{HEIGHT - MARGIN}")
            for value in _powers(low, high)
        ),
        *(
            _tick(value, MARGIN - 14, y(value) + 4, f"M{MARGIN},{y(value):.1f} H{WIDTH - MARGIN}")
            for value in _powers(floor, 2 * peak)
        ),
        f'<path class="roof" d="M{x(low):.1f},{y(low * bus):.1f} L{x(ridge):.1f},{y(peak):.1f} '
        f'L{x(high):.1f},{y(peak):.1f}"/>',
        f'<text x="{x(high):.1f}" y="{y(peak) - 8:.1f}" text-anchor="end">array: {peak:,} MACs/cycle</text>',
        # Above the middle of the slope; the points' names are below it, to their right.
        f'<text x="{x(math.sqrt(low * ridge)) - 8:.1f}" y="{y(math.sqrt(low * ridge) * bus) - 8:.1f}" '
        f'text-anchor="end">bus: {bus} bytes/cycle</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">MACs per byte</text>',
        f'<text transform="translate(16,{HEIGHT / 2}) rotate(-90)" text-anchor="middle">MACs per cycle</text>',
    ]
    for name, intensity, rate in points:
        parts.append(
            f'<circle cx="{x(intensity):.1f}" cy="{y(rate):.1f}" r="5">'
            f"<title>{escape(f'{name}: {intensity:.2f} MACs/byte, {rate:.1f} MACs/cycle')}</title></circle>"
            f'<text x="{x(intensity) + 8:.1f}" y="{y(rate) + 4:.1f}">{escape(name)}</text>'
        )
    return f'<svg class="roofline" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def _powers(low: float, high: float) -> list[float]:
    """Every second power of two from `low` to `high`."""
    return [2.0**i for i in range(math.ceil(math.log2(low)), math.floor(math.log2(high)) + 1) if i % 2 == 0]


def _tick(value: float, x: float, y: float, line: str) -> str:
    """A line of the grid and its value."""
    text = f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{value:g}</text>'
    return f'<path class="grid" d="{line}"/>{text}'
