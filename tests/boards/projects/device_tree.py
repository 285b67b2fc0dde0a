"""The part of the device tree language that our overlay uses, read strictly."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"\s+|/\*.*?\*/|(\"[^\"]*\"|<[^<>]*>|/[\w-]+/|&\{/\}|[\w,.#@+-]+:?|[{};=,])", re.DOTALL)
NAME = re.compile(r"[\w,.+-]+(@[0-9a-f]+)?$")


@dataclass
class Node:
    """Attributes: properties: text, numbers with labels as they stand, or None for one without a value."""

    path: str
    properties: dict[str, list[str] | None] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)

    def text(self, name: str) -> str:
        (value,) = self.properties[name] or []
        assert value.startswith('"')
        return value.strip('"')

    def numbers(self, name: str) -> list[int]:
        """Of all cells; those with labels are refused."""
        cells = " ".join(value.strip("<>") for value in self.properties[name] or []).split()
        return [int(cell, 0) for cell in cells]

    def reg(self) -> tuple[int, int]:
        """Address and bytes, of two cells each; the address is the node's."""
        high, low, size_high, size_low = self.numbers("reg")
        assert self.path.endswith(f"@{high << 32 | low:x}")
        return high << 32 | low, size_high << 32 | size_low


def tokens(source: str) -> list[str]:
    found, place = [], 0
    while place < len(source):
        match = TOKEN.match(source, place)
        assert match, f"what is {source[place : place + 20]!r}"
        found += [match[1]] if match[1] else []
        place = match.end()
    return found


def read_overlay(source: str) -> tuple[Node, dict[str, Node]]:
    """The nodes below the root that it is laid over, and all nodes with a label."""
    words, labels = tokens(source), {}
    assert words[:6] == ["/dts-v1/", ";", "/plugin/", ";", "&{/}", "{"] and words[-2:] == ["}", ";"]
    root = Node("")
    rest = _fill(root, words[6:], labels)
    assert rest == []
    references = set(re.findall(r"&(\w+)", source)) - {"zynqmp_clk", "gic"}  # of the tree that it is laid over
    assert references <= labels.keys(), "a label is nowhere"
    return root, labels


def _fill(node: Node, words: list[str], labels: dict[str, Node]) -> list[str]:
    """Read up to the end of a node; what follows it."""
    while words[0] != "}":
        label = words[0][:-1] if words[0].endswith(":") else None
        name, *words = words[1:] if label else words
        if words[0] == "{":
            assert NAME.match(name) and name not in node.nodes, name
            inner = node.nodes[name] = Node(f"{node.path}/{name}")
            if label:
                assert label not in labels
                labels[label] = inner
            words = _fill(inner, words[1:], labels)
            continue
        assert label is None and not node.nodes, "properties stand in front of nodes"
        end = words.index(";")
        value = words[:end]
        if value:
            assert value[0] == "=" and set(value[2::2]) <= {","}, "values stand between commas"
        assert name not in node.properties
        node.properties[name], words = value[1::2] or None, words[end + 1 :]
    assert words[1] == ";", "a node ends with a semicolon"
    return words[2:]
