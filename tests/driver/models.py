"""Random models for tests of the driver: every shape of the family, no training."""

from dataclasses import replace
from typing import Any

import numpy as np

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.arch.model import Model, ModelConfig, WeightTensor, expected_shapes, rope_frequencies
from celosia.driver.importers import quantize


def middle_config() -> AcceleratorConfig:
    """The kria preset with 8 lanes, which divide every head size here, one chunk of 16 in flight, and less program."""
    kria = load_config("kria")
    vector = replace(kria.vector, lanes=8, chunk=16, chunks=1, scratchpad_words=16384, parameter_words=256)
    return replace(kria, vector=vector, control=replace(kria.control, program_words=64))


def random_config(**changes: Any) -> ModelConfig:
    """A small Llama; any field can be changed. Frequencies follow the head size."""
    fields: dict[str, Any] = {
        "name": "random",
        "dim": 64,
        "hidden_dim": 96,
        "n_layers": 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "head_dim": 32,
        "vocab_size": 100,
        "context_length": 256,
        **changes,
    }
    fields.setdefault("rope_frequencies", rope_frequencies(fields["head_dim"], 10000.0))
    return ModelConfig(**fields)


def random_model(config: ModelConfig, seed: int, formats: dict[str, str] | None = None) -> Model:
    """Gaussian weights of about the scale of a trained model.

    Args:
        formats: block format by the end of a tensor's name ("wq", "layers.1.wv", "embedding"); others are F32.
    """
    random = np.random.default_rng(seed)
    tensors = {}
    for name, shape in expected_shapes(config).items():
        values = (random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        if len(shape) == 1:
            values = (0 if name.endswith("bias") else 1) + values
        chosen = max((end for end in formats or {} if name.endswith(end)), key=len, default=None)
        if chosen is None:
            tensors[name] = WeightTensor(name, "F32", shape, values.astype(np.float32))
        else:
            tensors[name] = quantize(values, (formats or {})[chosen], name)
    return Model(config, tensors)
