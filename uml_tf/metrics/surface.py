"""The surface distances of a region: average and 95th percentile."""

from __future__ import annotations

from math import inf

from uml_tf.metrics.metric import METRICS, RegionMetric

_RULES = (
    "as MedPy 0.5 defines it, in pixels or the data set's spacing; left out without the region, the image's "
    "diagonal when missed"
)

METRICS.add(
    "assd",
    RegionMetric(
        value=lambda pair: pair.surface.assd,
        better="lower",
        bounds=(0.0, inf),
        description=f"average symmetric surface distance, {_RULES}",
    ),
)
METRICS.add(
    "hd95",
    RegionMetric(
        value=lambda pair: pair.surface.hd95,
        better="lower",
        bounds=(0.0, inf),
        description=f"95th percentile of the surface distances, {_RULES}",
    ),
)
