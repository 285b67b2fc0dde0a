"""The cycle model: what a job takes on a config, in milliseconds and without simulating it."""

from .predict import ClassLoad, Prediction, predict, spans
from .walk import Retirement

__all__ = ["ClassLoad", "Prediction", "Retirement", "predict", "spans"]
