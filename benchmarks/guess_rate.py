"""A class's confidence that rises from the chance of a guess, 1 / K, beside one that rises from 0.

Run: ``python benchmarks/guess_rate.py MODEL=DATA ...``; every network is fitted on the labels of its data
set's validation images and measured on the test images: AURC, AUGRC and failure AUROC of the confidence, its
ECE and its mean log-loss, the share of test images with less than 1 / K, and the AUROC by which it tells them
from images that are so unlike the training images that their confidence is 1 / K.
"""

from __future__ import annotations

import numpy as np
from val_and_test import asked_for, looked_at, with_temperature

from uml_tf.metrics.calibration import expected_calibration_error
from uml_tf.metrics.generalized_risk import area_under_generalized_risk
from uml_tf.metrics.selective import aurc, failure_detection_auroc
from uml_tf.runtime.contract import confidence
from uml_tf.training.confidence_fit import fit_confidence, log_loss
from uml_tf.training.trust_fit import ALONE, CLASS_MIXES, class_answers, familiarity_of

COLUMNS = ("AURC", "AUGRC", "failure AUROC", "ECE", "log-loss", "below 1 / K", "unlike: AUROC")

TIE = 1e-6
"""Chances this near each other are the same: they are computed in float32."""


def _measured(chance, right, guess):
    doubt = 1 - chance
    return (
        aurc(doubt, right),
        area_under_generalized_risk(doubt, (~right).astype(float)),
        failure_detection_auroc(doubt, right),
        expected_calibration_error(chance, right),
        log_loss(chance, right).mean(),
        (chance < guess - TIE).mean(),
        (chance > guess + TIE).mean() + (np.abs(chance - guess) <= TIE).mean() / 2,
    )


def _rows(reference, data):
    """What the confidence rises from -> the figures of the test images."""
    network, *seen = looked_at(reference, data)
    evidential = network.spec.ablation.evidential
    val, test = with_temperature(*(class_answers(one, network.trust, evidential) for one in seen))
    guess = 1 / test.opinion.probability.shape[-1]
    familiarity = familiarity_of(seen[1], network.trust)
    if familiarity is not None:
        familiarity = familiarity[test.owners]
    found = {}
    for name, least in (("from 0", 0.0), ("from 1 / K", guess)):
        fitted = fit_confidence(val.scores(ALONE), val.right, val.owners, ALONE, CLASS_MIXES, least)
        chance = confidence(fitted, test.opinion, familiarity)[:, 0].astype(np.float64)
        found[name] = _measured(chance, test.right, guess)
    return found


def main() -> None:
    """Prints two lines for each network, and the means."""
    every = []
    for reference, data in asked_for(__doc__):
        every.append(_rows(reference, data))
        for name, row in every[-1].items():
            told = ", ".join(f"{column} {value:.4f}" for column, value in zip(COLUMNS, row, strict=True))
            print(f"{reference}, {name}: {told}", flush=True)
    for name in every[0]:
        row = np.mean([rows[name] for rows in every], axis=0)
        told = ", ".join(f"{column} {value:.4f}" for column, value in zip(COLUMNS, row, strict=True))
        print(f"mean, {name}: {told}")


if __name__ == "__main__":
    main()
