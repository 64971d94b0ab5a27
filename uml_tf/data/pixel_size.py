"""In which unit the distances on the images of a split are measured."""

from __future__ import annotations

from uml_tf.data.dataset import PreparedDataset

MILLIMETRES, PIXELS = "mm", "pixels"
MIXED = "mm where an image states the size of its pixels, else pixels"


def distance_unit(dataset: PreparedDataset, split: str) -> str:
    """Millimetres where every image of a split states the size of its pixels, pixels where none does.

    Args:
        dataset: the data set.
        split: with at least one image.
    """
    if dataset.info.spacing is not None:
        return MILLIMETRES
    stated = [row.pixel_size is not None for row in dataset.split(split)]
    if all(stated):
        return MILLIMETRES
    return MIXED if any(stated) else PIXELS
