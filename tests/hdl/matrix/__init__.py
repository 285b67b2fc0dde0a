"""Benches of the matrix unit."""
