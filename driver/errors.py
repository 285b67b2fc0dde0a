"""Errors that a user can act on."""

import os

_LONGEST_VALUE = 100


class ModelError(ValueError):
    """A model file that cannot be used, said in one line.

    Parameters
    ----------
    file : path
        Which file or folder.
    field : str
        What in it: a header field, a key, a tensor.
    value : object
        What stands there; shown with `repr`, shortened. None: it is missing, and `fix` follows that word.
    fix : str
        What would be right, or what to do.
    """

    def __init__(self, file: str | os.PathLike[str], field: str, value: object, fix: str) -> None:
        super().__init__(file, field, value, fix)
        self.file, self.field, self.value, self.fix = file, field, value, fix

    def __str__(self) -> str:
        shown = "missing" if self.value is None else repr(self.value)
        if len(shown) > _LONGEST_VALUE:
            shown = shown[: _LONGEST_VALUE - 3] + "..."
        # Names come from hostile files too: a newline in one must not break the line.
        field = self.field.encode("unicode_escape").decode("ascii") if not self.field.isprintable() else self.field
        return f"{os.fspath(self.file)}: {field} is {shown}: {self.fix}"
