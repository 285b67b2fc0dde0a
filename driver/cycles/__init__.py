"""The cycle model: what a job takes on a config, in milliseconds and without simulating it."""

from .choice import chunk_for
from .forecast import decode_at, forecast, prompt_of
from .predict import ClassLoad, Prediction, predict, spans
from .walk import Retirement

__all__ = [
    "ClassLoad",
    "Prediction",
    "Retirement",
    "chunk_for",
    "decode_at",
    "forecast",
    "predict",
    "prompt_of",
    "spans",
]
