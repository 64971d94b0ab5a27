"""What is decided on the images: how many are accepted, and how many of these are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from uml_tf.metrics.metric import METRICS, DecisionMetric

Array = NDArray[Any]

_LEVEL = 0.95


def exact_interval(count: int, total: int) -> tuple[float, float]:
    """The exact binomial 95 % interval of a share, in [0, 1].

    Args:
        count: of those that are counted, 0 to ``total``.
        total: independent images, at least 1.

    Source: Clopper and Pearson, "The use of confidence or fiducial limits", Biometrika 1934.
    """
    tail = (1 - _LEVEL) / 2
    low = float(beta.ppf(tail, count, total - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, total - count)) if count < total else 1.0
    return low, high


def _is(action: str) -> Any:
    return lambda actions, wrong: actions == action


def _every(actions: Array, wrong: Array) -> Array:
    return np.ones(len(actions), bool)


def _accepted_and_wrong(actions: Array, wrong: Array) -> Array:
    return (actions == "accept") & wrong


METRICS.add(
    "accepted",
    DecisionMetric(
        part=_is("accept"), whole=_every, better="higher", description="coverage: share that is accepted"
    ),
)
METRICS.add(
    "accepted_risk",
    DecisionMetric(
        part=_accepted_and_wrong,
        whole=_is("accept"),
        labelled=True,
        better="lower",
        description="share of wrong classes among the accepted images with a label",
    ),
)
METRICS.add(
    "accepted_wrong",
    DecisionMetric(
        part=_accepted_and_wrong,
        whole=_every,
        labelled=True,
        better="lower",
        description="share that is accepted and wrong, of all images with a label",
    ),
)
METRICS.add(
    "referred",
    DecisionMetric(
        part=_is("refer"), whole=_every, better="lower", description="share that is referred to a specialist"
    ),
)
METRICS.add(
    "ungradable",
    DecisionMetric(
        part=_is("ungradable"), whole=_every, better="lower", description="share that is ungradable"
    ),
)
