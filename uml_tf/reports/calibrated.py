"""A model that was calibrated after it was measured: its decisions are not those that were measured."""

from __future__ import annotations

from dataclasses import replace

from uml_tf.metrics.metric import DecisionMetric, metrics_of_kind
from uml_tf.reports.material import Material


def without_decisions(material: Material) -> Material:
    """The same images and measures, without what was decided on them and the metrics of it."""
    made_of_decisions = metrics_of_kind(DecisionMetric)
    return replace(
        material,
        measures=[replace(m, decision="") for m in material.measures],
        metrics={name: one for name, one in material.metrics.items() if name not in made_of_decisions},
    )
