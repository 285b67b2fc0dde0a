"""Useful work by instruction: its sums are those of `figures`, which counts in another way."""

import pytest

from celosia.arch.isa import Opcode
from celosia.driver.chunks import Chunk, cut
from celosia.driver.figures import Load
from celosia.driver.work import passes, work

from ..system.support import NARROW, WIDE, small_model


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=lambda c: c.name)
@pytest.mark.parametrize(("position", "rows"), [(0, 1), (40, 1), (0, 70), (21, 30)])
def test_work_is_what_figures_say(config, position, rows):
    compiled = small_model(config)
    load = Load(compiled)
    for head in (False, True):
        found = work(compiled, passes(compiled, position, rows, head))
        assert sum(entry.macs for entry in found.values()) == load.macs(position, rows, head)
        weights = (
            len(cut(compiled.config, position, rows)) * load.body_bytes + rows * load.row_bytes + head * load.head_bytes
        )
        moved = sum(entry.bytes for entry in found.values())
        assert moved == pytest.approx(weights + load.kv_bytes(position, rows), rel=1e-9)


def test_passes_take_chunks_in_pairs_and_never_cross_a_page():
    compiled = small_model(WIDE)
    found = passes(compiled, 20, 50, head=True)
    chunks = [chunk for walk in found for chunk in walk.chunks]
    assert chunks == [Chunk(20, 12), Chunk(32, 16), Chunk(48, 16), Chunk(64, 6)]
    assert [len(walk.chunks) for walk in found] == [2, 2]
    assert [walk.head for walk in found] == [False, True]


def test_passes_of_a_job_that_wants_smaller_chunks():
    compiled = small_model(WIDE)
    chunks = [chunk for walk in passes(compiled, 20, 30, head=True, chunk=9) for chunk in walk.chunks]
    assert chunks == [Chunk(20, 9), Chunk(29, 3), Chunk(32, 9), Chunk(41, 9)]
    for wanted in (0, 16, 17, 63):
        assert cut(compiled.config, 0, 40, wanted) == cut(compiled.config, 0, 40)


def test_work_counts_executions():
    compiled = small_model(NARROW)
    found = work(compiled, passes(compiled, 0, 3, head=False))
    layers = compiled.model.n_layers
    attends = [i for i, instruction in enumerate(compiled.program) if instruction.opcode == Opcode.ATTEND]
    assert [found[i].count for i in attends] == [layers]
    # 3 rows see 1, 2 and 3 positions.
    assert found[attends[0]].elements == layers * compiled.model.n_heads * 6
