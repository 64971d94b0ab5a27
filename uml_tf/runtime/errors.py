"""The one error that users see: a line that says what, where, found and expected."""

from __future__ import annotations


class UmlError(Exception):
    """Bad input or a state that stops the work; the CLI prints its message as one line.

    Attributes:
        exit_status: the CLI's exit status then.
    """

    exit_status = 1
