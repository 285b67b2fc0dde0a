"""What `celosia bench` prints and writes: figures that agree, a page that needs nothing else, a trace."""

import json
import re
from html.parser import HTMLParser
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from celosia.bench import NO_INSTRUCTION, to_json
from celosia.bench_page import MOST_BUCKETS, page
from celosia.bench_table import show_bench
from celosia.bench_trace import chrome_trace
from celosia.cli import main
from celosia.sim.bench import Bench, run_bench
from celosia.sim.dram import load_dram
from celosia.sim.ledger import ARRAY_CLASSES, ARRAY_USEFUL, BUS_CLASSES, BUS_USEFUL, UNITS

from ..system.support import WIDE, small_model

PHASE = {
    *("name", "kind", "context", "cycles", "bytes", "macs", "elements", "bus_utilization", "mac_utilization"),
    *("lower_bound_cycles", "ratio", "ledger_cycles", "bus", "array", "bus_stalls", "array_stalls", "busy"),
    "predicted_cycles",
    *("instructions", "dram", "intervals_dropped", "mac_utilization_without_head", "cycles_per_token"),
}
CLASS = PHASE - {
    "predicted_cycles",
    "kind",
    "context",
    "ledger_cycles",
    "bus_stalls",
    "array_stalls",
    "busy",
    "instructions",
    "dram",
}
CLASS = CLASS - {"intervals_dropped", "mac_utilization_without_head", "cycles_per_token"} | {"count", "exposed_cycles"}


@pytest.fixture(scope="module")
def run() -> Bench:
    return run_bench(small_model(WIDE), load_dram("ddr4"), prompts=(30, 500), decodes=(15, 192))


@pytest.fixture(scope="module")
def result(run: Bench) -> dict[str, Any]:
    return to_json(run)


def test_json_is_one_object_with_every_field(result):
    assert json.loads(json.dumps(result)) == result
    assert {"schema", "model", "config", "dram", "bus_bytes_per_cycle", "macs_per_cycle", "phases", "skipped"} <= set(
        result
    )
    names = [phase["name"] for phase in result["phases"]]
    assert {"decode@16", "softmax", "norm", "rope", "gate", "quantize"} <= set(names)
    assert any(name.startswith("attention@") for name in names)
    assert {skipped["name"] for skipped in result["skipped"]} >= {"decode@256", "decode@2048"}
    for phase in result["phases"]:
        assert set(phase) == PHASE
        assert set(phase["bus"]) == set(BUS_CLASSES) and set(phase["array"]) == set(ARRAY_CLASSES)
        assert all(set(entry) == CLASS for entry in phase["instructions"])


def test_predicted_cycles_stand_beside_those_of_an_ideal_memory(result):
    assert all(phase["predicted_cycles"] is None for phase in result["phases"])
    ideal = to_json(run_bench(small_model(WIDE), prompts=(30,), decodes=(15,)))
    whole = {phase["name"]: phase for phase in ideal["phases"] if phase["kind"] in ("decode", "prompt", "product")}
    assert {"decode@16", "decode@1-15", "prompt@30"} < set(whole) and len(whole) == 5
    for phase in ideal["phases"]:
        predicted = phase["predicted_cycles"]
        if phase["name"] in whole:
            assert predicted == pytest.approx(phase["cycles"], rel=0.03)
        else:
            assert predicted is None
    text = StringIO()
    show_bench(ideal, Console(file=text, width=300))
    assert f"{whole['prompt@30']['predicted_cycles']:,} (" in text.getvalue()


def test_ledgers_and_classes_add_up(result):
    for phase in result["phases"]:
        total = phase["ledger_cycles"]
        assert sum(phase["bus"].values()) == sum(phase["array"].values()) == total > 0
        assert phase["bus_stalls"] == total - sum(phase["bus"][name] for name in BUS_USEFUL)
        assert phase["array_stalls"] == total - sum(phase["array"][name] for name in ARRAY_USEFUL)
        if phase["kind"] not in ("decode", "prompt", "product"):
            continue
        assert phase["cycles"] == total
        classes = phase["instructions"]
        assert classes[-1]["name"] == NO_INSTRUCTION
        assert sum(entry["exposed_cycles"] for entry in classes) == total
        assert sum(entry["macs"] for entry in classes) == phase["macs"]
        assert sum(entry["bytes"] for entry in classes) == pytest.approx(phase["bytes"], abs=len(classes))
        for ledger in ("bus", "array"):
            for name, cycles in phase[ledger].items():
                assert sum(entry[ledger].get(name, 0) for entry in classes) == cycles


