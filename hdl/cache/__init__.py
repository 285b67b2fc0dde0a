"""The paged KV cache: block table, tail buffer and page writer."""
