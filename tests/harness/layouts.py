"""Stream payloads as a bench sees them (one unsigned integer) and as a person writes them (dicts and lists)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, SupportsIndex

from amaranth.hdl import Shape, ShapeCastable, ShapeLike
from amaranth.lib import data

Fields = SupportsIndex | Mapping[str, Any] | Sequence[Any]
"""A value of a layout: an integer, or a mapping (struct) or sequence (array) of values. numpy integers are fine."""


def pack(shape: ShapeLike, value: Fields) -> int:
    """The bits of a value as an unsigned integer, field 0 lowest, as Amaranth lays it out.

    Raises
    ------
    ValueError
        If a field is missing, unknown, or does not fit, naming the field.
    """
    return _pack(shape, value, "payload")


def unpack(shape: ShapeLike, bits: int) -> Fields:
    """The value of an unsigned integer of bits: the reverse of `pack`; signed fields come back negative."""
    layout = _layout(shape)
    if layout is None:
        plain = Shape.cast(shape)
        bits &= (1 << plain.width) - 1
        return bits - (1 << plain.width) if plain.signed and bits >> (plain.width - 1) else bits
    fields = {name: unpack(field.shape, (bits >> field.offset) & ((1 << field.width) - 1)) for name, field in layout}
    return list(fields.values()) if isinstance(layout, data.ArrayLayout) else fields


def _pack(shape: ShapeLike, value: Fields, path: str) -> int:
    layout = _layout(shape)
    if layout is None:
        return _pack_integer(Shape.cast(shape), value, path)
    items = dict(enumerate(value)) if isinstance(value, Sequence) else value
    fields = dict(layout)
    if not isinstance(items, Mapping) or items.keys() != fields.keys():
        raise ValueError(f"{path}: expected values for {list(fields)}, got {value!r}")
    bits = 0
    for name, field in fields.items():
        bits |= _pack(field.shape, items[name], f"{path}.{name}") << field.offset
    return bits


def _pack_integer(shape: Shape, value: Fields, path: str) -> int:
    if isinstance(value, Mapping | Sequence):
        raise ValueError(f"{path}: expected an integer of {shape!r}, got {value!r}")
    number = index(value)
    low, high = (-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else (0, 1 << shape.width)
    if not low <= number < high:
        raise ValueError(f"{path}: {number} does not fit {shape!r}")
    return number & ((1 << shape.width) - 1)


def _layout(shape: ShapeLike) -> data.Layout | None:
    """The layout behind a shape (structs are classes that wrap one), or None for a plain integer or enumeration."""
    while isinstance(shape, ShapeCastable) and not isinstance(shape, data.Layout):
        shape = shape.as_shape()
    return shape if isinstance(shape, data.Layout) else None
