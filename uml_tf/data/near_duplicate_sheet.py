"""A picture of the near-duplicates that a check found, so that a person can judge them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uml_tf.data.check import NearDuplicate
from uml_tf.data.dataset import PreparedDataset
from uml_tf.figures.save import save_figure
from uml_tf.figures.sheets import pair_sheet
from uml_tf.runtime.images import read_image

MOST_PAIRS = 30


def write_near_duplicates(dataset: PreparedDataset, pairs: Sequence[NearDuplicate], out: Path) -> None:
    """Writes a PNG of the closest ``MOST_PAIRS`` pairs, each side by side under its names.

    Args:
        dataset: the data set.
        pairs: the closest first, at least one.
        out: the PNG.

    Raises:
        UmlError: it cannot be written.
    """
    shown = pairs[:MOST_PAIRS]
    images = [
        (read_image(dataset.root / pair.first.image), read_image(dataset.root / pair.second.image))
        for pair in shown
    ]
    captions = [
        f"{pair.first.split} {pair.first.image}\n"
        f"{pair.second.split} {pair.second.image}: {pair.distance} bits"
        for pair in shown
    ]
    save_figure(pair_sheet(images, captions), out)
