"""A pydantic error as one line."""

from __future__ import annotations

from pydantic import ValidationError


def describe_validation_error(error: Exception) -> str:
    """The first problem of a pydantic error as "field: found ..., expected ..."."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: found {first['input']!r}, {first['msg'][:1].lower()}{first['msg'][1:]}"
