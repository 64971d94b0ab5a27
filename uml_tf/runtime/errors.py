"""The one error that users see: a line that says what, where, found and expected."""

from __future__ import annotations

import re


class UmlError(Exception):
    """Bad input or a state that stops the work; the CLI prints its message as one line.

    Attributes:
        exit_status: the CLI's exit status then.
    """

    exit_status = 1


def first_line(error: BaseException | str) -> str:
    """The first line of an error or of a text; the kind of an error that says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else (error if isinstance(error, str) else type(error).__name__)


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line: our own error, or the operating system's, where one caused it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UmlError):
            return first_line(cause)
        original = getattr(cause, "orig", None)  # SQLAlchemy's: the error of the database driver
        if isinstance(original, BaseException):
            return str(original)
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    # Errors of copied folders have a line for each file.
    of_file = re.search(r"\[Errno \d+\] ([\w ]+)", str(error))
    return of_file[1] if of_file else first_line(error)
