"""Programs, allocation, the memory map and the image as a whole."""

import math
from dataclasses import replace
from importlib import resources
from itertools import combinations, pairwise

import numpy as np
import pytest

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.arch.formats import WEIGHT_FORMATS
from celosia.arch.isa import Flag, Geometry, Opcode
from celosia.arch.layout import MatmulLayout
from celosia.arch.model import Model
from celosia.driver.compiler import CompiledModel, FitError, FormatPlan, compile_model, plan, uniform_formats
from celosia.driver.compiler.allocate import allocate
from celosia.driver.compiler.program import Buffer, Operation
from celosia.driver.importers import load_model, quantize

from ..models import middle_config, random_config, random_model
from .unpacker import read_weight

LLAMA = (
    "EMBED ROPE_TABLE LOAD LOOP NORM MATMUL MATMUL QUERY MATMUL APPEND ATTEND QUANTIZE MATMUL LOAD "
    "NORM MATMUL MATMUL QUANTIZE MATMUL LOAD NEXT LOAD NORM MATMUL SAMPLE END"
)


def _compile(seed: int = 1, config: AcceleratorConfig | None = None, **changes: object) -> tuple[Model, CompiledModel]:
    model = random_model(random_config(**changes), seed)
    return model, compile_model(model, config or middle_config())


def _dequantized(compiled: CompiledModel, operand: str, layer: int = 0) -> np.ndarray:
    """A matrix as the image holds it: float64 [channels, 32 * blocks]."""
    place = compiled.memory.placements[operand]
    o = place.operand
    layout = MatmulLayout(compiled.config, WEIGHT_FORMATS[o.format], o.n, o.k)
    base = place.at(layer)
    rows = []
    for channel in range(o.n):
        cells = [read_weight(compiled.image, base, layout, channel, block) for block in range(o.k)]
        rows.append([d * q + m for d, m, qs in cells for q in qs])
    return np.array(rows)


def _floats(compiled: CompiledModel, operand: str, layer: int = 0) -> np.ndarray:
    place = compiled.memory.placements[operand]
    start = place.at(layer)
    return compiled.image[start : start + 4 * place.operand.n].view("<f4")


def test_a_llama_is_the_program_of_the_instruction_set_page() -> None:
    _, compiled = _compile()
    assert " ".join(i.opcode.name for i in compiled.program) == LLAMA
    assert compiled.program_bytes == 26 * 32
    assert bytes(compiled.image[: 26 * 32]) == b"".join(i.encode() for i in compiled.program)
    by_name = {note.operand: i for i, note in zip(compiled.program, compiled.notes, strict=True) if note.operand}
    assert by_name["w_down"].flags == Flag.RESIDUAL
    assert by_name["output"].flags == Flag.HEAD | Flag.LAST_ROW | Flag.TOP_K
    assert by_name["output"].n == 100
    assert compiled.program[20].src == 4
    assert compiled.program[3].n == 2


@pytest.mark.parametrize("layers", [1, 3, 40])
def test_the_program_does_not_grow_with_depth_or_context(layers: int) -> None:
    formats = uniform_formats(random_config(n_layers=layers), "Q4_1", "Q8_0")
    for context in (32, 2048):
        model = random_config(n_layers=layers, context_length=context)
        assert len(plan(middle_config(), model, formats).program) == 26


def test_operands_of_norms_and_attention_are_the_bits_of_their_floats() -> None:
    _, compiled = _compile(dim=72, head_dim=24, norm_eps=1e-6)
    norm = compiled.program[4]
    assert (norm.n, norm.k) == (72, 3)
    assert np.uint32(norm.imm).view(np.float32) == np.float32(1e-6)
    assert np.uint32(norm.aux).view(np.float32) == np.float32(1 / 72)
    attend = next(i for i in compiled.program if i.opcode == Opcode.ATTEND)
    assert np.uint32(attend.imm).view(np.float32) == np.float32(math.log2(math.e) / math.sqrt(24))
    assert Geometry.decode(attend.aux) == compiled.geometry
    assert (attend.base, attend.stride) == (2 * attend.stride, attend.stride)
    assert attend.pitch == 96 // 8


