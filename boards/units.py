"""The units that can be synthesized on their own, by the names that the documents use."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from amaranth.lib import wiring

from ..arch.config import AcceleratorConfig
from ..hdl.interfaces import Interfaces
from .errors import SynthesisError

ACCELERATOR = "accelerator"

Arguments = Callable[[Interfaces], Mapping[str, Any]]


def _nothing(interfaces: Interfaces) -> Mapping[str, Any]:
    return {}


def _interfaces(interfaces: Interfaces) -> Mapping[str, Any]:
    return {"interfaces": interfaces}


def _config(interfaces: Interfaces) -> Mapping[str, Any]:
    return {"config": interfaces.config}


def _array(interfaces: Interfaces) -> Mapping[str, Any]:
    return {"rows": interfaces.rows, "channels": interfaces.channels}


def _bits(interfaces: Interfaces) -> Mapping[str, Any]:
    return {"activation_bits": interfaces.config.array.activation_bits}


def _multiplier(interfaces: Interfaces) -> Mapping[str, Any]:
    return {"multiplier_bits": interfaces.config.array.multiplier_bits}


def _dot(interfaces: Interfaces) -> Mapping[str, Any]:
    products, registers = interfaces.config.array.products_per_dsp, interfaces.derived.pipeline.dot
    return {**_array(interfaces), **_bits(interfaces), "products_per_dsp": products, "registers": registers}


def _pipeline(interfaces: Interfaces) -> Mapping[str, Any]:
    return {"pipeline": interfaces.derived.pipeline}


def _scaler(interfaces: Interfaces) -> Mapping[str, Any]:
    minimum = any(format.has_minimum for format in interfaces.derived.formats)
    return {**_array(interfaces), **_bits(interfaces), **_pipeline(interfaces), "minimum": minimum}


@dataclass(frozen=True)
class Unit:
    """A component and what it is made with.

    Attributes:
        module: below `celosia.hdl`; imported when asked for, so that a list of names costs nothing.
        component: its class in that module.
        arguments: the keyword arguments of the class for a config.
        widths: fields of the config that its widths and depths come from, those that matter most for speed first.
        pipelined: it has registers for the config's clock.
    """

    module: str
    component: str
    arguments: Arguments
    widths: tuple[str, ...] = ()
    pipelined: bool = False

    def create(self, config: AcceleratorConfig) -> wiring.Component:
        """The component for a config."""
        module = import_module(f"..hdl.{self.module}", __package__)
        component: wiring.Component = getattr(module, self.component)(**self.arguments(Interfaces(config)))
        return component


UNITS: dict[str, Unit] = {
    "float_add": Unit("arithmetic.add", "FloatAdd", lambda i: {"registers": i.derived.pipeline.add}, pipelined=True),
    "float_multiply": Unit("arithmetic.multiply", "FloatMultiply", _multiplier),
    "fixed_to_float": Unit(
        "arithmetic.fixed",
        "FixedToFloat",
        lambda i: {"width": 22, "registers": i.derived.pipeline.to_float},
        pipelined=True,
    ),
    "float_to_fixed": Unit("arithmetic.fixed", "FloatToFixed", lambda i: {"integer_bits": 16, "fraction_bits": 16}),
    "exp2": Unit("arithmetic.exponential", "Exp2Negative", _nothing),
    "reciprocal": Unit("arithmetic.reciprocal", "Reciprocal", _nothing),
    "reciprocal_sqrt": Unit("arithmetic.reciprocal", "ReciprocalSqrt", _nothing),
    "sine_cosine": Unit(
        "arithmetic.sine", "SineCosine", lambda i: {"registers": i.derived.pipeline.to_float}, pipelined=True
    ),
    "unpacker": Unit("matrix.unpacker", "Unpacker", _interfaces, ("array.channels",)),
    "dot": Unit("matrix.dot", "DotArray", _dot, ("array.channels", "array.rows"), pipelined=True),
    "scaler": Unit("matrix.scaler", "BlockScaler", _scaler, ("array.channels", "array.rows"), pipelined=True),
    "accumulator": Unit(
        "matrix.accumulator",
        "AccumulatorArray",
        lambda i: {**_array(i), **_pipeline(i), "depth": len(i.accumulator)},
        ("array.channels", "array.rows"),
        pipelined=True,
    ),
    "engine": Unit("matrix.engine", "Engine", _interfaces, ("array.channels", "array.rows"), pipelined=True),
    "matmul_sequencer": Unit("matrix.sequencer", "MatmulSequencer", _interfaces),
    "writer": Unit("matrix.writer", "ResultWriter", _interfaces, ("array.channels", "vector.lanes"), pipelined=True),
    "top_k": Unit(
        "matrix.top_k",
        "TopK",
        lambda i: {"depth": i.config.control.top_k, "at_once": 2, "registers": i.derived.pipeline.insert},
        ("control.top_k",),
        pipelined=True,
    ),
    "matrix": Unit("matrix.unit", "MatrixUnit", _interfaces, ("array.channels", "array.rows"), pipelined=True),
    "norm": Unit(
        "vector.statistics", "RowStatistics", lambda i: {"lanes": i.lanes, **_multiplier(i)}, ("vector.lanes",)
    ),
    "rope": Unit("vector.rope", "RopeTable", _interfaces, ("vector.max_head_dim",), pipelined=True),
    "gate": Unit("vector.gate", "ActivationFactor", _pipeline, pipelined=True),
    "quantizer": Unit(
        "vector.quantizer",
        "Quantizer",
        lambda i: {"lanes": i.lanes, "bits": i.config.array.activation_bits},
        ("vector.lanes",),
    ),
    "datapath": Unit("vector.datapath", "Datapath", _interfaces, ("vector.lanes",), pipelined=True),
    "walker": Unit("vector.walker", "Walker", _interfaces, ("vector.scratchpad_words",)),
    "vector": Unit("vector.unit", "VectorUnit", _interfaces, ("vector.lanes",), pipelined=True),
    "softmax": Unit("attention.softmax", "Softmax", _interfaces, ("vector.lanes", "array.rows")),
    "kv_merger": Unit("attention.merger", "KvMerger", _interfaces, ("array.channels",)),
    "attention_output": Unit("attention.output", "AttentionOutput", _interfaces),
    "attention": Unit("attention.attention", "AttentionUnit", _interfaces, ("vector.lanes", "array.rows")),
    "block_table": Unit("cache.block_table", "BlockTable", _interfaces, ("cache.pages_per_sequence",)),
    "tail_buffer": Unit("cache.tail_buffer", "TailBuffer", _interfaces, ("cache.tail_words",)),
    "page_writer": Unit("cache.page_writer", "PageWriter", _interfaces, ("bus.burst_beats", "bus.outstanding")),
    "row_reader": Unit("rows.reader", "RowReader", _interfaces),
    "row_writer": Unit("rows.writer", "RowWriter", _interfaces),
    "reader": Unit("stream.reader", "Reader", _config, ("bus.outstanding",), pipelined=True),
    "prefetcher": Unit("stream.prefetcher", "Prefetcher", _config, ("control.program_words",)),
    "payload_fifo": Unit("stream.fifo", "PayloadFifo", _config, ("stream.fifo_beats",)),
    "scale_fifo": Unit("stream.fifo", "ScaleFifo", _config, ("stream.scale_fifo_beats",)),
    "stream": Unit("stream.unit", "StreamUnit", _config, ("stream.fifo_beats",), pipelined=True),
    "embedding": Unit("embedding", "Embedding", _config),
    "registers": Unit("control.registers", "RegisterBlock", _nothing),
    "sequencer": Unit("control.sequencer", "Sequencer", _config, ("control.program_words",), pipelined=True),
    "job_start": Unit("control.start", "JobStart", _config),
    "instruction_memory": Unit("control.memories", "InstructionMemory", _config, ("control.program_words",)),
    "token_memory": Unit("control.memories", "TokenMemory", _config),
    "counters": Unit("control.counters", "Counters", _nothing),
    "saturation": Unit("control.saturation", "Saturation", _interfaces),
    ACCELERATOR: Unit("control.accelerator", "Accelerator", _config),
}
"""Name to unit; blocks before the units that contain them."""


def find_unit(name: str) -> Unit:
    """A unit by name.

    Raises:
        SynthesisError: there is none of this name.
    """
    if name not in UNITS:
        raise SynthesisError(f"unit {name!r} does not exist: choose one of {', '.join(UNITS)}")
    return UNITS[name]
