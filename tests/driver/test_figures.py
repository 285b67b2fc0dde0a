"""Useful bytes and work of a compiled model against sums over its tensors."""

from celosia.arch.formats import BLOCK, WEIGHT_FORMATS
from celosia.driver.compiler import compile_model
from celosia.driver.figures import Load

from .models import middle_config, random_config, random_model

MIXED = {"layers.1.wv": "Q4_1", "layers.2.wv": "Q4_1", "wv": "Q8_0", "w_up": "Q4_0"}


def test_a_pass_asks_for_every_layers_own_weights() -> None:
    """Head sizes and widths without padding, so that a tensor's blocks are what is streamed."""
    model = random_model(random_config(n_layers=4), 1, MIXED)
    load = Load(compile_model(model, middle_config(), weight_format="Q8_0"))
    expected, work = 8 * 16, 0  # rope constants of half a head
    for name, tensor in model.tensors.items():
        if not name.startswith("layers."):
            continue
        count = len(tensor.dequantize().reshape(-1))
        if "norm" in name:
            expected += 4 * count
        else:
            weight_format = tensor.format if tensor.format in WEIGHT_FORMATS else "Q8_0"
            expected += count // BLOCK * WEIGHT_FORMATS[weight_format].block_bytes
            work += count
    assert load.body_bytes == expected
    assert load.macs(0, 1, head=False) - 2 * 4 * 32 * 4 == work
