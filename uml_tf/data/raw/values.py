"""What raw values mean: "0=normal,1=glaucoma" for labels, "0=background,#ff0000=disc" for pixels."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.regions import ANY_REGION_PIXEL, MOST_CLASSES

BACKGROUND, UNKNOWN = "background", "unknown"

_NUMBER = re.compile(r"\d+")
_RANGE = re.compile(r"(\d+)-(\d+)")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def parse_pairs(text: str, option: str) -> list[tuple[str, str]]:
    """The pairs of "VALUE=NAME,VALUE=NAME"; the value is "" where there is no "=".

    Args:
        text: of the option.
        option: its name, for messages.

    Raises:
        UmlError: a name is missing.
    """
    pairs = []
    for part in text.split(","):
        value, equals, name = part.rpartition("=")
        if not name.strip() or (equals and not value.strip()):
            raise UmlError(f"{option}: found '{part}' in '{text}', expected NAME or VALUE=NAME")
        pairs.append((value.strip(), name.strip()))
    return pairs


def _same_number(first: str, second: str) -> bool:
    try:
        return float(first) == float(second)
    except ValueError:
        return False


@dataclass(frozen=True)
class LabelNames:
    """Names of the image classes, and what raw values they stand for.

    Attributes:
        names: in index order.
        of_value: raw value -> name; the names themselves need no entry.
    """

    names: tuple[str, ...]
    of_value: Mapping[str, str]

    @classmethod
    def parse(cls, text: str, option: str = "--classes") -> LabelNames:
        """From "normal,glaucoma" or "0=normal,1=glaucoma"; several values may have one name.

        Raises:
            UmlError: it is not of this form.
        """
        pairs = parse_pairs(text, option)
        return cls(
            tuple(dict.fromkeys(name for _, name in pairs)), {value: name for value, name in pairs if value}
        )

    def name(self, value: str) -> str:
        """The class of a raw value; the value itself where it has no entry. 1, 1.0 and 01 are one number."""
        if value in self.of_value:
            return self.of_value[value]
        if value in self.names:
            return value
        for known, name in self.of_value.items():
            if _same_number(known, value):
                return name
        return value


@dataclass(frozen=True)
class PixelValues:
    """What the values of a mask's pixels mean.

    Attributes:
        classes: names of the pixel classes, in index order, background first.
        grey: (first, last, class name) of ranges of grey values or palette indices.
        colours: (R, G, B) -> class name.
        names: name in an annotation file -> class name.
        is_complete: the background is listed too, so that a value that is not listed is an error; else such a
            value is background.
    """

    classes: tuple[str, ...]
    grey: tuple[tuple[int, int, str], ...]
    colours: Mapping[tuple[int, int, int], str]
    names: Mapping[str, str]
    is_complete: bool

    @classmethod
    def parse(cls, text: str, option: str = "--pixel-values") -> PixelValues:
        """From parts VALUE=CLASS with commas between.

        A value is a grey value or palette index (128=rim), a range of them (128-255=lesion), a colour
        (#ff0000=disc), or the name of a category (tumour=lesion). The class "unknown" stands for pixels
        whose class is not known.

        Raises:
            UmlError: it is not of this form, or grey values and colours are mixed.
        """
        grey: list[tuple[int, int, str]] = []
        colours: dict[tuple[int, int, int], str] = {}
        names: dict[str, str] = {}
        pairs = parse_pairs(text, option)
        for value, name in pairs:
            if not value:
                raise UmlError(f"{option}: found '{name}', expected VALUE={name}, e.g. 255={name}")
            span = _RANGE.fullmatch(value)
            if _NUMBER.fullmatch(value):
                grey.append((int(value), int(value), name))
                names[value] = name  # it may be the number of a category, too
            elif span:
                grey.append((int(span[1]), int(span[2]), name))
            elif _COLOUR.fullmatch(value):
                red, green, blue = (int(value[at : at + 2], 16) for at in (1, 3, 5))
                colours[red, green, blue] = name
            elif value.startswith("#"):
                raise UmlError(f"{option}: found '{value}', expected a colour of six digits, e.g. #ff0000")
            else:
                names[value] = name
        if grey and colours:
            raise UmlError(f"{option}: found grey values and colours in '{text}', expected one kind")
        listed = [name for _, name in pairs]
        return cls(pixel_classes(listed), tuple(grey), colours, names, BACKGROUND in listed)

    @property
    def expected(self) -> str:
        """The listed values, for messages."""
        ranges = [str(first) if first == last else f"{first}-{last}" for first, last, _ in self.grey]
        return ", ".join(ranges or ["#{:02x}{:02x}{:02x}".format(*colour) for colour in self.colours])


def pixel_classes(listed: Sequence[str]) -> tuple[str, ...]:
    """Pixel classes in index order: the background, and the others as they are listed first.

    Raises:
        UmlError: these are more than ``MOST_CLASSES``.
    """
    names = tuple(dict.fromkeys([BACKGROUND, *(name for name in listed if name != UNKNOWN)]))
    if len(names) > MOST_CLASSES:
        raise UmlError(
            f"pixel classes: found {len(names)} with the background, expected at most {MOST_CLASSES}: "
            f"pixel values from {ANY_REGION_PIXEL} on are reserved"
        )
    return names
