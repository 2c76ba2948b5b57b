"""What a command says when it cannot go on: what happened, where, and what to do."""

from __future__ import annotations


class Trouble(Exception):  # noqa: N818
    """Ends the command with its text on standard error. `hint` is the sentence that says what to do."""

    def __init__(self, message: str, hint: str = "", code: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


def of_os(error: OSError, doing: str) -> Trouble:
    """Turn an operating system error into words. `doing` completes "could not ..."."""
    where = f" {error.filename}" if error.filename else ""
    return Trouble(f"could not {doing}{where}: {error.strerror or error}")
