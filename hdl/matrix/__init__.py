"""The matrix unit: unpacker, engine, the sequencer of MATMUL and the writer of its results."""

from .engine import Engine
from .top_k import TopK
from .unit import MatrixUnit
from .unpacker import Unpacker

__all__ = ["Engine", "MatrixUnit", "TopK", "Unpacker"]
