"""What a user of the flows can act on."""


class SynthesisError(RuntimeError):
    """A unit or target that does not exist, or a tool that is missing or refuses the design: one line, with the fix."""


class RoutingError(SynthesisError):
    """A placement that nextpnr does not route, or that is not worth routing; with another one it may be different.

    Attributes:
        fmax_mhz, goal_mhz: what the clock that limits would reach by its estimate, and must; 0 of 1 where that is not
            why.
    """

    def __init__(self, message: str, fmax_mhz: float = 0.0, goal_mhz: float = 1.0) -> None:
        super().__init__(message)
        self.fmax_mhz, self.goal_mhz = fmax_mhz, goal_mhz


class BoardError(RuntimeError):
    """A board that is not there or does not do what it must: one line that names the file, what is wrong, the fix."""
