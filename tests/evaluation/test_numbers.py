"""Named numbers of many images: mappings of the same content, in less memory."""

from __future__ import annotations

import pickle
import tracemalloc
from math import nan

import pytest

from uml_tf.evaluation.numbers import Numbers

NAMES = [f"dice_of_a_region_{number}" for number in range(24)]


def test_they_are_the_mapping_that_they_are_made_of():
    plain = {name: 0.1 * place for place, name in enumerate(NAMES)}
    numbers = Numbers(plain)
    assert numbers == plain
    assert list(numbers) == NAMES
    assert (numbers["dice_of_a_region_3"], numbers.get("other", nan) != numbers.get("other", nan)) == (
        plain[NAMES[3]],
        True,
    )
    with pytest.raises(KeyError):
        numbers["other"]
    assert pickle.loads(pickle.dumps([numbers, Numbers({})])) == [plain, {}]
    assert not Numbers({})


def test_many_with_the_same_names_take_a_fifth_of_dicts_at_most():
    def taken(make):
        tracemalloc.start()
        kept = [
            make({name[:9] + name[9:]: place + 0.5 for place, name in enumerate(NAMES)}) for _ in range(500)
        ]
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size / len(kept)

    assert taken(Numbers) < taken(dict) / 5
