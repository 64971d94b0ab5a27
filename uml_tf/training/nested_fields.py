"""The fields of a config and of its sections: nested dicts, and dotted names such as "loss.cls"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat_names(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted names of nested dicts: {"loss": {"cls": 1}} is {"loss.cls": 1}."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flat_names(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dicts of dotted names: {"loss.cls": 1} is {"loss": {"cls": 1}}."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        for part in reversed(name.split(".")):
            value = {part: value}
        found = merged(found, value)
    return found


def merged(base: dict[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of nested dicts in which the values of others replace those of the same place."""
    both = dict(base)
    for key, value in update.items():
        if isinstance(value, dict) and isinstance(both.get(key), dict):
            both[key] = merged(both[key], value)
        else:
            both[key] = value
    return both


def holds(values: Any, location: tuple[Any, ...]) -> bool:
    """Whether nested dicts have an entry at a location, or at a part of it that is not a dict."""
    for part in location:
        if not isinstance(values, dict):
            return True
        if part not in values:
            return False
        values = values[part]
    return True
