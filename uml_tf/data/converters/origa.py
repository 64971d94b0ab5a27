"""Converter of ORIGA-light: photographs of the fundus with a label each, and the optic disc as an ellipse.

Source: Zhang et al., "ORIGA-light: An online retinal fundus image database for glaucoma analysis and
research", EMBC 2010.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset
from uml_tf.data.dataset import RATIO, DatasetInfo
from uml_tf.data.manifest_values import is_ratio
from uml_tf.data.raw.fundus import CLASSES, PIXEL_CLASSES, UNIONS, FundusOptions
from uml_tf.data.raw.outlines import fill_ellipse
from uml_tf.data.raw.table import Record, read_table
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array, read_image_size
from uml_tf.runtime.regions import ANY_REGION_PIXEL

LABELS_NAME, IMAGES_NAME = "labels.csv", "images"
ELLIPSE = ("disc_cx", "disc_cy", "disc_rx", "disc_ry", "disc_theta")

INFO = DatasetInfo(
    name="origa",
    image_classes=CLASSES,
    pixel_classes=PIXEL_CLASSES,
    source="Zhang et al., ORIGA-light, EMBC 2010",
    licence="for research; cite the article",
    unions=UNIONS,
)


class OrigaOptions(FundusOptions):
    """How the raw folder is converted.

    Attributes:
        disc: write masks of what the ellipse tells. A pixel outside it is background. A pixel inside it is
            rim or cup, and which is not known: it is ``ANY_REGION_PIXEL``. So these masks teach and measure
            where the disc is, and nothing of its parts. Off: labels only.
    """

    disc: bool = Field(
        default=False,
        description="Write masks: background outside the disc's ellipse, 254 (rim or cup) inside.",
    )


def disc_ellipse(record: Record, size: tuple[int, int]) -> Array:
    """The disc ``(H, W)`` bool of a row of ``labels.csv``.

    Args:
        record: with the columns of ``ELLIPSE``: centre and radii in pixels, angle in radians.
        size: (H, W) of the photograph.

    Raises:
        UmlError: a value is no number, or a radius is not positive.
    """
    try:
        x, y, radius_x, radius_y, angle = (float(record[column]) for column in ELLIPSE)
    except ValueError as error:
        raise UmlError(f"disc: {error}, expected numbers in {', '.join(ELLIPSE)}") from None
    if min(radius_x, radius_y) <= 0:
        raise UmlError(f"disc: found radii {radius_x} and {radius_y}, expected positive ones")
    return fill_ellipse((x, y), (radius_x, radius_y), angle, size)


def _find(raw: Path, options: OrigaOptions) -> RawDataset:
    """Finds ``labels.csv`` (image, label, perhaps the ratio, for ``disc`` the ellipse) and ``images``."""
    table = read_table(raw / LABELS_NAME, ["image", "label", *(ELLIPSE if options.disc else ())])

    def read(record: Record) -> Case:
        path = raw / IMAGES_NAME / record["image"]
        mask, problems = None, []
        if options.disc:
            try:
                disc = disc_ellipse(record, read_image_size(path))
                mask = np.where(disc, np.uint8(ANY_REGION_PIXEL), np.uint8(0))
            except UmlError as error:
                problems.append(f"{path}: {error}")
        ratio = record.get(RATIO, "")
        if not is_ratio(ratio):
            problems.append(f"{path}: {RATIO}: found '{ratio}', expected a number from 0 to 1")
            ratio = ""
        return Case(
            path.stem,
            path,
            record["label"],
            mask,
            vertical_cup_to_disc_ratio=ratio,
            problems=tuple(problems),
        )

    return RawDataset(INFO, table.records, read)


CONVERTERS.add(
    "origa",
    Converter(
        "Convert the ORIGA-light fundus photographs RAW, by default labels only, into OUT.",
        OrigaOptions,
        _find,
    ),
)
