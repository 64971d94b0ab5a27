"""A model that was calibrated after it was measured: its decisions are not those that were measured."""

from __future__ import annotations

import json
from dataclasses import replace

from uml_tf.metrics.metric import DecisionMetric, metrics_of_kind
from uml_tf.reports.material import Material
from uml_tf.runtime.model_card import ModelCard


def fitted_anew(measured: ModelCard, card: ModelCard) -> list[str]:
    """What decides on answers and is not as it was measured, e.g. "threshold of acceptance".

    ``uml-tf calibrate`` keeps the training run of a model, so that the run alone does not tell them apart.

    Args:
        measured: the card of the model that was measured.
        card: of the model that is asked about.
    """
    found = []
    if card.accept_above != measured.accept_above:
        found.append("threshold of acceptance")
    one, other = (json.dumps(each.trust.to_dict(), sort_keys=True) for each in (measured, card))
    if one != other:  # as text, in which a nan equals itself
        found.append("fit of confidence and familiarity")
    return found


def without_decisions(material: Material) -> Material:
    """The same images and measures, without what was decided on them and the metrics of it."""
    made_of_decisions = metrics_of_kind(DecisionMetric)
    return replace(
        material,
        measures=[replace(m, decision="") for m in material.measures],
        metrics={name: one for name, one in material.metrics.items() if name not in made_of_decisions},
    )
