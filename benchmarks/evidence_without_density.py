"""How much evidence do networks find in images unlike their training images, with and without their density?

Run: ``python benchmarks/evidence_without_density.py MODEL ... --data DIR --foreign OTHER ...``.
Of every network two rows: as it was trained, with no evidence scaled by its familiarity, and with the density
that was fitted on its features. Temperatures and confidences are left out of both.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.corruptions import SEVERITIES
from uml_tf.evaluation.evaluate import measure_split, read_chunks
from uml_tf.evaluation.foreign import TILES_SEVERITY, foreign_rows, measure_images
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.robustness import TILES, corrupted
from uml_tf.evaluation.summary import estimates_of
from uml_tf.metrics.ranking import area_under_roc, rank_correlation
from uml_tf.runtime.predictor import predict_all
from uml_tf.runtime.trust import Trust
from uml_tf.tracking.models import load_model

NOISE, BLUR = "Gaussian noise", "defocus"
FORTY = 4
"""The severity of noise of 40 grey levels."""

TOLD = (
    "class_failure_auroc",
    "class_failure_auroc_max_probability",
    "class_aurc",
    "class_aurc_max_probability",
)


def _vacuities(outputs):
    """``(N, 2)``: of the class, and the mean of the pixels."""
    of_class, of_pixels = outputs["class_uncertainty"], outputs["mask_uncertainty"]
    return np.stack([of_class[:, 0], of_pixels.mean(axis=(1, 2, 3))], axis=1)


def _corrupted_vacuities(predictor, dataset, split):
    """(corruption, severity) -> vacuities of the split's images; severity 0 are the plain ones."""
    wanted = [
        (TILES, TILES_SEVERITY),
        *((name, level) for name in (NOISE, BLUR) for level in (0, *SEVERITIES)),
    ]
    found = {which: [] for which in wanted}
    for chunk in read_chunks(dataset, split):
        inputs = chunk.inputs(predictor)
        for which in wanted:
            images = corrupted(inputs, [row.image for row in chunk.rows], *which).images
            found[which].append(_vacuities(predict_all(predictor, images)))
    return {which: np.concatenate(parts) for which, parts in found.items()}


def _aurocs(own, other):
    """Of both vacuities: do they tell other images from a split's own?"""
    foreign = np.arange(len(own) + len(other)) >= len(own)
    values = np.concatenate([own, other])
    return " ".join(f"{area_under_roc(foreign, values[:, which]):.3f}" for which in (0, 1))


def _measured(measures):
    return np.array([(m.class_uncertainty, m.mask_uncertainty) for m in measures])


def _row(predictor, dataset, split, others):
    """Name of a column -> text."""
    own = measure_split(predictor, dataset, split)
    damaged = _corrupted_vacuities(predictor, dataset, split)
    plain = damaged[NOISE, 0]
    row = {}
    for other in others:
        images = foreign_rows(other, "test")
        found = _measured(measure_images(predictor, dataset, images))
        row[f"{other.name}, {len(images)} images"] = _aurocs(_measured(own), found)
    row[TILES] = _aurocs(plain, damaged[TILES, TILES_SEVERITY])
    row["noise of 40"] = _aurocs(plain, damaged[NOISE, FORTY])
    for name in (NOISE, BLUR):
        curve = np.array([damaged[name, level].mean(axis=0) for level in (0, *SEVERITIES)])
        ranks = [rank_correlation(np.arange(len(curve)), values) for values in curve.T]
        row[f"{name}: rank correlation"] = " ".join(f"{rank:+.2f}" for rank in ranks)
        row[f"{name}: mean of the class"] = " ".join(f"{value:.2f}" for value in curve[:, 0])
    regions = [f"dice_{name}" for name in dataset.info.pixel_classes[1:]]
    names = ("accuracy", "auc", *regions, *TOLD)
    estimated = estimates_of(own, names)
    for name in names:
        value = estimated[name].value if name in estimated else None
        row[name] = "" if value is None else f"{value:.3f}"
    return row


def main():
    """Prints a Markdown table; where a cell has two values, the second is of the pixels' mean vacuity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="as uml-tf evaluate takes them; Keras networks")
    parser.add_argument("--data", type=Path, required=True, help="the networks' data set")
    parser.add_argument("--foreign", type=Path, nargs="*", default=[], help="data sets or folders of others")
    parser.add_argument("--split", default="test")
    options = parser.parse_args()
    dataset, headed = PreparedDataset.open(options.data), False
    for reference in options.models:
        model = load_model(reference)
        predictor, card = KerasPredictor(model), model.card
        for kind, density in (("without", None), ("with", card.trust.density)):
            model.card = replace(card, trust=Trust(density=density))
            row = {"network": reference, "density": kind}
            row |= _row(predictor, dataset, options.split, options.foreign)
            if not headed:
                print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
                headed = True
            print("| " + " | ".join(row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
