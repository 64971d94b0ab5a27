"""Contact sheets: many small pictures with captions in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from uml_tf.runtime.overlay import class_colour, draw_outlines, uncertainty_map
from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL

Array = NDArray[Any]


def _grid(rows: int, columns: int, width: float, height: float) -> tuple[Figure, Array]:
    """A figure of panels of a size in inches, each with a line for its caption."""
    figure = Figure(figsize=(columns * width, rows * (height + 0.28)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for one in axes.ravel():
        one.axis("off")
    return figure, axes


def _legend(figure: Figure, pixel_classes: Sequence[str], masks: Sequence[Array]) -> None:
    """The colours of the pixel classes, and of the reserved values that a mask shows."""
    from matplotlib.patches import Patch

    named = dict(enumerate(pixel_classes[1:], start=1))
    reserved = {ANY_REGION_PIXEL: "any region", UNKNOWN_PIXEL: "not known"}
    named |= {value: name for value, name in reserved.items() if any((mask == value).any() for mask in masks)}
    handles = [
        Patch(facecolor=np.array(class_colour(value)) / 255, edgecolor="black", linewidth=0.5, label=name)
        for value, name in named.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8)


def enlarge(image: Array, side: int = 256) -> Array:
    """Enlarges an image until its shorter side has ``side`` pixels, so that outlines are thin beside it.

    Args:
        image: RGB ``(H, W, 3)``, or a mask or map ``(H, W)``, which gets no new values.
        side: pixels; a larger image is returned as it is.
    """
    if min(image.shape[:2]) >= side:
        return image
    factor = side / min(image.shape[:2])
    kind = cv2.INTER_CUBIC if image.ndim == 3 else cv2.INTER_NEAREST
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=kind)


def outline_sheet(
    images: Sequence[Array], masks: Sequence[Array], captions: Sequence[str], pixel_classes: Sequence[str]
) -> Figure:
    """A grid of images with their masks outlined.

    Args:
        images: RGB ``(H, W, 3)`` uint8.
        masks: ``(H, W)`` class indices, all 0 where there is none.
        captions: one line for each.
        pixel_classes: names, background first.
    """
    columns = min(6, len(images))
    figure, axes = _grid(-(-len(images) // columns), columns, 1.9, 1.9)
    for one, image, mask, caption in zip(axes.ravel(), images, masks, captions, strict=False):
        one.imshow(draw_outlines(enlarge(image), enlarge(mask)))
        one.set_title(caption, fontsize=7)
    _legend(figure, pixel_classes, masks)
    return figure


def _side_by_side(left: Array, right: Array, height: int = 256) -> Array:
    """Two RGB images in one, of the same height."""
    scaled = [
        cv2.resize(image, (max(1, round(height * image.shape[1] / image.shape[0])), height))
        for image in (left, right)
    ]
    gap = np.full((height, 8, 3), 255, np.uint8)
    return np.hstack([scaled[0], gap, scaled[1]])


def pair_sheet(pairs: Sequence[tuple[Array, Array]], captions: Sequence[str]) -> Figure:
    """A grid of pairs of images, each pair side by side.

    Args:
        pairs: two RGB ``(H, W, 3)`` uint8 each; sizes may differ.
        captions: one or two lines for each pair.
    """
    columns = min(3, len(pairs))
    figure, axes = _grid(-(-len(pairs) // columns), columns, 3.4, 1.9)
    for one, (left, right), caption in zip(axes.ravel(), pairs, captions, strict=False):
        one.imshow(_side_by_side(left, right))
        one.set_title(caption, fontsize=6)
    return figure


def pick_spread(values: Array, count: int) -> list[int]:
    """Indices of ``count`` of the values, evenly spread by rank from the smallest to the largest."""
    order = np.argsort(values, kind="stable")
    return [int(order[round(p)]) for p in np.linspace(0, len(order) - 1, min(count, len(order)))]


@dataclass(frozen=True)
class Sample:
    """One column of a ``sample_sheet``.

    Attributes:
        image: RGB ``(H, W, 3)`` uint8.
        truth, predicted: ``(H, W)`` class indices.
        uncertainty: ``(H, W)`` in [0, 1].
        captions: of the image, the truth and the prediction.
    """

    image: Array
    truth: Array
    predicted: Array
    uncertainty: Array
    captions: tuple[str, str, str]


def sample_sheet(samples: Sequence[Sample], pixel_classes: Sequence[str]) -> Figure:
    """A column for each sample: image, truth, prediction and uncertainty map."""
    figure, axes = _grid(4, len(samples), 1.9, 1.9)
    for column, sample in enumerate(samples):
        image = enlarge(sample.image)
        pictures = (
            image,
            draw_outlines(image, enlarge(sample.truth)),
            draw_outlines(image, enlarge(sample.predicted)),
            uncertainty_map(enlarge(sample.uncertainty)),
        )
        for row, (picture, caption) in enumerate(
            zip(pictures, (*sample.captions, "pixel uncertainty"), strict=True)
        ):
            axes[row, column].imshow(picture)
            axes[row, column].set_title(caption, fontsize=7)
    for row, name in enumerate(("image", "truth", "prediction", "uncertainty")):
        axes[row, 0].text(
            -0.06,
            0.5,
            name,
            rotation=90,
            va="center",
            ha="right",
            fontsize=8,
            transform=axes[row, 0].transAxes,
        )
    _legend(figure, pixel_classes, [sample.truth for sample in samples])
    return figure
