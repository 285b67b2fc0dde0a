"""What stands around an accelerator on a board without a processor: memory, serial line, console."""
