"""Development scripts that produced the embedded model; they need the `train` extra."""
