"""Checks that a model fits a config, and finds the smallest change that makes it fit."""

from dataclasses import fields, replace

from ...arch.config import AcceleratorConfig
from ...arch.formats import BLOCK, WEIGHT_FORMATS
from ...arch.layout import ceil_div
from ...arch.model import ModelConfig
from .allocate import Allocation
from .errors import Misfit
from .geometry import ModelGeometry
from .memory import MemoryMap
from .program import AM, PM, SPM, Operation
from .weights import FormatPlan

LIMITS = {
    "vector.scratchpad_words": 1 << 20,
    "vector.activation_words": 1 << 16,
    "vector.parameter_words": 1 << 16,
    "cache.tail_words": 1 << 16,
    "cache.pages": 65535,
    "cache.pages_per_sequence": 4096,
    "control.program_words": 128,
    "bus.address_bits": 48,
    "bus.port_address_bits": 48,
}
"""Largest legal value of the fields that a model may ask to raise, as `arch.config` checks them."""


def value_of(config: AcceleratorConfig, field: str) -> object:
    """The value of a dotted field."""
    group, name = field.split(".")
    return getattr(getattr(config, group), name)


def apply(config: AcceleratorConfig, misfits: list[Misfit]) -> AcceleratorConfig:
    """The config with every misfit's needed value."""
    groups = {f.name for f in fields(config)}
    for misfit in misfits:
        group, _, name = misfit.field.partition(".")
        if misfit.needed is not None and group in groups:
            config = replace(config, **{group: replace(getattr(config, group), **{name: misfit.needed})})
    return config


def structural_misfits(
    config: AcceleratorConfig, model: ModelConfig, formats: FormatPlan, context: int
) -> list[Misfit]:
    """What does not depend on where buffers stand: lanes, head size, formats, context."""
    found: list[Misfit] = []
    lanes, head = config.vector.lanes, model.head_dim
    # Attention writes as many elements at once as a tile has channels, and not across words.
    if head % min(lanes, config.array.channels):
        legal = max(v for v in (2, 4, 8, 16) if v < lanes and head % v == 0)
        reason = f"it or array.channels, {config.array.channels}, must divide the head size, {head}"
        found.append(Misfit("vector.lanes", lanes, legal, reason))
    padded = ceil_div(head, BLOCK) * BLOCK
    if config.vector.max_head_dim < padded:
        found.append(
            Misfit("vector.max_head_dim", config.vector.max_head_dim, padded, f"head size {head} needs {padded}")
        )
    missing = [name for name in WEIGHT_FORMATS if name in formats.used() - set(config.array.formats)]
    if missing:
        every = tuple(n for n in WEIGHT_FORMATS if n in missing or n in config.array.formats)
        found.append(Misfit("array.formats", config.array.formats, every, f"the weights are {', '.join(missing)} too"))
    pages = ceil_div(context, BLOCK)
    for field in ("cache.pages_per_sequence", "cache.pages"):
        found += at_least(config, field, pages, f"a context of {context} positions needs {pages} pages of {BLOCK}")
    return found


def size_misfits(
    config: AcceleratorConfig,
    geometry: ModelGeometry,
    operations: list[Operation],
    allocation: Allocation,
    memory: MemoryMap,
) -> list[Misfit]:
    """Memories that are too small for the buffers placed in them."""
    used = allocation.used
    needs = (
        ("vector.scratchpad_words", used[SPM], "words for its widest moment"),
        ("vector.activation_words", used[AM], "words for its widest moment"),
        ("vector.parameter_words", used[PM], "words for its longest gain or bias"),
        ("cache.tail_words", geometry.tail_words, "words for the keys of all its heads"),
        ("control.program_words", len(operations), "instructions"),
    )
    found = [m for field, need, why in needs for m in at_least(config, field, need, f"this model needs {need} {why}")]
    return found + address_misfits(config, memory.total_bytes)


def address_misfits(config: AcceleratorConfig, total_bytes: int) -> list[Misfit]:
    """Addresses that do not reach a memory of so many bytes, of the bus or of a port's own region."""
    each = (ceil_div(total_bytes, config.bus.ports) - 1).bit_length()
    needs = [("bus.address_bits", each + (config.bus.ports - 1).bit_length())]
    if config.bus.ports > 1:
        needs.append(("bus.port_address_bits", each))
    return [m for field, need in needs for m in at_least(config, field, need, f"{total_bytes} bytes need {need} bits")]


def at_least(config: AcceleratorConfig, field: str, needed: int, reason: str) -> list[Misfit]:
    """The misfit of a field that must have `needed` at least, if it has not."""
    value = value_of(config, field)
    if not isinstance(value, int) or value >= needed:
        return []
    return [Misfit(field, value, needed if needed <= LIMITS[field] else None, reason)]
