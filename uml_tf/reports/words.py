"""The chief metrics in the words of a clinic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uml_tf.data.pixel_size import MILLIMETRES, PIXELS
from uml_tf.evaluation.summary import Metrics
from uml_tf.metrics.bootstrap import Estimate
from uml_tf.metrics.metric import metric_of

UNDEFINED = "not defined"


@dataclass(frozen=True)
class Words:
    """A metric for people who do not know its name.

    Attributes:
        name: a few words.
        meaning: one sentence.
        share: whether it is a share that is told in percent.
        unit: of a value that has one.
    """

    name: str
    meaning: str
    share: bool = True
    unit: str = ""


_CHIEF = {
    "accuracy": Words("Right class", "Of 100 pictures, how many get the right class."),
    "balanced_accuracy": Words(
        "Right class, every class counting the same",
        "The mean over the classes of how many of their pictures are found; rare classes count as much.",
    ),
    "auc": Words(
        "Ranking of the classes (AUC)",
        "How often a picture of a class gets a higher probability of it than one of another class; "
        "0.5 is chance, 1 is perfect.",
        share=False,
    ),
    "class_failure_auroc_confidence": Words(
        "Doubt finds mistakes (AUROC)",
        "How often a wrong answer has less confidence than a right one; 0.5 is chance, 1 is perfect.",
        share=False,
    ),
    "class_failure_auroc": Words(
        "Uncertainty finds mistakes (AUROC)",
        "How often a wrong answer has more uncertainty than a right one; 0.5 is chance, 1 is perfect. The "
        "confidence, by which answers are accepted, was not measured.",
        share=False,
    ),
    "ece": Words(
        "Error of the stated confidence",
        "By how much the stated confidence differs from the share that is right, on average.",
    ),
    "accepted": Words("Accepted", "How many pictures the model answers itself."),
    "accepted_risk": Words("Wrong among the accepted", "Of the accepted answers, how many are wrong."),
    "referred": Words("Referred", "How many pictures are left to a specialist."),
    "ungradable": Words("Ungradable", "How many pictures are too unlike those of the training to be read."),
    "mean_dice": Words(
        "Agreement of the outlines (Dice), all regions",
        "Twice the common area over the sum of both areas, the model's and the expert's; 1 is perfect.",
        share=False,
    ),
}

_IN_PLACE_OF = {"class_failure_auroc": "class_failure_auroc_confidence"}
"""Metric -> the one that it is shown in place of, where an older uml-tf has not measured that."""

_DISTANCE = (
    "How far the model's outline lies from the expert's, on average along both; a region that the model "
    "missed counts with the diagonal of the picture."
)


def _region(name: str, unit: str) -> Words | None:
    if metric_of(name) is None:
        return None
    if name.startswith("dice_"):
        region = name.removeprefix("dice_")
        return Words(f"Agreement of the outline (Dice): {region}", _CHIEF["mean_dice"].meaning, share=False)
    if name.startswith("assd_") and unit in (MILLIMETRES, PIXELS):
        region = name.removeprefix("assd_")
        return Words(f"Distance of the outlines: {region}", _DISTANCE, share=False, unit=unit)
    return None


def chief(metrics: Metrics, unit: str = "") -> dict[str, Words]:
    """Reported name -> its words, of the metrics that a clinic asks for first and that were measured.

    Args:
        metrics: that were measured.
        unit: of distances, which are left out where it is not the same for all images or not known.
    """
    regions = {name: words for name in metrics if (words := _region(name, unit)) is not None}
    ordered = _CHIEF | dict(sorted(regions.items(), key=lambda item: bool(item[1].unit)))  # distances last
    return {
        name: words
        for name, words in ordered.items()
        if name in metrics and _IN_PLACE_OF.get(name, "") not in metrics
    }


def percent(value: float) -> str:
    """A share as percent, one digit after the point."""
    return f"{100 * value:.1f} %"


def shown(estimate: Estimate | None, share: bool = False, unit: str = "") -> tuple[str, str]:
    """A value and its interval as text; the interval is "" where there is none."""
    if estimate is None or estimate.value is None:
        return UNDEFINED, ""
    form = percent if share else ("{:.2f}" if unit else "{:.3f}").format
    value = f"{form(estimate.value)} {unit}".rstrip()
    if estimate.low is None or estimate.high is None:
        return value, ""
    return value, f"{form(estimate.low)} to {form(estimate.high)}"


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them: "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
