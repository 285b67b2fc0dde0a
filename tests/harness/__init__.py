"""A small kit for cocotb benches on Verilator; how to write one is in README.md beside this file."""
