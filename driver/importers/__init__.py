"""Readers of model files: each turns one file format into one model description."""
