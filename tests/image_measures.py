"""Measures of images as an evaluation leaves them, without a network."""

from __future__ import annotations

import numpy as np

from uml_tf.data.dataset import DatasetInfo, Row
from uml_tf.evaluation.measure import ImageMeasure, measure_image

DISC = DatasetInfo(
    name="x",
    image_classes=("a", "b"),
    pixel_classes=("background", "rim", "cup"),
    unions={"disc": ("rim", "cup")},
)
"""A data set with a region that unites two pixel classes."""


def measure_of_masks(mask, predicted, uncertainty=0.3, name="i.png", source="", card=None):
    """One image of ``DISC`` with a true and a predicted mask of class indices, and the pixels' vacuity."""
    outputs = {
        "class_probability": np.array([0.7, 0.3]),
        "class_belief": np.array([0.5, 0.1]),
        "class_uncertainty": np.array([0.4]),
        "mask_probability": 0.05 + 0.85 * np.eye(3, dtype=np.float32)[predicted],
        "mask_belief": 0.5 * np.eye(3, dtype=np.float32)[predicted],
        "mask_uncertainty": np.broadcast_to(uncertainty, predicted.shape)[..., None].astype(np.float32),
    }
    return measure_image(
        Row(name, "m.png", "a", "test", "", dataset=source), 0, outputs, mask, DISC, card=card
    )


def measure(image, label, evidence, subject="", values=None, counts=None):
    """One image whose class head found this evidence."""
    evidence = np.asarray(evidence, float)
    strength = evidence.sum() + len(evidence)
    return ImageMeasure(
        image=str(image),
        subject=subject,
        label=label,
        probability=(evidence + 1) / strength,
        belief=evidence / strength,
        class_uncertainty=len(evidence) / strength,
        values=values or {},
        counts=counts or {},
    )


def two_class_measures(correct, dice, subjects=None):
    """One image each; the evidence follows from whether it is classified correctly."""
    subjects = subjects if subjects is not None else [""] * len(correct)
    found = []
    for i, (right, overlap, subject) in enumerate(zip(correct, dice, subjects, strict=True)):
        label = i % 2
        strong = 3 + 0.01 * (i % 7)
        evidence = [strong, 0.5] if (label == 0) == right else [0.5, strong]
        found.append(
            measure(i, label, evidence, subject, {"dice_lesion": float(overlap), "mean_dice": float(overlap)})
        )
    return found


def random_measures(images=200, classes=3, seed=0, subjects=None):
    """Images with random evidence that mostly favours the label."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(images):
        evidence = rng.gamma(1, 2, classes)
        evidence[i % classes] += rng.gamma(1, 4)
        found.append(measure(i, i % classes, evidence, subjects[i] if subjects else ""))
    return found
