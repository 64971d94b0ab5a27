"""The decision: accept the prediction, refer the image to a specialist, or ask for another image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.confidence import dissonance
from uml_tf.runtime.model_card import ModelCard

FAMILIAR = 0.5
"""Least familiarity of a gradable image."""


class Decision(NamedTuple):
    """What to do with a prediction, and why.

    Attributes:
        action: "accept"; "refer" for too much doubt; "ungradable" for an image unlike those the network was
            trained on, whose prediction means nothing.
        reason: why, in one sentence.
    """

    action: Literal["accept", "refer", "ungradable"]
    reason: str


def doubt(belief: NDArray[Any], uncertainty: float, image_classes: tuple[str, ...]) -> str:
    """The larger kind of doubt: too little evidence (vacuity), or evidence that conflicts (dissonance).

    Args:
        belief: ``(K,)`` belief masses of the class.
        uncertainty: K / S.
        image_classes: K names.
    """
    if float(dissonance(belief)[0]) > uncertainty:
        first, second = (image_classes[place] for place in np.argsort(-belief, kind="stable")[:2])
        return f"evidence for two classes: {first} and {second}"
    return "too little evidence"


def decide(outputs: Mapping[str, NDArray[Any]], card: ModelCard, missing: str = "") -> Decision:
    """The decision by what was fitted at the end of training.

    Args:
        outputs: the contract's arrays of one image, without the batch axis; only those of the class are read.
        card: the model's names and threshold; without a threshold every image is referred.
        missing: the region that a locator did not find, or "". What is thought of such an image was learned
            from images of that region.
    """
    if missing:
        return Decision("refer", f"no {missing} was found, so the whole image was read")
    familiarity = float(outputs["familiarity"][0])
    if familiarity < FAMILIAR:
        return Decision("ungradable", f"unlike the training images (familiarity {familiarity:.2f})")
    if card.accept_above is None:
        return Decision(
            "refer", f"no answer may be accepted: {card.accept_reason or 'no threshold was fitted'}"
        )
    confidence = float(outputs["class_confidence"][0])
    found = f"confidence {confidence:.3f}"
    if confidence >= card.accept_above:
        return Decision("accept", f"{found} is at least {card.accept_above:.3f}")
    kind = doubt(outputs["class_belief"], float(outputs["class_uncertainty"][0]), card.image_classes)
    return Decision("refer", f"{kind}; {found} is below {card.accept_above:.3f}")
