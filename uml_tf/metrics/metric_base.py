"""What the kinds of metric have in common: how each describes itself, and what it is a function of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from uml_tf.metrics.draws import OfDraws, of_rows
from uml_tf.metrics.ranked import RankedLoss, ranked_loss

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What every metric states about itself.

    Attributes:
        better: which values are better.
        description: one line, for the docs and for ``uml-tf evaluate --list-metrics``.
        bounds: least and largest possible value; ``math.inf`` where there is none.
        margin: the metric is decisive for promotion: a model replaces another only if it is shown to be
            worse by less than this. None: the metric is not decisive. Needs finite bounds.
        headline: whether ``uml-tf registry list`` shows it. A metric of several scores of doubt is decisive,
            and shown, by the confidence alone.
    """

    kind: ClassVar[str]
    inputs: ClassVar[str]

    better: Literal["higher", "lower"]
    description: str
    bounds: tuple[float, float] = (0.0, 1.0)
    margin: float | None = None
    headline: bool = False

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise ValueError(f"better: found {self.better!r}, expected 'higher' or 'lower'")
        if self.margin is not None and inf in self.bounds:
            raise ValueError(
                "margin: found bounds without an end, expected finite ones for a decisive metric"
            )

    @property
    def sign(self) -> int:
        """1 where higher values are better, else -1."""
        return 1 if self.better == "higher" else -1


@dataclass(frozen=True, kw_only=True)
class ImagesMetric(Metric):
    """A metric of arrays that have a row for each image.

    Attributes:
        value: from the rows to the metric.
        of_draws: the same of resamples, for those who want them fast: from the same arrays, which it sees
            once, to a function of how often each image was drawn. Without it the rows are repeated.
    """

    value: Callable[..., float]
    of_draws: Callable[..., OfDraws] | None = None


@dataclass(frozen=True, kw_only=True)
class ScoredMetric(Metric):
    """A metric that is applied to each of several scores of doubt, larger for more doubt.

    It is reported under its own name for the vacuity, under NAME_SCORE for the others.

    Attributes:
        scores: score -> meaning.
    """

    scores: ClassVar[Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class RankedMetric(ScoredMetric, ImagesMetric):
    """A metric of a score ``(N,)`` and of what it should rank above the rest, ``(N,)``.

    Attributes:
        of_ranked: for metrics that need the order of the score alone, in place of ``of_draws``: from the
            images of D resamples in this order to ``(D,)`` values. All metrics of a score share the order.
    """

    of_ranked: Callable[[RankedLoss], Array] | None = None

    @staticmethod
    def loss(outcome: Array) -> Array:
        """``(N,)`` what an image loses, of what ``value`` takes beside the score."""
        return outcome


@dataclass(frozen=True, kw_only=True)
class SummedMetric(Metric):
    """A metric of all pixels of all images together, computed from counts that add up over the images.

    Attributes:
        value: from the sum of the counts over images to the metric; nan where it is undefined.
        of_all: for a metric that chooses something on all images, e.g. a threshold, and keeps it in every
            resample: from the sum over all images to the ``value`` of resamples.
    """

    value: Callable[[Array], float]
    of_all: Callable[[Array], Callable[[Array], float]] | None = None


def of_draws(metric: ImagesMetric, *arrays: Array) -> OfDraws:
    """A metric of resamples of images; ``(N, ...)`` arrays, of which the metric takes the rows."""
    if isinstance(metric, RankedMetric) and metric.of_ranked:
        of_ranked, ranked = metric.of_ranked, ranked_loss(arrays[0], metric.loss(arrays[1]))
        return lambda draws: of_ranked(ranked(draws))
    return metric.of_draws(*arrays) if metric.of_draws else of_rows(metric.value, *arrays)
