"""The images that quantized activations get their ranges from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import YAML_NAME, PreparedDataset
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import IMAGE_SUFFIXES, Array, read_image, resize_antialiased


def calibration_files(source: Path | PreparedDataset, count: int) -> list[Path]:
    """Up to ``count`` images, evenly spread over the training split or over a folder's images.

    Args:
        source: a prepared data set, its folder, or any folder of images.
        count: at most so many.

    Raises:
        UmlError: there is no such folder, or no image in it.
    """
    if isinstance(source, Path) and (source / YAML_NAME).is_file():
        source = PreparedDataset.open(source)
    if isinstance(source, PreparedDataset):
        files = [source.root / row.image for row in source.split("train")]
    elif source.is_dir():
        files = sorted(p for p in source.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    else:
        raise UmlError(f"--calibration {source}: no such folder, expected images of the training set")
    if not files:
        raise UmlError(f"--calibration {source}: found no image, expected images of the training set")
    places = np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)
    return [files[place] for place in places]


def read_calibration(
    files: list[Path], size: tuple[int, int], progress: Callable[[int], None] = lambda done: None
) -> Array:
    """The images ``(N, H, W, 3)`` float32 in [0, 255], as the network will see them."""
    images = np.empty((len(files), *size, 3), np.float32)
    for index, path in enumerate(files):
        images[index] = resize_antialiased(read_image(path), size)
        progress(index + 1)
    return images