def test_figures_follow_from_what_was_counted(result):
    decode = next(phase for phase in result["phases"] if phase["name"] == "decode@16")
    bus, peak = result["bus_bytes_per_cycle"], result["macs_per_cycle"]
    assert (bus, peak) == (32, 4 * 2 * 32)
    assert decode["lower_bound_cycles"] == max(-(-decode["bytes"] // bus), -(-decode["macs"] // peak))
    assert decode["ratio"] == decode["cycles"] / decode["lower_bound_cycles"] > 1
    assert decode["bus_utilization"] == pytest.approx(decode["bytes"] / decode["cycles"] / bus, rel=1e-4)
    assert 0 < decode["mac_utilization"] < decode["bus_utilization"] < 1
    assert decode["dram"]["name"] == result["dram"] == "ddr4"
    assert 0 < decode["dram"]["share_of_deliverable"] <= 1.05
    product = next(phase for phase in result["phases"] if phase["kind"] == "product")
    assert (product["name"], product["macs"]) == ("product 192x1024x1024", 192 << 20)
    loads = next(entry for entry in product["instructions"] if entry["name"] == "LOAD_ROWS")
    assert (loads["count"], loads["bytes"], loads["elements"]) == (12, 192 * 4096, 192 * 1024)
    assert 0.5 < product["mac_utilization"] < 1
    softmax = next(phase for phase in result["phases"] if phase["name"] == "softmax")
    assert 0 < softmax["cycles"] < softmax["ledger_cycles"]


def test_decode_steps_one_after_the_other(result):
    assert {"name": "decode@1-192", "kind": "decode", "reason": "the context has 192 positions"} in result["skipped"]
    phases = {phase["name"]: phase for phase in result["phases"]}
    one, many = phases["decode@16"], phases["decode@1-15"]
    assert one["cycles_per_token"] == one["cycles"]
    assert many["cycles_per_token"] == many["cycles"] / 15 == pytest.approx(one["cycles"], rel=0.1)
    head, heads = (next(e for e in phase["instructions"] if e["name"] == "MATMUL (head)") for phase in (one, many))
    assert (heads["count"], heads["macs"]) == (15 * head["count"], 15 * head["macs"])
    assert all(phase["cycles_per_token"] is None for phase in result["phases"] if phase["kind"] != "decode")


def test_what_is_fused_stands_beside_the_bare_products(result):
    phases = {phase["name"]: phase for phase in result["phases"]}
    activation, softmax = sorted(result["extra_cycles"], key=lambda extra: extra["name"])
    assert (activation["name"], softmax["name"]) == ("activation", "softmax")
    bare, fused = phases["product 192x1024x1024"], phases["product 192x1024x1024 of SiLU"]
    assert (activation["product_cycles"], activation["cycles"]) == (bare["cycles"], fused["cycles"])
    assert "QUANTIZE (gate)" in {entry["name"] for entry in fused["instructions"]}
    assert 0 <= activation["share"] == fused["cycles"] / bare["cycles"] - 1 < 0.005
    attention = phases["attention@128, 16 rows"]
    assert attention["cycles"] == softmax["cycles"] > softmax["product_cycles"] == attention["array"]["attention"]
    assert softmax["share"] == softmax["cycles"] / softmax["product_cycles"] - 1


def test_a_prompt_with_and_without_its_head(result):
    assert {"name": "prompt@500", "kind": "prompt", "reason": "the context has 192 positions"} in result["skipped"]
    prompt = next(phase for phase in result["phases"] if phase["kind"] == "prompt")
    assert prompt["name"] == "prompt@30"
    assert all(phase["mac_utilization_without_head"] is None for phase in result["phases"] if phase is not prompt)
    head = next(entry for entry in prompt["instructions"] if entry["name"] == "MATMUL (head)")
    cycles = prompt["cycles"] - head["exposed_cycles"]
    share = (prompt["macs"] - head["macs"]) / (cycles * result["macs_per_cycle"])
    assert prompt["mac_utilization_without_head"] == pytest.approx(share)
    assert prompt["mac_utilization"] < share < 1


class Page(HTMLParser):
    """Tags with their attributes, and the text of the script that holds the data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag == "script" and ("id", "data") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data += data


def test_the_page_stands_alone_and_has_everything(run, result):
    text = page(result, run)
    assert "@@" not in text
    found = Page(text)
    for tag, attributes in found.tags:
        assert tag not in ("link", "img", "iframe", "base"), tag
        assert not {"src", "href", "action"} & set(attributes), tag
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    assert [attributes.get("class") for tag, attributes in found.tags if tag == "svg"] == [
        *("roofline", "bars-bus", "bars-array"),
    ]
    data = json.loads(found.data)
    assert data["units"] == list(UNITS)
    assert [name for name, _ in data["bus"]] == list(BUS_CLASSES)
    assert [phase["name"] for phase in data["phases"]] == [phase["name"] for phase in result["phases"]]
    decode = data["phases"][0]
    assert len(decode["intervals"]) == len(run.measured[0].ledger.intervals) > 10
    assert len(decode["busBuckets"]) <= MOST_BUCKETS
    assert sum(map(sum, decode["busBuckets"])) == sum(map(sum, decode["arrayBuckets"])) == decode["cycles"]
    points = [phase for phase in result["phases"] if phase["macs"] and phase["bytes"]]
    assert sum(tag == "circle" for tag, _ in found.tags) == len(points) >= 2
    # Both axes of the roofline have values, at powers of four.
    ticks = [int(value) for value in re.findall(r'class="tick"[^>]*>(\d+)<', text)]
    assert len(ticks) >= 4 and all(value & (value - 1) == 0 and value.bit_length() % 2 for value in ticks)
    for phase in result["phases"]:
        assert f"<td>{phase['name']}</td><td>{phase['cycles']:,}</td>" in text
        for ledger in ("bus", "array"):
            for name, cycles in phase[ledger].items():
                if cycles:
                    assert f"{phase['name']}: {name} {cycles:,} of {phase['ledger_cycles']:,} cycles" in text


def test_names_of_models_cannot_break_the_page(run, result):
    text = page({**result, "model": "<script>alert(1)</script>"}, run)
    assert "<script>alert" not in text and "&lt;script&gt;alert" in text


def test_the_trace_has_every_interval(run):
    events = json.loads(chrome_trace(run))["traceEvents"]
    processes = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert processes == [measured.phase.name for measured in run.measured]
    spans = [event for event in events if event["ph"] == "X"]
    assert len(spans) == sum(len(measured.ledger.intervals) for measured in run.measured)
    assert all(event["dur"] > 0 for event in spans)
    first = [event for event in spans if event["pid"] == 1]
    assert {"MATMUL", "ATTEND", "MATMUL (head)", "QUANTIZE (gate)"} <= {event["name"] for event in first}
    # On a thread, spans do not overlap.
    for thread in range(1, len(UNITS) + 1):
        mine = [event for event in first if event["tid"] == thread]
        assert all(a["ts"] + a["dur"] <= b["ts"] for a, b in pairwise(mine))


def test_the_table_names_phases_causes_and_what_was_not_run(result):
    written = StringIO()
    show_bench(result, Console(file=written, width=260))
    text = written.getvalue()
    for phase in result["phases"]:
        assert phase["name"] in text and f"{phase['cycles']:,}" in text
    assert "decode@16: instruction classes" in text
    assert "decode@2048: not run: the context has" in text
    assert "of what the memory delivers" in text


@pytest.mark.parametrize("option", ["--html", "--chrome-trace"])
def test_a_folder_that_is_not_there_is_named_before_anything_runs(option, tmp_path):
    ran = CliRunner().invoke(main, ["bench", option, str(tmp_path / "missing" / "page")])
    assert ran.exit_code == 2
    assert ran.stderr.count("\n") == 1 and str(tmp_path / "missing") in ran.stderr
