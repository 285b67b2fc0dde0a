"""FPGA targets: clocks, memories, pins and synthesis flows."""