def test_buffers_that_live_at_the_same_time_never_overlap() -> None:
    model = random_config()
    p = plan(load_config("default"), model, uniform_formats(model, "Q8_0", "Q8_0"))
    a = p.allocation
    for one, two in combinations([b for b in a.buffers if b.memory != "PM"], 2):
        together = a.first[one.name] <= a.last[two.name] and a.first[two.name] <= a.last[one.name]
        apart = a.base[one.name] + one.words <= a.base[two.name] or a.base[two.name] + two.words <= a.base[one.name]
        assert apart or not together or one.memory != two.memory, (one, two)
    rows = {b.name: b.words for b in a.buffers if b.memory == "SPM"}
    assert a.used["SPM"] < sum(rows.values())  # lifetimes save something
    assert a.used["SPM"] >= rows["x"] + rows["gate"] + rows["up"]


def test_an_instruction_never_reads_and_writes_overlapping_buffers() -> None:
    one, two, three = Buffer("one", "AM", 4, 32), Buffer("two", "AM", 6, 32), Buffer("three", "AM", 4, 32)
    steps = [Operation(Opcode.NORM, dst=one), Operation(Opcode.NORM, src=one, dst=two)]
    a = allocate([*steps, Operation(Opcode.NORM, src=two, dst=three)])
    assert (a.base["one"], a.base["two"], a.base["three"]) == (6, 0, 6)
    assert a.used == {"SPM": 0, "AM": 10, "PM": 0}


def test_operands_stand_apart_in_order_of_consumption() -> None:
    for tied in (True, False):
        _, compiled = _compile(tied_embeddings=tied)
        spans = []
        for p in compiled.memory.placements.values():
            for layer in range(p.operand.copies):
                spans.append((p.at(layer), p.bytes, p.operand.name))
        spans.sort()
        assert spans[0][0] >= compiled.program_bytes
        for (start, size, _), (after, _, _) in pairwise(spans):
            assert start + size <= after
        streamed = [name for _, _, name in spans if name != "embedding"]
        layer = ["attention_norm", "wq", "wk", "wv", "wo", "ffn_norm", "w_gate", "w_up", "w_down"]
        assert streamed == ["rope", *layer, *layer, "final_norm", "output"]
        assert all(r.offset % 64 == 0 for r in compiled.memory.regions)
        assert compiled.memory.kv_offset % 4096 == 0
        assert spans[-1][0] + spans[-1][1] == compiled.memory.image_bytes == len(compiled.image)
        assert compiled.memory.kv_bytes == 256 * 2 * 2 * (64 + 2048)


@pytest.mark.parametrize("pairing", ["half", "neighbour"])
@pytest.mark.parametrize(("head", "heads", "kv_heads"), [(8, 8, 4), (24, 2, 1), (32, 4, 2)])
def test_the_image_holds_the_weights(head: int, heads: int, kv_heads: int, pairing: str) -> None:
    model, compiled = _compile(
        dim=40, hidden_dim=70, head_dim=head, n_heads=heads, n_kv_heads=kv_heads, rope_pairing=pairing
    )

    def expect(tensor: str) -> np.ndarray:
        return quantize(model.tensors[tensor].dequantize(), "Q8_0").dequantize()

    for layer in range(2):
        keys = _dequantized(compiled, "wk", layer)[:, :40]
        perm = np.arange(head) if pairing == "neighbour" else np.arange(head).reshape(2, -1).T.reshape(-1)
        wanted = expect(f"layers.{layer}.wk").reshape(kv_heads, head, 40)[:, perm]
        lanes = head if head == 8 else 32
        packed = keys.reshape(kv_heads, lanes, 40)
        assert np.array_equal(packed[:, :head], wanted)
        assert not packed[:, head:].any()
        assert np.array_equal(_dequantized(compiled, "wo", layer)[:, : heads * head], expect(f"layers.{layer}.wo"))
        up = _dequantized(compiled, "w_up", layer)
        assert up.shape == (70, 64)
        assert np.array_equal(up[:, :40], expect(f"layers.{layer}.w_up"))
        gain = _floats(compiled, "ffn_norm", layer)
        assert np.array_equal(gain[:40], model.tensors[f"layers.{layer}.ffn_norm"].dequantize())
        assert not gain[40:].any()
    assert np.array_equal(_dequantized(compiled, "embedding")[:, :40], expect("embedding"))


