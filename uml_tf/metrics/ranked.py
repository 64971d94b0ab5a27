"""Images in the order of a score, and what they lose: found once for any number of resamples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.metrics.draws import divided

Array = NDArray[Any]


class Ranking:
    """The order of a score, found once.

    Attributes:
        scores: ``(G,)`` the G different scores, least first.
        group: ``(N,)`` place of each image's score among these.
    """

    def __init__(self, score: Array) -> None:
        """Sorts ``(N,)`` scores, N at least 1."""
        self._order = np.argsort(score, kind="stable")
        ordered = score[self._order]
        first = np.append(True, ordered[1:] != ordered[:-1])
        self._starts = np.flatnonzero(first)
        self.scores = ordered[self._starts]
        self.group = np.empty(len(score), np.intp)
        self.group[self._order] = np.cumsum(first) - 1

    def ordered(self, values: Array) -> Array:
        """``(..., N)`` numbers of the images in the order of the score."""
        return values.take(self._order, axis=-1)

    def sums(self, ordered: Array) -> Array:
        """``(..., G)`` sums of the images of each score, of ``(..., N)`` numbers in the score's order."""
        if len(self._starts) == len(self._order):
            return ordered
        return np.add.reduceat(ordered, self._starts, axis=-1)


@dataclass(frozen=True)
class RankedLoss:
    """The drawn images of D resamples by their score, the least first; ``(D, G)`` each, G different scores.

    Attributes:
        images: how many images have the score.
        loss: the sum of their losses.
        accepted, lost: the same of all images with this score or a smaller one.
    """

    images: Array
    loss: Array
    accepted: Array
    lost: Array

    @property
    def total(self) -> Array:
        """``(D,)`` number of images of each resample."""
        return self.accepted[:, -1]

    @property
    def total_loss(self) -> Array:
        """``(D,)`` the sum of all losses of each resample."""
        return self.lost[:, -1]

    @cached_property
    def mean_risk(self) -> Array:
        """``(D,)`` mean loss of the n images with the least score, averaged over n.

        Where m images share a score and lose l, behind M images that lose L, the risks of the m are
        (L + j l/m) / (M + j), j = 1 to m; their sum is l + (L - M l/m) (H(M + m) - H(M)), H harmonic numbers.
        """
        before = self.accepted - self.images
        harmonic = harmonic_numbers(int(self.total.max()))
        steps = harmonic[self.accepted.astype(np.intp)] - harmonic[before.astype(np.intp)]
        rest = self.lost - self.loss - self.loss / np.maximum(self.images, 1) * before
        return (self.total_loss + np.einsum("dg,dg->d", rest, steps)) / self.total

    @property
    def area_under_roc(self) -> Array:
        """``(D,)`` ``area_under_roc`` of the score, where the loss is 1 for positives and 0 for negatives."""
        negative = self.images - self.loss
        below = self.accepted - self.lost - negative / 2
        pairs = self.total_loss * (self.total - self.total_loss)
        return divided(np.einsum("dg,dg->d", self.loss, below), pairs)


@lru_cache(maxsize=1)
def harmonic_numbers(most: int) -> Array:
    """The sums 1 + 1/2 + ... + 1/n for n = 0 to the most."""
    return np.append(0.0, np.cumsum(1.0 / np.arange(1, most + 1)))


def ranked_loss(score: Array, loss: Array) -> Callable[[Array], RankedLoss]:
    """A function from ``(D, N)`` counts (see ``OfDraws``) to the ``RankedLoss``.

    Args:
        score: ``(N,)``, larger for more doubt.
        loss: ``(N,)``; bool counts as 0 and 1.
    """
    ranking = Ranking(score)
    ordered = ranking.ordered(np.asarray(loss, np.float64))

    def of(draws: Array) -> RankedLoss:
        drawn = ranking.ordered(draws)
        images, lost = ranking.sums(drawn), ranking.sums(drawn * ordered)
        return RankedLoss(images, lost, np.cumsum(images, axis=1), np.cumsum(lost, axis=1))

    return of
