"""Celosia generates synthesizable RTL for LLM accelerators and proves it token by token."""
