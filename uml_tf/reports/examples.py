"""The images that a reader should look at: the most doubtful, and the wrong answers that were accepted."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.data.reading import read_row
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.figures.sheets import enlarge
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.overlay import draw_outlines
from uml_tf.runtime.prediction import Model, predict_image

SIDE = 340
"""Longest side of a picture on the page, pixels."""
QUALITY = 82
_THICKNESS = 2
"""Pixels of an outline; a page may show the picture at half its size."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Overlays:
    """One image as it is shown, each picture as a ``data:`` URL.

    Attributes:
        predicted: with the model's outlines.
        truth: with the expert's; "" for an image without a mask.
    """

    predicted: str
    truth: str


def is_wrong(measure: ImageMeasure) -> bool:
    """Whether the image has a label and the most probable class is another."""
    return measure.label >= 0 and int(measure.probability.argmax()) != measure.label


def most_doubtful(measures: Sequence[ImageMeasure], count: int) -> list[ImageMeasure]:
    """The images whose class has the least confidence, the least first."""
    return sorted(measures, key=lambda m: (m.class_confidence, -m.class_uncertainty))[:count]


def wrong_and_accepted(measures: Sequence[ImageMeasure], count: int) -> list[ImageMeasure]:
    """The images that were accepted although the class is wrong, the most confident first."""
    found = [m for m in measures if is_wrong(m) and m.decision == "accept"]
    return sorted(found, key=lambda m: -m.class_confidence)[:count]


def most_confident_wrong(measures: Sequence[ImageMeasure], count: int) -> list[ImageMeasure]:
    """The images whose class is wrong, the most confident first, whatever was decided."""
    return sorted(filter(is_wrong, measures), key=lambda m: -m.class_confidence)[:count]


def _as_url(image: Array) -> str:
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
    )
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def _outlined(image: Array, mask: Array) -> str:
    """The outlines are drawn on the picture as it is shown: drawn before, they would fade as it shrinks."""
    image, mask = enlarge(image), enlarge(mask)
    factor = SIDE / max(image.shape[:2])
    if factor < 1:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return _as_url(draw_outlines(image, mask, thickness=_THICKNESS))


def _overlays(model: Model, dataset: PreparedDataset, row: Row) -> Overlays:
    image, mask = read_row(dataset, row)
    predicted = predict_image(model, image).mask
    truth = "" if mask is None else _outlined(image, mask.astype(np.uint8))
    return Overlays(_outlined(image, predicted), truth)


def draw_overlays(
    model: Model,
    dataset: PreparedDataset,
    measures: Sequence[ImageMeasure],
    progress: Callable[[int], None] = lambda done: None,
) -> Mapping[str, Overlays]:
    """Image -> how it is shown.

    Args:
        model: in any form.
        dataset: that the images are of.
        measures: of the images to show.
        progress: called with the number of images done.

    Raises:
        UmlError: an image is not in the data set, or cannot be read.
    """
    rows = {row.image: row for row in dataset.rows}
    found: dict[str, Overlays] = {}
    for image in dict.fromkeys(m.image for m in measures):
        if image not in rows:
            raise UmlError(
                f"{dataset.root}: found no image '{image}', expected the data set that was measured"
            )
        found[image] = _overlays(model, dataset, rows[image])
        progress(len(found))
    return found
