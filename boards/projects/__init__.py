"""Boards whose bitstream Vivado makes: a project for it, the addresses, and what Linux is told."""
