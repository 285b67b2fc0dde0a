"""Weights on their way into the image: formats, row order and padding."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from ...arch.config import AcceleratorConfig
from ...arch.isa import Geometry
from ...arch.model import BLOCK_FORMATS, Blocks, Model, ModelConfig, WeightTensor
from ..importers.weights import quantize
from .geometry import ModelGeometry

AUTO = "auto"
"""Weight format that stands for: `Q4_0` where that reproduces the weights exactly, else `Q8_0`."""

LINEARS = ("wq", "wk", "wv", "wo", "w_gate", "w_up", "w_down")


@dataclass(frozen=True)
class FormatPlan:
    """Block format of every matrix, by name.

    Attributes:
        embedding, output: formats of the two tables (the same when tied).
        linears: for each linear layer its format in every layer of the model.
    """

    embedding: str
    output: str
    linears: Mapping[str, tuple[str, ...]]

    def used(self) -> set[str]:
        """Every format that occurs."""
        return {self.embedding, self.output}.union(*self.linears.values())

    def slots(self, linear: str) -> tuple[str, ...]:
        """Formats of a linear layer in order of first appearance; more than one where layers differ."""
        return tuple(dict.fromkeys(self.linears[linear]))

    def runs(self) -> list[tuple[int, int]]:
        """First and last + 1 of the layers that follow each other and have equal formats, in order."""
        runs, start = [], 0
        for _, alike in groupby(zip(*self.linears.values(), strict=True)):
            runs.append((start, start + len(list(alike))))
            start = runs[-1][1]
        return runs

    def __str__(self) -> str:
        lines = [f"{'embedding':<10}{self.embedding}", f"{'output':<10}{self.output}"]
        for linear, formats in self.linears.items():
            runs = [f"{name} in {formats.count(name)} layers" for name in self.slots(linear)]
            lines.append(f"{linear:<10}{', '.join(runs)}")
        return "\n".join(lines)


def linears_of(model: ModelConfig) -> tuple[str, ...]:
    """Names of the linear layers that a model has, in the order of execution."""
    return tuple(name for name in LINEARS if model.gated or name != "w_gate")


def uniform_formats(model: ModelConfig, weight_format: str, head_format: str) -> FormatPlan:
    """The plan of a model all of whose layers use one format."""
    return FormatPlan(head_format, head_format, dict.fromkeys(linears_of(model), (weight_format,) * model.n_layers))


def choose_formats(model: Model, config: AcceleratorConfig, weight_format: str, head_format: str) -> FormatPlan:
    """Keep the block formats of the file; give float tensors the requested one.

    Args:
        weight_format, head_format: for float tensors of the layers, and of embedding and output: a block format or
            `AUTO`.

    Raises:
        ValueError: an unknown format.
    """
    for name, value in (("weight_format", weight_format), ("head_format", head_format)):
        if value not in (AUTO, *BLOCK_FORMATS):
            raise ValueError(f"{name} is {value!r}: it must be one of {', '.join((AUTO, *BLOCK_FORMATS))}")
    linears = {}
    for linear in linears_of(model.config):
        tensors = [model.tensors[f"layers.{i}.{linear}"] for i in range(model.config.n_layers)]
        fallback = _resolve(tensors, config, weight_format)
        linears[linear] = tuple(t.format if t.format in BLOCK_FORMATS else fallback for t in tensors)
    tables = [model.tensors["embedding"], model.output]
    embedding, output = (t.format if t.format in BLOCK_FORMATS else _resolve([t], config, head_format) for t in tables)
    return FormatPlan(embedding, output, linears)


def _resolve(tensors: list[WeightTensor], config: AcceleratorConfig, wanted: str) -> str:
    """The format for the float tensors of one linear layer; `AUTO` decides for all layers together."""
    floats = [t for t in tensors if t.format not in BLOCK_FORMATS]
    if wanted != AUTO or not floats:
        return wanted
    if "Q4_0" in config.array.formats and all(_exact(t, "Q4_0") for t in floats):
        return "Q4_0"
    return "Q8_0"


def _exact(tensor: WeightTensor, weight_format: str) -> bool:
    values = tensor.dequantize()
    return bool(np.array_equal(quantize(values, weight_format, tensor.name).dequantize(), values))


def query_rows(geometry: ModelGeometry) -> np.ndarray:
    """Row of wq for every packed channel [virtual head][query of the group][lanes]; -1 is a zero channel. int64."""
    a = geometry.attention
    virtual, query, lane = np.ix_(np.arange(a.kv_heads), np.arange(a.group), np.arange(geometry.head_lanes))
    head = (virtual * a.sub_heads + lane // a.head_dim) * a.group + query
    return _head_rows(geometry, head, lane, rotated=True)


def key_rows(geometry: ModelGeometry) -> np.ndarray:
    """Row of wk for every packed channel [virtual head][lanes]; -1 is a zero channel. int64."""
    return _kv_rows(geometry, rotated=True)


def value_rows(geometry: ModelGeometry) -> np.ndarray:
    """Row of wv for every packed channel [virtual head][lanes]; -1 is a zero channel. int64."""
    return _kv_rows(geometry, rotated=False)


def _kv_rows(geometry: ModelGeometry, rotated: bool) -> np.ndarray:
    a = geometry.attention
    virtual, lane = np.ix_(np.arange(a.kv_heads), np.arange(geometry.head_lanes))
    return _head_rows(geometry, virtual * a.sub_heads + lane // a.head_dim, lane, rotated)


def _head_rows(geometry: ModelGeometry, head: np.ndarray, lane: np.ndarray, rotated: bool) -> np.ndarray:
    a: Geometry = geometry.attention
    element = np.arange(a.head_dim)
    if rotated and geometry.model.rope_pairing == "half":
        element = element.reshape(2, -1).T.reshape(-1)  # neighbours 2i, 2i + 1 are rows i, i + head_dim / 2
    rows = head * a.head_dim + element[lane % a.head_dim]
    return np.where(lane < a.sub_heads * a.head_dim, rows, -1).reshape(-1)


def padded(order: np.ndarray, length: int) -> np.ndarray:
    """An order with -1 behind it. int64."""
    return np.concatenate([order, np.full(length - len(order), -1)])


def row_order(geometry: ModelGeometry, name: str) -> np.ndarray:
    """Row of the file's tensor for every packed channel of a linear layer, or of a table; -1 is a zero channel."""
    model = geometry.model
    special = {"wq": query_rows, "wk": key_rows, "wv": value_rows}
    if name in special:
        return special[name](geometry)
    if name in ("embedding", "output"):
        return np.arange(model.vocab_size)
    return np.arange(model.hidden_dim if name in ("w_gate", "w_up") else model.dim)


