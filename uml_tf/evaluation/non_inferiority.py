"""Non-inferiority: is a model shown to be at least as good as another, within a margin per decisive metric?

A test for "not significantly worse" passes every model when there are few images. Here the challenger must
show the opposite: the lower end of the interval of its change must lie above minus the margin. All decisive
metrics must pass, so no correction for testing several is needed (intersection-union test; Berger, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from uml_tf.evaluation.comparison import Difference
from uml_tf.metrics.bootstrap import LEVEL, RESAMPLES
from uml_tf.metrics.chief import decisive_margins
from uml_tf.metrics.metric import metric_of
from uml_tf.runtime.errors import UmlError

LEAST_DEFINED = 0.99
"""Least share of the resamples on which a metric must be defined. A failure detection that rests on fewer
than five wrong classes is defined on less, and its interval is too narrow."""


def parse_margins(entries: Sequence[str]) -> dict[str, float]:
    """The registered margins of the decisive metrics, some replaced by "NAME=VALUE" entries.

    Raises:
        UmlError: a metric that is not decisive, or a value that is no finite number of at least 0.
    """
    margins = decisive_margins()
    for entry in entries:
        name, _, text = entry.partition("=")
        if name not in margins:
            raise UmlError(f"--margin: found '{entry}', expected NAME=VALUE with one of {', '.join(margins)}")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise UmlError(f"--margin: found '{entry}', expected a number of at least 0 after {name}=")
        margins[name] = value
    return margins


def least_subjects(metric: str, margin: float) -> int:
    """The least number of subjects that can show a change to lie within a margin.

    A failure that concerns a share q of all subjects is absent from n of them with probability (1 - q)^n,
    and the interval contains nothing of what is absent. So n must be large enough that this probability is
    at most 2.5 % for the share that alone costs the margin ("rule of three"; Hanley and Lippman-Hand, 1983):
    72 subjects for a margin of .05.

    Args:
        metric: reported name of a metric with finite bounds.
        margin: at least 0; 0 asks for a gain, for which the interval itself is enough.
    """
    share = _share(metric, margin)
    return math.ceil(math.log((1 - LEVEL) / 2) / math.log(1 - share)) if 0 < share < 1 else 1


def _share(metric: str, margin: float) -> float:
    """A margin as a share of the metric's range."""
    found = metric_of(metric)
    assert found is not None
    low, high = found.bounds
    return margin / (high - low)


def _shortfall(difference: Difference, margin: float) -> str | None:
    change = difference.change
    assert difference.gain is not None
    needed = least_subjects(difference.metric, margin)
    if change.subjects < needed:
        return f"found {change.subjects} subjects, expected at least {needed} for a margin of {margin:g}"
    if change.resamples < LEAST_DEFINED * RESAMPLES:
        undefined = 100 * (1 - change.resamples / RESAMPLES)
        return (
            f"found it undefined on {undefined:.0f} % of the resamples (too few images), expected at most 1 %"
        )
    if difference.gain[0] <= -margin:
        return (
            f"found a change of {change.value:+.4f}, 95 % interval {change.low:+.4f} to {change.high:+.4f}, "
            f"expected no loss of {margin:g} or more in it"
        )
    return None


def shortfalls(found: Sequence[Difference], margins: Mapping[str, float]) -> list[str]:
    """Why the second model is not shown to be at least as good as the first: a line for each metric.

    Args:
        found: the differences.
        margins: decisive metric -> how much worse the second model may be. A margin of the metric's whole
            range leaves nothing to test. A metric that is undefined for either model (no masks; no wrong
            class) is not tested.

    Returns:
        The lines; none where every decisive metric passes. Where none is defined, nothing is shown.
    """
    tested = [d for d in found if d.metric in margins and d.gain is not None]
    if not tested:
        return [f"found no image on which {', '.join(margins)} are defined, expected at least one of them"]
    limited = [d for d in tested if _share(d.metric, margins[d.metric]) < 1]
    reasons = ((d.metric, _shortfall(d, margins[d.metric])) for d in limited)
    return [f"{metric}: {reason}" for metric, reason in reasons if reason]
