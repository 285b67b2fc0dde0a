"""How the golden machine stops."""

from ..arch.isa import Status


class MachineError(RuntimeError):
    """The machine stopped with an error status, as ``docs/isa.md`` defines it.

    Attributes:
        status: the cause.
        address: what the cause's address register holds: a byte address, an instruction index, a position, ...
    """

    def __init__(self, status: Status, address: int) -> None:
        super().__init__(f"the machine stopped: {status.name}, address {address:#x}")
        self.status = status
        self.address = address


class UnwrittenRead(RuntimeError):
    """An instruction read a word that nothing in its pass has written: a bug of the compiler, not of the machine."""
