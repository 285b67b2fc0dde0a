"""What a user of the flows can act on."""


class SynthesisError(RuntimeError):
    """A unit or target that does not exist, or a tool that is missing or refuses the design: one line, with the fix."""


class RoutingError(SynthesisError):
    """nextpnr finds no ways for all wires of a placement; those of another one it may find."""


class BoardError(RuntimeError):
    """A board that is not there or does not do what it must: one line that names the file, what is wrong, the fix."""
