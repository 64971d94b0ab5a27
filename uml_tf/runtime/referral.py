"""The decision: accept the prediction, refer the image to a specialist, or ask for another image."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

from uml_tf.runtime.model_card import ModelCard


class Decision(NamedTuple):
    """What to do with a prediction, and why.

    Attributes:
        action: "accept"; "refer" for too little evidence; "ungradable" for an image unlike those the
            network was trained on, whose prediction means nothing.
        reason: why, in one sentence.
    """

    action: Literal["accept", "refer", "ungradable"]
    reason: str


def decide(class_uncertainty: float, image: NDArray[Any], card: ModelCard, missing: str = "") -> Decision:
    """The decision by the thresholds that were fitted at the end of training.

    Args:
        class_uncertainty: in (0, 1].
        image: ``(H, W, 3)`` in [0, 255], as the network read it, without padding.
        card: the model's thresholds; without a referral threshold every image is referred.
        missing: the region that a locator did not find, or "". What is thought of such an image was learned
            from images of that region.
    """
    if missing:
        return Decision("refer", f"no {missing} was found, so the whole image was read")
    if card.gradability is not None:
        score, statistic = card.gradability.score(image)
        if score > card.gradability.limit:
            return Decision(
                "ungradable",
                f"{statistic} that of the training images by {score:.1f} standard deviations "
                f"(limit {card.gradability.limit:.1f})",
            )
    if card.refer_above is None:
        return Decision("refer", "the model carries no referral threshold")
    found = f"class uncertainty {class_uncertainty:.3f}"
    if class_uncertainty > card.refer_above:
        return Decision("refer", f"{found} is above {card.refer_above:.3f}")
    return Decision("accept", f"{found} is at most {card.refer_above:.3f}")
