"""Pipelined arithmetic of fixed latency, defined bit for bit in docs/numerics-functions.md."""

from .add import FloatAdd
from .exponential import Exp2Negative
from .fixed import FixedToFloat, FloatToFixed
from .multiply import FloatMultiply
from .polynomial import TablePolynomial
from .reciprocal import Reciprocal, ReciprocalSqrt
from .sine import SineCosine

__all__ = [
    "Exp2Negative",
    "FixedToFloat",
    "FloatAdd",
    "FloatMultiply",
    "FloatToFixed",
    "Reciprocal",
    "ReciprocalSqrt",
    "SineCosine",
    "TablePolynomial",
]
