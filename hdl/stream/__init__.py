"""The stream unit: reads weights and cache pages in program order, ahead of the sequencer."""
