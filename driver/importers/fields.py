"""Typed access to the key-value metadata of a model file: every value is checked for type and range before use."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...arch.model import FieldError, ModelConfig
from ..errors import ModelError


class Fields:
    """Metadata of one file, from GGUF or JSON.

    Every accessor raises `ModelError` for a value of the wrong type or out of range, and for a missing one where no
    default is given. A JSON null counts as missing.
    """

    def __init__(self, file: Path, values: Mapping[str, Any]) -> None:
        self.file = file
        self._values = values

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def _get(self, key: str, wanted: str) -> Any:
        value = self._values.get(key)
        if value is None:
            raise ModelError(self.file, key, None, f"the file must give {wanted} here")
        return value

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """An integer of low .. high; so must the default be."""
        missing = default is not None and key not in self
        value = default if missing else self._get(key, f"an integer of {low} to {high}")
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ModelError(self.file, key, value, f"it must be an integer of {low} to {high}")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A finite number of low .. high."""
        if default is not None and key not in self:
            return default
        value = self._get(key, f"a number of {low:g} to {high:g}")
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ModelError(self.file, key, value, f"it must be a number of {low:g} to {high:g}")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ModelError(self.file, key, value, "it must be true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        if default is not None and key not in self:
            return default
        value = self._get(key, "a string")
        if not isinstance(value, str):
            raise ModelError(self.file, key, value, "it must be a string")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string, or None where there is none."""
        return self.text(key) if key in self else None

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """A string out of `choices`."""
        value = self.text(key, default)
        if value not in choices:
            raise ModelError(self.file, key, value, f"supported: {', '.join(choices)}")
        return value

    def ids(self, key: str, vocab_size: int) -> tuple[int, ...]:
        """Token ids: one integer or a list of them; empty where there is none."""
        value = self._values.get(key)
        if value is None:
            return ()
        ids = value if isinstance(value, list) else [value]
        for token in ids:
            if not isinstance(token, int) or isinstance(token, bool) or not 0 <= token < vocab_size:
                raise ModelError(self.file, key, token, f"it must be a token id of 0 to {vocab_size - 1}")
        return tuple(ids)

    def mapping(self, key: str) -> "Fields":
        """A nested object; empty where there is none."""
        value = self._values.get(key)
        if value is None:
            return Fields(self.file, {})
        if not isinstance(value, dict):
            raise ModelError(self.file, key, value, "it must be an object")
        return Fields(self.file, {str(name): item for name, item in value.items()})


def configure(file: Path, **fields: Any) -> ModelConfig:
    """`ModelConfig(**fields)`, with what it refuses told as a `ModelError` about `file`."""
    try:
        return ModelConfig(**fields)
    except FieldError as error:
        raise ModelError(file, error.field, error.value, error.rule) from None


def scaled_frequencies(fields: Fields, frequencies: tuple[float, ...], original_context: int) -> tuple[float, ...]:
    """Fold a Hugging Face rope scaling into rotary frequencies.

    Parameters
    ----------
    fields : Fields
        The `rope_scaling` or `rope_parameters` object; `rope_type` is default, linear or llama3.
    frequencies : tuple of float
        Unscaled, in radians per position.
    original_context : int
        Positions of the model before it was extended, where the object does not say.

    Source: the llama3 rule divides wavelengths above original_context / low_freq_factor by `factor`, keeps those below
    original_context / high_freq_factor, and blends linearly in original_context / wavelength between the two.
    """
    kind_key = "rope_type" if "rope_type" in fields else "type"
    kind = fields.choice(kind_key, ("default", "linear", "llama3"), "default")
    if kind == "default":
        return frequencies
    factor = fields.number("factor", 1, 1e6)
    if kind == "linear":
        return tuple(frequency / factor for frequency in frequencies)
    low = fields.number("low_freq_factor", 1e-3, 1e6)
    high = fields.number("high_freq_factor", 1e-3, 1e6)
    if high <= low:
        raise ModelError(fields.file, "high_freq_factor", high, f"it must be above low_freq_factor, {low:g}")
    context = fields.integer("original_max_position_embeddings", 1, 1 << 24, original_context)
    scaled = []
    for frequency in frequencies:
        turns = context * frequency / math.tau
        blend = min(max((turns - low) / (high - low), 0.0), 1.0)
        scaled.append(frequency * (blend + (1 - blend) / factor))
    return tuple(scaled)
