"""A pydantic error as one line."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def describe_validation_error(error: Exception) -> str:
    """The first problem of a pydantic error as "FIELD: found ..., expected ..."; any other error as it is."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{field}: missing"
    if first["type"] == "extra_forbidden":
        return f"{field}: unknown field"
    if not field:  # a rule on several fields, whose message names them
        return _expectation(first)
    if first["type"] == "too_long":
        context = first["ctx"]
        return f"{field}: found {context['actual_length']} entries, expected at most {context['max_length']}"
    return f"{field}: found {first['input']!r}, {_expectation(first)}"


def _expectation(problem: Any) -> str:
    if problem["type"] in _LIMITS:
        words, key = _LIMITS[problem["type"]]
        return f"expected {words} {problem['ctx'][key]}"
    message: str = problem["msg"].removeprefix("Value error, ")
    if message.startswith("Input should be "):
        return f"expected {message.removeprefix('Input should be ')}"
    return f"{message[:1].lower()}{message[1:]}"
