"""Attention over the paged cache: page schedule, KV merger, micro-operations, softmax and output."""
