"""Sample images of a split with a network's predictions, for a contact sheet."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.pipeline import Examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.figures.sheets import Sample, pick_spread, sample_sheet
from uml_tf.runtime.predictor import predict_all

_BATCHES = 8


def draw_samples(predictor: KerasPredictor, examples: Examples, info: DatasetInfo, count: int = 6) -> Figure:
    """A sheet of ``count`` images, from the least to the most uncertain class; masked ones if there are any.

    Args:
        predictor: the network.
        examples: the split.
        info: names of the classes.
        count: number of images.
    """
    masked = np.flatnonzero(examples.has_mask > 0)
    candidates = (masked if len(masked) else np.arange(len(examples)))[: _BATCHES * predictor.batch_size]
    outputs = predict_all(predictor, examples.images[candidates])
    samples = []
    for place in pick_spread(outputs["class_uncertainty"].ravel(), count):
        index = candidates[place]
        label = examples.labels[index]
        predicted = info.image_classes[int(outputs["class_probability"][place].argmax())]
        uncertainty = float(outputs["class_uncertainty"][place, 0])
        captions = (
            examples.rows[index].image.rsplit("/", 1)[-1],
            info.image_classes[label] if label >= 0 else "no label",
            f"{predicted}, u = {uncertainty:.2f}",
        )
        samples.append(
            Sample(
                examples.shown(index, examples.images[index]),
                examples.shown(index, examples.masks[index]),
                examples.shown(index, outputs["mask_probability"][place].argmax(axis=-1).astype(np.uint8)),
                examples.shown(index, outputs["mask_uncertainty"][place, ..., 0]),
                captions,
            )
        )
    return sample_sheet(samples, info.pixel_classes)
