"""Is the promise of acceptance kept? Thresholds fitted anew on random splits of images, by subject."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.training.accept_threshold import CONFIDENCE, RISK_TARGET, fit_accept_above

Array = NDArray[Any]


@dataclass(frozen=True)
class Resplit:
    """What a threshold that was fitted on one part does on the other.

    Attributes:
        above: the threshold, None where nothing may be accepted.
        images: number of images of the other part.
        accepted, wrong: how many of them are accepted, and how many of these have the wrong class.
    """

    above: float | None
    images: int
    accepted: int
    wrong: int

    def keeps(self, risk_target: float) -> bool:
        """Whether the share of wrong classes among the accepted is at most the target; so where none is."""
        return self.wrong <= risk_target * self.accepted


def random_parts(subjects: Sequence[Hashable], share: float, count: int) -> Iterator[Array]:
    """Yields ``(N,)`` bool, the images to fit on: those of ``share`` of the subjects, drawn anew each time.

    Args:
        subjects: the subject of each image.
        share: of the subjects, in (0, 1).
        count: how often.
    """
    names, member = np.unique([str(s) for s in subjects], return_inverse=True)
    rng = np.random.default_rng(0)
    for _ in range(count):
        drawn = rng.permutation(len(names)) < round(share * len(names))
        yield drawn[member]


def check_promise(
    confidence: Array,
    correct: Array,
    gradable: Array,
    subjects: Sequence[Hashable],
    share: float,
    count: int,
    risk_target: float = RISK_TARGET,
    stated: float = CONFIDENCE,
) -> list[Resplit]:
    """Fits the threshold of acceptance on a part of the images and counts what it accepts of the rest.

    Args:
        confidence: ``(N,)`` in the class, in [0, 1].
        correct: ``(N,)`` bool, whether the class is right.
        gradable: ``(N,)`` bool; an image that is not is neither fitted on nor accepted.
        subjects: the subject of each image; the parts never divide one.
        share: of the subjects that are fitted on.
        count: number of random splits.
        risk_target: largest share of wrong classes among the accepted.
        stated: confidence with which the fitted part is to show that.
    """
    found = []
    for fitted in random_parts(subjects, share, count):
        part = fitted & gradable
        above = fit_accept_above(confidence[part], correct[part], risk_target, stated).above
        accepted = ~fitted & gradable & (confidence >= (np.inf if above is None else above))
        wrong = int(np.count_nonzero(accepted & ~correct))
        found.append(Resplit(above, int((~fitted).sum()), int(np.count_nonzero(accepted)), wrong))
    return found
