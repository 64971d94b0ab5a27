"""Opening one row of a prepared data set: the only place that pairs an image with its mask and agreement."""

from __future__ import annotations

from uml_tf.data.agreement import check_agreement, decode_agreement
from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.data.masks import check_mask, read_mask
from uml_tf.runtime.images import Array, read_image, read_image_size


def read_row(dataset: PreparedDataset, row: Row) -> tuple[Array, Array | None]:
    """The image ``(H, W, 3)`` and its mask ``(H, W)``, or None without one; uint8.

    The mask's pixels are class indices, ``UNKNOWN_PIXEL`` where the class is not known, or
    ``ANY_REGION_PIXEL`` where only the background is ruled out.

    Raises:
        UmlError: a file cannot be read, the sizes differ, or a pixel value is none of these.
    """
    image = read_image(dataset.root / row.image)
    if not row.mask:
        return image, None
    path = dataset.root / row.mask
    mask = read_mask(path)
    size = (image.shape[0], image.shape[1])
    check_mask(mask, size, len(dataset.info.pixel_classes), str(path), row.image)
    return image, mask


def read_agreement(dataset: PreparedDataset, row: Row) -> Array | None:
    """The share of several experts that chose each pixel class, or None where it is not known.

    Returns:
        ``(H, W, C)`` float32 in [0, 1].

    Raises:
        UmlError: the file cannot be read, or its size is not the image's.
    """
    if not row.agreement:
        return None
    path, classes = dataset.root / row.agreement, len(dataset.info.pixel_classes)
    shares = decode_agreement(read_image(path), classes)
    check_agreement(shares, read_image_size(dataset.root / row.image), classes, str(path))
    return shares
