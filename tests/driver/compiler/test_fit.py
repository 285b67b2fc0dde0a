"""Models that do not fit: what, by how much, and the smallest change; applying it makes them fit."""

from dataclasses import replace
from typing import Any

import pytest

from celosia.arch.config import AcceleratorConfig, load_config
from celosia.arch.model import ModelConfig
from celosia.driver.compiler import FitError, plan, uniform_formats
from celosia.driver.compiler.fit import apply

from ..models import middle_config, random_config


def _plan(config: AcceleratorConfig, model: ModelConfig, context: int | None = None, fmt: str = "Q8_0") -> None:
    plan(config, model, uniform_formats(model, fmt, "Q8_0"), context)


def _with(config: AcceleratorConfig, group: str, **fields: Any) -> AcceleratorConfig:
    return replace(config, **{group: replace(getattr(config, group), **fields)})


SMOL = {
    "dim": 576,
    "hidden_dim": 1536,
    "head_dim": 64,
    "n_heads": 9,
    "n_kv_heads": 3,
    "vocab_size": 49152,
    "n_layers": 30,
}

CASES = [
    ("vector", {"scratchpad_words": 64}, {}, "vector.scratchpad_words", 640),
    ("vector", {"activation_words": 16}, {"hidden_dim": 192}, "vector.activation_words", 24),
    ("vector", {"parameter_words": 16}, {"dim": 160}, "vector.parameter_words", 20),
    ("vector", {"max_head_dim": 32}, {"head_dim": 40}, "vector.max_head_dim", 64),
    ("vector", {"lanes": 16}, {"head_dim": 20}, "vector.lanes", 4),
    ("cache", {"tail_words": 4}, {}, "cache.tail_words", 8),
    ("array", {"formats": ("Q4_1",)}, {}, "array.formats", ("Q8_0", "Q4_1")),
    ("control", {"program_words": 16}, {}, "control.program_words", 26),
]


@pytest.mark.parametrize(("group", "fields", "changes", "field", "needed"), CASES)
def test_names_the_field_and_the_smallest_value_that_fits(
    group: str, fields: dict[str, Any], changes: dict[str, Any], field: str, needed: object
) -> None:
    config, model = _with(middle_config(), group, **fields), random_config(**changes)
    with pytest.raises(FitError) as caught:
        _plan(config, model)
    assert [(m.field, m.needed) for m in caught.value.misfits] == [(field, needed)]
    assert "\n" not in str(caught.value)
    _plan(apply(config, list(caught.value.misfits)), model)
    if isinstance(needed, int) and field not in ("vector.lanes", "vector.max_head_dim"):
        short = apply(config, [replace(caught.value.misfits[0], needed=needed - 1)])
        with pytest.raises(FitError):
            _plan(short, model)


def test_the_message_says_by_how_much() -> None:
    config = _with(middle_config(), "vector", scratchpad_words=100)
    with pytest.raises(FitError) as caught:
        _plan(config, random_config())
    assert str(caught.value) == (
        "model 'random' does not fit config 'kria': vector.scratchpad_words = 100: this model needs 640 words for its "
        "widest moment (540 more); set vector.scratchpad_words to 640"
    )


@pytest.mark.parametrize("preset", ["ecp5", "default"])
def test_a_big_model_on_a_small_config_is_told_everything_at_once(preset: str) -> None:
    config, model = load_config(preset), random_config(**SMOL, context_length=2048)
    with pytest.raises(FitError) as caught:
        _plan(config, model, context=2048, fmt="Q4_1")
    assert len(caught.value.misfits) >= 3
    _plan(apply(config, list(caught.value.misfits)), model, context=2048, fmt="Q4_1")


def test_smollm2_fits_the_mid_preset() -> None:
    _plan(load_config("kria"), random_config(**SMOL, context_length=8192), fmt="Q4_1")


def test_a_context_beyond_the_model_or_the_tables() -> None:
    config, model = load_config("default"), random_config(context_length=1024)
    with pytest.raises(
        FitError, match=r"context = 1025: the model was made for 1 to 1024 positions; set context to 1024$"
    ):
        _plan(config, model, context=1025)
    with pytest.raises(FitError, match=r"cache.pages_per_sequence = 16: .* needs 32 pages of 32 \(16 more\); set"):
        _plan(config, model, context=1024)


def test_more_memory_than_the_bus_addresses() -> None:
    config = _with(load_config("default"), "cache", pages=65535)
    model = random_config(dim=1024, n_kv_heads=32, n_heads=32, n_layers=40, head_dim=32)
    config = _with(config, "vector", scratchpad_words=1 << 20, activation_words=4096, parameter_words=512)
    config = _with(config, "cache", pages=65535, tail_words=4096)
    with pytest.raises(FitError, match=r"bus.address_bits = 32: \d+ bytes need 38 bits \(6 more\)"):
        _plan(config, model)


def test_more_memory_than_a_port_addresses() -> None:
    """The smallest change is that of each port's own region; the bus reaches the whole."""
    config = _with(middle_config(), "bus", ports=2, port_address_bits=12, address_bits=32)
    with pytest.raises(FitError, match=r"bus.port_address_bits = 12: \d+ bytes need (\d+) bits") as found:
        _plan(config, random_config())
    (misfit,) = found.value.misfits
    assert isinstance(misfit.needed, int)
    total = int(misfit.reason.split()[0])
    assert 1 << misfit.needed - 1 < -(-total // 2) <= 1 << misfit.needed
    _plan(_with(config, "bus", port_address_bits=misfit.needed), random_config())


def test_a_vocabulary_beyond_the_instruction_field() -> None:
    model = random_config(vocab_size=1 << 20)
    with pytest.raises(FitError, match=r"instruction 0 \(EMBED\): n = 1048576 does not fit 20 bits; no"):
        _plan(_with(middle_config(), "bus", address_bits=40), model)
