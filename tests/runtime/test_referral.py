from __future__ import annotations

import numpy as np
import pytest

from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.referral import decide

CARD = ModelCard(("healthy", "glaucoma", "other"), ("x", "y"), accept_above=0.8)


def _outputs(confidence, familiarity=1.0, belief=(0.6, 0.1, 0.0)):
    belief = np.array(belief, np.float32)
    return {
        "class_belief": belief,
        "class_uncertainty": np.array([1 - belief.sum()]),
        "class_confidence": np.array([confidence]),
        "familiarity": np.array([familiarity]),
    }


def test_the_confidence_decides():
    accepted = decide(_outputs(0.8), CARD)
    assert accepted == ("accept", "confidence 0.800 is at least 0.800")
    assert decide(_outputs(0.79), CARD).action == "refer"


@pytest.mark.parametrize(
    ("belief", "kind"),
    [
        ((0.1, 0.05, 0.0), "too little evidence; "),
        ((0.02, 0.46, 0.42), "evidence for two classes: glaucoma and other; "),
    ],
)
def test_the_reason_names_the_kind_of_doubt(belief, kind):
    assert decide(_outputs(0.5, belief=belief), CARD).reason == f"{kind}confidence 0.500 is below 0.800"


def test_an_unlike_image_is_ungradable_however_confident():
    decision = decide(_outputs(0.99, familiarity=0.49), CARD)
    assert decision == ("ungradable", "unlike the training images (familiarity 0.49)")
    assert decide(_outputs(0.99, familiarity=0.5), CARD).action == "accept"


def test_without_a_threshold_everything_is_referred_and_the_card_says_why():
    assert decide(_outputs(1.0), ModelCard(("a", "b"), ("x", "y"))).reason.endswith("no threshold was fitted")
    few = ModelCard(("a", "b"), ("x", "y"), accept_reason="12 images are too few")
    assert decide(_outputs(1.0), few) == ("refer", "no answer may be accepted: 12 images are too few")


def test_a_card_of_an_older_version_accepts_nothing_and_says_so():
    data = ModelCard(("a", "b"), ("x", "y")).to_dict()
    for name in ("trust", "accept_above", "accept_reason", "risk_confidence"):
        del data[name]
    card = ModelCard.from_dict({**data, "refer_above": 0.2, "gradability": {"limit": 3.0}})
    assert "older uml-tf" in decide(_outputs(1.0), card).reason
