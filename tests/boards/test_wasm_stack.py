"""A module of the layout that clang gives, which recurses: more stack and the same results. Others stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from celosia.boards import tools
from celosia.boards.wasm_stack import PAGE_BYTES, deepened

FRAME = 1024
STACK = PAGE_BYTES
"""Of the module; 64 KiB is what the linker gives by default."""


def module(stack: int, *, limit: str = "") -> bytes:
    """Adds 1 to n, n times recursive, each time with the sum in a frame of the stack; `data` is behind the stack."""
    return bytes(
        wasmtime.wat2wasm(
            f"""(module
            (memory (export "memory") 4 {limit})
            (global $sp (mut i32) (i32.const {stack}))
            (data (i32.const {stack}) "data")
            (func $sum (export "sum") (param $n i32) (result i32) (local $frame i32)
              (global.set $sp (local.tee $frame (i32.sub (global.get $sp) (i32.const {FRAME}))))
              (if (local.get $n)
                (then (i32.store (local.get $frame) (call $sum (i32.sub (local.get $n) (i32.const 1))))))
              (global.set $sp (i32.add (local.get $frame) (i32.const {FRAME})))
              (i32.add (i32.const 1) (i32.load (local.get $frame))))
            (func (export "_start") (drop (call $sum (i32.const {STACK // FRAME})))))"""
        )
    )


def run(binary: bytes, depth: int) -> tuple[int, bytes]:
    """The result, and what is behind the old stack then."""
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    exports = wasmtime.Instance(store, wasmtime.Module(engine, binary), []).exports(store)
    total = exports["sum"](store, depth)
    return total, bytes(exports["memory"].read(store, STACK, STACK + 4))


def test_recursion_needs_more_stack_and_has_it() -> None:
    shallow, deep = module(STACK), deepened(module(STACK), 16 * STACK)
    assert run(shallow, STACK // FRAME - 1) == run(deep, STACK // FRAME - 1) == (STACK // FRAME, b"data")
    with pytest.raises(wasmtime.Trap, match="out of bounds"):
        run(shallow, STACK // FRAME)
    assert run(deep, 16 * STACK // FRAME - 1) == (16 * STACK // FRAME, b"data")
    # It ends where the rest of the memory began.
    assert run(deep, 19 * STACK // FRAME)[1] != b"data"


@pytest.mark.parametrize("other", [module(2 * STACK), module(STACK, limit="8")])
def test_another_layout_is_left_alone(other: bytes) -> None:
    assert deepened(other) == other


def test_nextpnr_runs_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package like those of nextpnr, whose program takes more than its stack."""
    package = tmp_path / "yowasp_nextpnr_fake"
    package.mkdir()
    (package / "fake.wasm").write_bytes(module(STACK))
    run = "yowasp_runtime.run_wasm(__package__, 'fake.wasm', argv=['fake'])"
    text = f"import yowasp_runtime\n\ndef run_nextpnr_fake(arguments):\n    print('ran')\n    return {run}\n"
    (package / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    assert "ran" in tools.run_nextpnr("yowasp-nextpnr-fake", [], tmp_path, lambda line: None)
