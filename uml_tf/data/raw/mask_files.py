"""The mask of an image from one or several files that belong to it by their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from uml_tf.data.masks import read_foreground, read_together
from uml_tf.data.raw.file_patterns import FilePattern
from uml_tf.data.raw.pixel_values import class_index, read_class_mask
from uml_tf.data.raw.values import PixelValues, parse_pairs, pixel_classes
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array
from uml_tf.runtime.regions import UNKNOWN_PIXEL

FOREGROUND = "foreground"


@dataclass(frozen=True)
class MaskRule:
    """Files of one kind.

    Attributes:
        pattern: of their names.
        region: pixel class that is bright in them; "" for files whose values stand for classes.
    """

    pattern: FilePattern
    region: str


@dataclass(frozen=True)
class MaskFiles:
    """How the mask of an image is put together.

    The files are drawn over each other, in the order of the rules: a class of a later file covers that of an
    earlier one. Background covers nothing, and "unknown" of a file with values covers only background.

    Attributes:
        rules: in the order of drawing.
        values: of the classes.
    """

    rules: tuple[MaskRule, ...]
    values: PixelValues

    @classmethod
    def parse(cls, text: str, raw: Path, values: PixelValues | None) -> MaskFiles:
        """From PATTERN or CLASS=PATTERN parts with commas between.

        Without ``values`` a file shows a region in white: that of its class, or without one "foreground".

        Args:
            text: of the option ``--masks``.
            raw: the raw folder.
            values: of ``--pixel-values``, or None.

        Raises:
            UmlError: it is not of this form, or files with and without a class are mixed.
        """
        pairs = parse_pairs(text, "--masks")
        regions = [region for region, _ in pairs]
        if any(regions) and (values is not None or not all(regions)):
            given = "--pixel-values" if values is not None else "patterns without a class"
            raise UmlError(f"--masks: found CLASS=PATTERN and {given}, expected one of the two")
        if values is None:
            regions = [region or FOREGROUND for region in regions]
            values = PixelValues(pixel_classes(regions), (), {}, {}, False)
        rules = [
            MaskRule(FilePattern(pattern, raw), region)
            for region, (_, pattern) in zip(regions, pairs, strict=True)
        ]
        return cls(tuple(rules), values)

    @property
    def patterns(self) -> tuple[FilePattern, ...]:
        """Of all rules."""
        return tuple(rule.pattern for rule in self.rules)

    def read(self, image: Path, size: tuple[int, int]) -> tuple[Array | None, list[str]]:
        """The mask of an image.

        Args:
            image: its path.
            size: its (H, W).

        Returns:
            ``(H, W)`` uint8 class indices, or None where there is no file or one does not fit; and a line for
            each that does not fit.
        """
        found = [(path, rule.region) for rule in self.rules for path in rule.pattern.matches(image)]
        readers = [(path, partial(self._read, region=region)) for path, region in found]
        pictures, problems = read_together(readers, size, image.name)
        if not pictures:
            return None, problems
        mask = np.zeros(size, np.uint8)
        for (_, region), drawn in zip(found, pictures, strict=True):
            draw_over(mask, drawn, covers_all=bool(region))
        return mask, []

    def _read(self, path: Path, region: str) -> Array:
        if not region:
            return read_class_mask(path, self.values)
        index = class_index(region, self.values)
        return np.where(read_foreground(path), np.uint8(index), np.uint8(0))


def draw_over(mask: Array, drawn: Array, covers_all: bool) -> None:
    """Draws class indices over a mask, in place.

    Args:
        mask: ``(H, W)`` uint8.
        drawn: of the same shape; 0 leaves the mask as it is.
        covers_all: ``UNKNOWN_PIXEL`` covers classes too; else only background.
    """
    covering = drawn > 0
    if not covers_all:
        covering &= (drawn != UNKNOWN_PIXEL) | (mask == 0)
    mask[covering] = drawn[covering]
