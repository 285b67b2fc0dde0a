"""Simulation: finding Verilator, caching compiled simulators, the RTL as a device."""