def test_layer_norm_gelu_and_biases() -> None:
    model, compiled = _compile(
        norm="layer", activation="gelu", qkv_bias=True, attention_output_bias=True, mlp_bias=True, tied_embeddings=True
    )
    names = [note.operand for note in compiled.notes if note.operand]
    assert names[2:8] == ["attention_norm", "attention_norm.bias", "wq.bias", "wq", "wk.bias", "wk"]
    assert names[-3:] == ["final_norm", "final_norm.bias", "output"]
    assert "w_gate" not in names
    norm = next(i for i in compiled.program if i.opcode == Opcode.NORM)
    assert norm.flags == Flag.LAYER_NORM
    loads = [i for i in compiled.program if i.opcode == Opcode.LOAD]
    assert (loads[0].dst, loads[1].dst, loads[2].dst) == (0, 64 // 8, 0)
    assert [i.flags for i in compiled.program if i.opcode == Opcode.QUANTIZE] == [Flag(0), Flag.GELU]
    perm = np.arange(32).reshape(2, -1).T.reshape(-1)
    bias = model.tensors["layers.1.wk.bias"].dequantize().reshape(2, 32)[:, perm].reshape(-1)
    assert np.array_equal(_floats(compiled, "wk.bias", 1), bias)
    down = next(i for i, n in zip(compiled.program, compiled.notes, strict=True) if n.operand == "w_down")
    assert down.flags == Flag.BIAS | Flag.RESIDUAL


def test_each_run_of_layers_with_equal_formats_is_a_loop() -> None:
    formats = {"layers.2.wv": "Q8_0", "layers.3.wv": "Q8_0", "layers.4.w_up": "Q4_1", "embedding": "Q8_0"}
    model = random_model(random_config(n_layers=5, tied_embeddings=True), 3, formats)
    compiled = compile_model(model, middle_config(), weight_format="Q4_0")
    loops = [(i.k, i.n) for i in compiled.program if i.opcode == Opcode.LOOP]
    assert loops == [(0, 2), (2, 4), (4, 5)]
    bodies = [i.src for i in compiled.program if i.opcode == Opcode.NEXT]
    assert [compiled.program[at - 1].opcode for at in bodies] == [Opcode.LOOP] * 3
    assert len(compiled.program) == 7 + 3 * 19
    by_name = {note.operand: i for i, note in zip(compiled.program, compiled.notes, strict=True) if note.operand}
    assert [by_name[f"wv[{a}:{b}]"].format for a, b in loops] == [
        WEIGHT_FORMATS[f].code for f in ("Q4_0", "Q8_0", "Q4_0")
    ]
    expected = {(0, 1): "Q4_0", (2, 3): "Q8_0", (4,): "Q4_0"}
    for layers, name in expected.items():
        for layer in layers:
            operand = f"[{layers[0]}:{layers[-1] + 1}]"
            tensor = model.tensors[f"layers.{layer}.wv"].dequantize()
            wanted = (
                quantize(tensor, name) if layer not in (2, 3) else model.tensors[f"layers.{layer}.wv"]
            ).dequantize()
            assert np.allclose(_dequantized(compiled, f"wv{operand}", layer), wanted, rtol=0, atol=1e-6)
            gain = model.tensors[f"layers.{layer}.ffn_norm"].dequantize()
            assert np.array_equal(_floats(compiled, f"ffn_norm{operand}", layer), gain)
    attends = [i for i in compiled.program if i.opcode == Opcode.ATTEND]
    assert len({(i.base, i.stride, i.src, i.dst) for i in attends}) == 1, "cache and buffers are those of every run"
    formats = uniform_formats(model.config, "Q4_0", "Q8_0")
    alike = plan(middle_config(), model.config, formats).allocation
    assert plan(middle_config(), model.config, compiled.formats).allocation.used == alike.used


def test_a_late_run_of_large_layers_has_a_base_below_zero() -> None:
    """As many layers before it as make layer * stride larger than what stands in front of it."""
    wide = dict.fromkeys((f"layers.7.{name}" for name in ("w_gate", "w_up", "w_down")), "Q8_0")
    model = random_model(random_config(n_layers=8, vocab_size=32, hidden_dim=512), 3, wide)
    compiled = compile_model(model, middle_config(), weight_format="Q4_0")
    place = compiled.memory.placements["wq[7:8]"]
    assert place.base < 0
    index = [note.operand for note in compiled.notes].index("wq[7:8]")
    instruction = compiled.program[index]
    assert (instruction.base + 7 * instruction.stride) % (1 << 40) == place.offset
    line = next(line for line in compiled.listing().splitlines() if "wq[7:8]" in line)
    assert f"at -{-place.base:#x} + layer * {place.stride:#x}" in line


def test_formats_that_alternate_need_a_body_per_layer() -> None:
    """Until the instruction memory is full: 7 instructions and 19 for every run."""

    def formats(layers: int) -> FormatPlan:
        plain = uniform_formats(random_config(n_layers=layers), "Q4_0", "Q8_0")
        return replace(plain, linears={**plain.linears, "wv": tuple(("Q4_0", "Q4_1")[i % 2] for i in range(layers))})

    kria = middle_config()
    assert len(plan(kria, random_config(n_layers=3), formats(3)).program) == 64
    with pytest.raises(
        FitError, match=r"control.program_words = 64: this model needs 83 .* set control.program_words to 83"
    ):
        plan(kria, random_config(n_layers=4), formats(4))
    with pytest.raises(FitError, match=r"needs 140 .*; no legal value of control.program_words is enough$"):
        plan(kria, random_config(n_layers=7), formats(7))


def test_float_weights_that_lie_on_the_four_bit_grid_stay_exact() -> None:
    model = random_model(random_config(), 5)
    snapped = {
        name: replace(t, data=quantize(t.data, "Q4_0").dequantize()) if ".w" in name else t
        for name, t in model.tensors.items()
    }
    automatic = compile_model(replace(model, tensors=snapped), middle_config())
    assert automatic.formats.linears["wq"] == ("Q4_0", "Q4_0")
    assert automatic.formats.embedding == "Q8_0"
    assert compile_model(model, middle_config()).formats.linears["wq"] == ("Q8_0", "Q8_0")
    with pytest.raises(ValueError, match=r"^weight_format is 'Q5_0': it must be one of auto, Q8_0, Q4_0, Q4_1$"):
        compile_model(model, middle_config(), weight_format="Q5_0")


def test_progress_ends_at_the_whole_image() -> None:
    seen: list[tuple[int, int]] = []
    model = random_model(random_config(), 1)
    compiled = compile_model(model, load_config(), progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert {total for _, total in seen} == {compiled.memory.image_bytes}


def test_every_pass_prints() -> None:
    model = random_config()
    p = plan(load_config(), model, uniform_formats(model, "Q4_0", "Q8_0"))
    for part in (p.geometry, p.formats, p.allocation, p.memory):
        assert len(str(part).splitlines()) > 2


def test_the_embedded_model_and_512_positions_fit_350_kib() -> None:
    config = load_config("default")
    config = replace(config, cache=replace(config.cache, pages=16))
    model = load_model(str(resources.files("celosia.models") / "celosia-tiny"))
    compiled = compile_model(model, config)
    assert compiled.context == 512
    assert compiled.memory.total_bytes <= 350 * 1024
