"""Opening one row of a prepared data set: the only place that pairs an image with its mask."""

from __future__ import annotations

from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.data.masks import check_mask, read_mask
from uml_tf.runtime.images import Array, read_image


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
    size = (image.shape[0], image.shape[1])
    check_mask(mask, size, len(dataset.info.pixel_classes), str(path), row.image)
    return image, mask
