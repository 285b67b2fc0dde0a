"""What stands in the memory of a board without a processor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from celosia import api
from celosia.arch.config import load_config
from celosia.arch.registers import offsets
from celosia.boards.board import find_board
from celosia.boards.boot import CONTEXT, LAST, LIST_BEATS, SEND, list_offset, memory_words
from celosia.driver.compiler import compile_model
from celosia.driver.requests import RequestError

from ..driver.models import random_config, random_model


def entries(words: list[int]) -> list[tuple[int, int]]:
    """Register and value of the boot list up to its end."""
    listed = [(word >> 32, word & 0xFFFFFFFF) for word in words[-LIST_BEATS:]]
    return listed[: [register for register, _ in listed].index(LAST)]


@pytest.mark.parametrize("data_bits", [64, 128])
def test_memory(data_bits: int) -> None:
    """The image as it is, zeros where the cache will be, and every register that a host would write."""
    config = load_config("ulx3s")
    config = replace(config, bus=replace(config.bus, data_bits=data_bits))
    compiled = compile_model(api.load(), config)
    size = find_board("ulx3s").memory_bytes
    words = memory_words(compiled, size)
    content = b"".join(word.to_bytes(data_bits // 8, "little") for word in words)
    start = list_offset(config, size)
    assert len(content) == size and content[: len(compiled.image)] == compiled.image.tobytes()
    assert not any(content[len(compiled.image) : start])
    found, at = entries(words), offsets()
    settings = dict(found)
    assert settings[at["KV_BASE_LO"]] == compiled.memory.kv_offset
    assert settings[at["PROGRAM_BASE_LO"]] == compiled.memory.region("program").offset
    assert settings[at["PROGRAM_LENGTH"]] == len(compiled.program)
    assert settings[at["END_OF_TEXT"]] == 1 << 31
    assert settings[CONTEXT] == compiled.context == 256
    table = [at["TABLE_ENTRY"], at["TABLE_PAGE"]]
    opened = found.index((at["TABLE_SEQUENCE"], 1))
    assert found[opened + 1 : opened + 17] == [(register, page) for page in range(8) for register in table]
    assert bytes(value for register, value in found if register == SEND) == b"\r\ncelosia-tiny on celosia"


def test_too_many_pages() -> None:
    config = load_config("ulx3s")
    config = replace(config, cache=replace(config.cache, pages=64, pages_per_sequence=64))
    model = random_model(
        random_config(n_layers=1, dim=32, hidden_dim=32, n_heads=1, n_kv_heads=1, context_length=2048), 1
    )
    with pytest.raises(RequestError, match=r"^\d+ settings: the boot list has 128; lower cache\.pages_per_sequence$"):
        memory_words(compile_model(model, config), 1 << 20)
