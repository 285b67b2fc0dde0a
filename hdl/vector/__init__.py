"""The vector unit: normalisation, rope, gates and the block quantizer."""
