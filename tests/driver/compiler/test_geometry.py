"""Padded and shared heads, and the row orders that follow."""

import numpy as np
import pytest

from celosia.driver.compiler.geometry import ModelGeometry
from celosia.driver.compiler.weights import key_rows, query_rows, value_rows

from ..models import middle_config, random_config

HEADS = [  # head size, heads, KV heads: virtual heads, blocks, KV heads of a block
    (8, 8, 4, 1, 1, 4),
    (8, 6, 6, 6, 1, 1),
    (16, 8, 4, 2, 1, 2),
    (16, 3, 1, 1, 1, 1),
    (24, 4, 2, 2, 1, 1),
    (32, 4, 2, 2, 1, 1),
    (48, 2, 2, 2, 2, 1),
    (64, 9, 3, 3, 2, 1),
    (256, 1, 1, 1, 8, 1),
]


def _geometry(head: int, heads: int, kv_heads: int, pairing: str = "half") -> ModelGeometry:
    model = random_config(head_dim=head, n_heads=heads, n_kv_heads=kv_heads, rope_pairing=pairing)
    return ModelGeometry.of(middle_config(), model)


@pytest.mark.parametrize(("head", "heads", "kv_heads", "virtual", "blocks", "shared"), HEADS)
def test_heads_become_whole_blocks(
    head: int, heads: int, kv_heads: int, virtual: int, blocks: int, shared: int
) -> None:
    g = _geometry(head, heads, kv_heads)
    a = g.attention
    assert (a.kv_heads, a.head_blocks, a.sub_heads, a.head_dim) == (virtual, blocks, shared, head)
    assert a.kv_heads * a.sub_heads == kv_heads
    assert a.group == heads // kv_heads
    assert g.kv_width == virtual * blocks * 32
    assert g.query_width == g.kv_width * a.group
    assert g.output_elements == heads * head


@pytest.mark.parametrize("pairing", ["half", "neighbour"])
@pytest.mark.parametrize(("head", "heads", "kv_heads", "virtual", "blocks", "shared"), HEADS)
def test_row_orders_place_every_row_once(
    head: int, heads: int, kv_heads: int, virtual: int, blocks: int, shared: int, pairing: str
) -> None:
    g = _geometry(head, heads, kv_heads, pairing)
    group = heads // kv_heads
    queries = query_rows(g).reshape(virtual, group, blocks * 32)
    keys, values = key_rows(g).reshape(virtual, -1), value_rows(g).reshape(virtual, -1)
    for v in range(virtual):
        for s in range(shared):
            for e in range(head):
                lane = s * head + e
                stored = e if pairing == "neighbour" else e // 2 + e % 2 * (head // 2)
                kv_head = v * shared + s
                assert keys[v, lane] == kv_head * head + stored
                assert values[v, lane] == kv_head * head + e
                for q in range(group):
                    assert queries[v, q, lane] == (kv_head * group + q) * head + stored
    for rows, count in ((queries, heads), (keys, kv_heads), (values, kv_heads)):
        real = np.sort(rows[rows >= 0])
        assert real.tolist() == list(range(count * head))


def test_row_groups_of_a_pass_are_what_the_accumulators_hold() -> None:
    g = _geometry(64, 9, 3)  # kria: R = 4, T = 16, C = 8, 32 accumulators; 3 rows a token, 64 / 8 accumulators a group
    assert g.query_row_groups == 12
    assert g.attend_row_groups == 4
    assert g.query_words == 24


def test_geometry_prints() -> None:
    assert "3 KV heads" in str(_geometry(64, 9, 3))
