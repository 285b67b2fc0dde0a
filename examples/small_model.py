"""Write a llama2.c checkpoint of the smallest Llama that people use, 260 thousand parameters, with random weights.

    python examples/small_model.py build/small.bin
    celosia bench --model build/small.bin --config kria --decode 128

Values do not decide how long something takes: the cycles are those of a trained model of this shape.
"""

import struct
import sys
from pathlib import Path

import numpy as np

DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCABULARY, CONTEXT = 64, 172, 5, 8, 4, 512, 512
MAGIC, VERSION, HEADER_BYTES = 0x616B3432, 1, 256


def checkpoint(seed: int = 1) -> bytes:
    """Header, then float32: gains, the embedding, which is the output matrix too, and the matrices of all layers."""
    kv_dim = DIM // HEADS * KV_HEADS
    layer = 2 * DIM * DIM + 2 * kv_dim * DIM + 3 * HIDDEN * DIM
    sizes = (DIM, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCABULARY, CONTEXT)
    header = struct.pack("<Ii7iB", MAGIC, VERSION, *sizes, True).ljust(HEADER_BYTES, b"\0")
    gains = np.ones((2 * LAYERS + 1) * DIM)
    weights = np.random.default_rng(seed).standard_normal(VOCABULARY * DIM + LAYERS * layer) / np.sqrt(DIM)
    return header + np.concatenate([gains, weights]).astype("<f4").tobytes()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/small_model.py FILE.bin")
    Path(sys.argv[1]).write_bytes(checkpoint())
