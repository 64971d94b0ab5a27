"""Values of the manifest's optional columns, from their text and back."""

from __future__ import annotations

from collections.abc import Iterable


def parse_spacing(text: str) -> tuple[float, float]:
    """The two numbers of a row's spacing.

    Raises:
        ValueError: these are no two numbers above 0.
    """
    numbers = [float(part) for part in text.split()]
    if len(numbers) != 2 or not all(0 < number < float("inf") for number in numbers):
        raise ValueError("expected two numbers above 0")
    return numbers[0], numbers[1]


def spacing_text(spacing: tuple[float, float] | None) -> str:
    """A row's spacing as the manifest holds it."""
    return "" if spacing is None else f"{spacing[0]:.9g} {spacing[1]:.9g}"


def is_ratio(text: str) -> bool:
    """Whether a text is a number from 0 to 1, or empty."""
    try:
        return not text or 0 <= float(text) <= 1
    except ValueError:
        return False


def is_grades(text: str, classes: int) -> bool:
    """Whether a text is how many experts, at least one in all, gave each of so many classes, or empty."""
    parts = text.split()
    counted = len(parts) == classes and all(part.isdecimal() for part in parts)
    return not text or (counted and any(map(int, parts)))


def grades_text(counts: Iterable[int]) -> str:
    """A row's grades as the manifest holds them; "" where no expert gave one.

    Args:
        counts: how many experts gave each image class.
    """
    numbers = list(counts)
    return " ".join(map(str, numbers)) if any(numbers) else ""
