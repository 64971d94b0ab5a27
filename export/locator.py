"""Exporting a network's locator beside it, and the check that the file finds what the locator finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.reading import read_row
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.export.convert import convert
from uml_tf.export.kind import ExportedFile, ExportKind, Images, Stage
from uml_tf.export.tolerance import Check
from uml_tf.networks import UML
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.runtime.opening import LOCATOR_FILE
from uml_tf.runtime.placement import Box
from uml_tf.runtime.roi import Roi
from uml_tf.runtime.two_pass import locate

LEAST_BOX_IOU = 0.9
"""Least mean overlap of the parts that file and locator choose. At .9, the edges of a square have moved by a
twentieth of its side."""


@dataclass(frozen=True)
class LocatorFile:
    """A converted locator.

    Attributes:
        metadata: what belongs in the file.
        file: the file, written as ``LOCATOR_FILE``.
    """

    metadata: FileMetadata
    file: ExportedFile

    def write(self, folder: Path, kept_by_force: bool = False) -> None:
        """Writes it into a folder."""
        content = self.file.pack(replace(self.metadata, kept_by_force=kept_by_force))
        (folder / LOCATOR_FILE).write_bytes(content)


def convert_locator(
    locator: UML, kind: ExportKind, images: Images, input_type: str, batch: int, stage: Stage
) -> LocatorFile:
    """Converts a locator to the kind of its network; arguments as ``uml_tf.export.convert.convert``.

    Raises:
        UmlError: as there.
    """
    metadata, converted = convert(locator, kind, images, input_type, batch, stage=stage)
    return LocatorFile(metadata, converted.files[-1])


def overlap(first: Box | None, second: Box | None) -> float:
    """Intersection over union of two boxes, in [0, 1]; 1 where there is neither, 0 where there is one."""
    if first is None or second is None:
        return float(first is second)
    sides = [
        min(a + n, b + m) - max(a, b)
        for a, n, b, m in (
            (first.top, first.height, second.top, second.height),
            (first.left, first.width, second.left, second.width),
        )
    ]
    common = max(sides[0], 0) * max(sides[1], 0)
    return common / (first.height * first.width + second.height * second.width - common)


def check_boxes(
    locator: UML,
    path: Path,
    roi: Roi,
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> Check:
    """Compares the parts that a locator and its file choose, image by image.

    Args:
        locator: the network.
        path: of its exported file.
        roi: what both look for.
        dataset: images to look in.
        split: "train", "val" or "test".
        progress: called with the number of images done.

    Raises:
        UmlError: an image or the file cannot be read.
    """
    pair = (KerasPredictor(locator, 1), DeviceModel(path))
    overlaps = []
    for row in dataset.split(split):
        image, _ = read_row(dataset, row)
        overlaps.append(overlap(*(locate(model, image, roi).box for model in pair)))
        progress(len(overlaps))
    found = float(np.mean(overlaps))
    meaning = "mean overlap (intersection over union) of the parts that the locators choose"
    return Check("box_iou", "locator_box_iou", meaning, found, "least", LEAST_BOX_IOU, found >= LEAST_BOX_IOU)
