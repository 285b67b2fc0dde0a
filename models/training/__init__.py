"""How the embedded model was made: a corpus generator in pure Python, and a trainer that needs the `train` extra."""
