"""How good the outline of a region is, in words, by the Dice that is estimated for it.

The one source of these limits and words: the export writes the limits into the script of the bundle's page,
whose texts are the words and their translations.
"""

from __future__ import annotations

from collections.abc import Mapping

LIMITS = ((0.9, "good"), (0.75, "fair"), (0.0, "poor"))
"""(least estimated Dice, level), the best level first."""

WORDS = {
    "good": "good",
    "fair": "check it",
    "poor": "do not use it",
    "none": "not found",
    "unchecked": "not checked",
}
"""Level -> its words: those of ``LIMITS``, "none" for a region that the mask does not show, and "unchecked"
for one whose Dice is not estimated."""


def outline_level(quality: Mapping[str, float | None], region: str) -> str:
    """The level of a region's outline, a key of ``WORDS``.

    Args:
        quality: region -> estimated Dice in [0, 1], None where the mask does not show it
            (``uml_tf.runtime.mask_quality``).
        region: a name; one that is not in ``quality`` is "unchecked".
    """
    if region not in quality:
        return "unchecked"
    dice = quality[region]
    if dice is None:
        return "none"
    return next(level for least, level in LIMITS if dice >= least)


def outline_in_words(quality: Mapping[str, float | None], region: str) -> str:
    """How good a region's outline is, with its estimated Dice where it has one, e.g. "check it (0.83)".

    Args:
        quality: see ``outline_level``.
        region: likewise.
    """
    words, dice = WORDS[outline_level(quality, region)], quality.get(region)
    return words if dice is None else f"{words} ({dice:.2f})"
