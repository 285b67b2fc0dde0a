"""Benches of hdl/arithmetic, against exact integers and the mathematics of the functions."""
