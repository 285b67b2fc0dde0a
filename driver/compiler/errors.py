"""Why a model does not run on a config, with the change that makes it run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Misfit:
    """One field of a config that is too small for a model.

    Attributes:
        field: config field, as in TOML: ``vector.scratchpad_words``.
        value: what the config says.
        needed: the smallest legal value that fits, None where no legal value does.
        reason: what needs it.
    """

    field: str
    value: object
    needed: object | None
    reason: str

    def __str__(self) -> str:
        text = f"{self.field} = {_shown(self.value)}: {self.reason}"
        if self.needed is None:
            return f"{text}; no legal value of {self.field} is enough"
        if isinstance(self.value, int) and isinstance(self.needed, int) and self.needed > self.value:
            text += f" ({self.needed - self.value} more)"
        return f"{text}; set {self.field} to {_shown(self.needed)}"


class FitError(ValueError):
    """A model that does not fit a config: every field that must change, in one line.

    Attributes:
        misfits: what does not fit; applying every `needed` makes the model fit.
    """

    def __init__(self, model: str, config: str, misfits: list[Misfit]) -> None:
        self.misfits = tuple(misfits)
        super().__init__(f"model {model!r} does not fit config {config!r}: " + " | ".join(map(str, misfits)))


def _shown(value: object) -> str:
    return "[" + ", ".join(map(repr, value)) + "]" if isinstance(value, tuple) else repr(value)
