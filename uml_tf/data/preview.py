"""A contact sheet of training images with their masks, as they are and augmented."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.choice import choose
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import load_examples, training_batches
from uml_tf.figures.save import save_figure
from uml_tf.figures.sheets import outline_sheet
from uml_tf.runtime.placement import Fit


def preview(
    dataset: PreparedDataset,
    out: Path,
    spec: AugmentationSpec,
    size: int,
    count: int,
    seed: int,
    fit: Fit = "stretch",
) -> Path:
    """Writes a sheet: each chosen training image as it is, followed by two augmented versions.

    Args:
        dataset: the data set.
        out: the PNG.
        spec: the augmentation.
        size: side in pixels, as in training.
        count: number of images.
        seed: of the choice and of the augmentation, at least 0.
        fit: how a picture becomes an input, as in training.

    Returns:
        ``out``.
    """
    rows = dataset.split("train")
    labels = np.array([dataset.label_index(row) for row in rows])
    picked = choose(labels, np.array([bool(row.mask) for row in rows], np.float32), count, seed)
    shown = replace(dataset, rows=tuple(rows[index] for index in picked))
    examples = load_examples(shown, "train", (size, size), fit=fit)
    chosen = np.arange(len(examples))
    order = np.repeat(chosen, 2)
    stream = training_batches(examples, order, len(order), Augmentation(spec, seed))
    varied = {key: value.numpy() for key, value in next(iter(stream)).items()}
    images, masks, captions = [], [], []
    for place, index in enumerate(chosen):
        label = examples.rows[index].label or "no label"
        mask_note = "" if examples.has_mask[index] else ", no mask"
        images.append(examples.images[index])
        masks.append(examples.masks[index])
        captions.append(f"{label}{mask_note}")
        for turn in (0, 1):
            images.append(varied["image"][2 * place + turn].astype(np.uint8))
            masks.append(varied["mask"][2 * place + turn])
            captions.append("augmented")
    save_figure(outline_sheet(images, masks, captions, dataset.info.pixel_classes), out)
    return out
