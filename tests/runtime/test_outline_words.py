"""The words for the outline of a region, by its estimated Dice."""

from __future__ import annotations

import pytest

from uml_tf.runtime.outline_words import LIMITS, WORDS, outline_in_words, outline_level


@pytest.mark.parametrize(
    ("dice", "words"),
    [
        (1.0, "good (1.00)"),
        (0.9, "good (0.90)"),
        (0.89, "check it (0.89)"),
        (0.75, "check it (0.75)"),
        (0.71, "do not use it (0.71)"),
        (0.0, "do not use it (0.00)"),
        (None, "not found"),
    ],
)
def test_an_estimate_is_said_in_words(dice, words):
    assert outline_in_words({"cup": dice}, "cup") == words


def test_a_region_without_an_estimate_is_not_checked():
    assert outline_in_words({"cup": 0.9}, "rim") == "not checked"
    assert outline_level({}, "rim") == "unchecked"


def test_every_level_has_words_and_every_dice_a_level():
    assert {level for _, level in LIMITS} | {"none", "unchecked"} == set(WORDS)
    least = [limit for limit, _ in LIMITS]
    assert least == sorted(least, reverse=True)
    assert least[-1] == 0
