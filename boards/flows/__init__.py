"""Descriptions of a generated accelerator that FPGA flows read: FuseSoC, IP-XACT, Vivado."""
