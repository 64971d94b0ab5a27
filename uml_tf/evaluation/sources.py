"""The sources of a data set that was merged from several, and what a network makes of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.measure import ImageMeasure

UNNAMED = "unnamed"
"""What the images are called that name no source, where others do."""

MASKED, UNMASKED = "images with a mask", "images without a mask"
"""The groups that are compared within one source."""

FAR = 3.0
"""The predicted foreground of a source is far from that of the masked images beyond this factor."""


def places_by_source(sources: Sequence[str]) -> dict[str, NDArray[np.intp]]:
    """Source -> places of its images, in the order of the first images.

    Args:
        sources: the source of every image.

    Returns:
        Nothing where all images are of one source, since nothing differs between sources then.
    """
    found: dict[str, list[int]] = defaultdict(list)
    for place, source in enumerate(sources):
        found[source or UNNAMED].append(place)
    if len(found) < 2:
        return {}
    return {source: np.array(places) for source, places in found.items()}


def measures_by_source(measures: Sequence[ImageMeasure]) -> dict[str, list[ImageMeasure]]:
    """Source -> the measures of its images; nothing where all images are of one source."""
    places = places_by_source([measure.source for measure in measures])
    return {source: [measures[i] for i in found] for source, found in places.items()}


def compared_groups(measures: Sequence[ImageMeasure]) -> dict[str, list[ImageMeasure]]:
    """The groups whose foreground can be compared: those with and without a mask where there is one source.

    Args:
        measures: of all images.

    Returns:
        ``measures_by_source`` where there are several sources, else the groups ``MASKED`` and ``UNMASKED``.
    """
    sources = measures_by_source(measures)
    if sources:
        return sources
    groups = {MASKED: [m for m in measures if m.masked], UNMASKED: [m for m in measures if not m.masked]}
    return {name: images for name, images in groups.items() if images}


def mean_foreground(measures: Sequence[ImageMeasure]) -> float:
    """Mean share of the picture that is predicted as foreground, in [0, 1]; nan without images."""
    return float(np.mean([m.foreground for m in measures])) if measures else float("nan")


def foreground_warnings(groups: Mapping[str, Sequence[ImageMeasure]]) -> list[str]:
    """A line for each group without masks whose predicted foreground is far from that of the masked images.

    A network that never saw masks of a source can be wrong about its masks, and no Dice of that source can
    tell. The amount of foreground can: cameras differ in how they frame the same organ, but rarely by a
    factor of ``FAR``.

    Args:
        groups: name of a source or data set -> the measures of its images.
    """
    masked = mean_foreground([m for images in groups.values() for m in images if m.masked])
    lines = []
    for name, images in groups.items():
        if any(m.masked for m in images):
            continue
        share = mean_foreground(images)
        if share > FAR * masked or share < masked / FAR:
            found = "some images have no mask" if name == UNMASKED else f"'{name}' has no masks"
            lines.append(
                f"{found}: {100 * share:.1f} % of the pixels of these {len(images)} "
                f"images are predicted as foreground, {100 * masked:.1f} % of those of the images with a "
                f"mask: look at their predicted masks before you use them"
            )
    return lines
