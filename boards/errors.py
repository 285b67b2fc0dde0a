"""What a user of the flows can act on."""


class SynthesisError(RuntimeError):
    """A unit or target that does not exist, or a tool that is missing or refuses the design: one line, with the fix."""
