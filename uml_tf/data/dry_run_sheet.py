"""A contact sheet of what a conversion would write, so that a person can judge it before."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uml_tf.data.case_reading import load_case
from uml_tf.data.choice import choose
from uml_tf.data.conversion import DryRun
from uml_tf.figures.save import save_figure
from uml_tf.figures.sheets import outline_sheet

IMAGES = 24


def write_dry_run_sheet(result: DryRun, out: Path) -> None:
    """Writes a PNG of up to ``IMAGES`` images, outlined by pixel class; the classes in turn.

    Args:
        result: of the dry run.
        out: the PNG.

    Raises:
        UmlError: it cannot be written.
    """
    labels = np.array([row.label for row in result.rows])
    has_mask = np.array([bool(row.mask) for row in result.rows])
    images, masks, captions = [], [], []
    for index in choose(labels, has_mask, IMAGES, seed=0):
        loaded, row = (
            load_case(result.found, result.items[index], result.reading),
            result.rows[index],
        )
        images.append(loaded.image)
        masks.append(np.zeros(loaded.image.shape[:2], np.uint8) if loaded.mask is None else loaded.mask)
        note = "" if row.mask else ", no mask"
        captions.append(f"{Path(row.image).stem}\n{row.label or 'no label'}, {row.split}{note}")
    save_figure(outline_sheet(images, masks, captions, result.info.pixel_classes), out)