def arrange(tensor: WeightTensor, weight_format: str, order: np.ndarray) -> Blocks:
    """Blocks of `tensor` in the given row order, quantized first if it holds floats.

    Returns:
        Blocks of len(order) rows; rows of order -1 are zero.
    """
    blocks = (
        quantize(tensor.dequantize(), weight_format, tensor.name) if tensor.format not in BLOCK_FORMATS else tensor
    ).blocks
    if np.array_equal(order, np.arange(len(blocks.quants))):
        return blocks
    return Blocks(
        scales=_take(blocks.scales, order),
        quants=_take(blocks.quants, order),
        mins=None if blocks.mins is None else _take(blocks.mins, order),
    )


def arrange_vector(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """A gain or bias in the given order, float32; -1 is +0."""
    return _take(values, order)


def _take(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    taken = array[order]  # -1 takes the last row, overwritten below
    taken[order < 0] = 0
    return taken


def quantize_model(model: Model, formats: FormatPlan) -> Model:
    """The model with the weights that the machine sees: its float matrices in the formats of the plan.

    This is what a float reference must compute with, for a comparison to measure arithmetic and not weights.
    """
    wanted = {"embedding": formats.embedding, "output": formats.output}
    for linear, by_layer in formats.linears.items():
        wanted |= {f"layers.{i}.{linear}": name for i, name in enumerate(by_layer)}
    tensors = {
        name: quantize(t.dequantize(), wanted[name], name) if name in wanted and t.format not in BLOCK_FORMATS else t
        for name, t in model.tensors.items()
    }
    return replace(model, tensors=tensors)
