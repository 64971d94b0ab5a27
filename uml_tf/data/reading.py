"""Opening one row of a prepared data set: the only place that pairs an image with its mask."""

from __future__ import annotations

from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array, read_image, read_mask


def read_row(dataset: PreparedDataset, row: Row) -> tuple[Array, Array | None]:
    """The image ``(H, W, 3)`` and its mask ``(H, W)`` of class indices, or None without one; uint8.

    Raises:
        UmlError: a file cannot be read, the sizes differ, or a pixel value is no class index.
    """
    image = read_image(dataset.root / row.image)
    if not row.mask:
        return image, None
    path = dataset.root / row.mask
    mask = read_mask(path)
    if mask.shape != image.shape[:2]:
        raise UmlError(
            f"{path}: found {mask.shape[1]} x {mask.shape[0]} pixels, "
            f"expected {image.shape[1]} x {image.shape[0]} as {row.image}"
        )
    last = len(dataset.info.pixel_classes) - 1
    if mask.max() > last:
        raise UmlError(f"{path}: found pixel value {mask.max()}, expected class indices 0 to {last}")
    return image, mask
