"""How often the guard of a promotion accepts a challenger, simulated: one worse by the margin, one equal.

Run: ``python benchmarks/non_inferiority.py [--simulations 400]``. The first should be accepted in at most
2.5 % of the simulations, the second as often as possible. Every simulation draws the images of two models,
whose errors and scores are correlated, and applies the rules of ``uml_tf.evaluation.non_inferiority``.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy.stats import norm

from uml_tf.evaluation.comparison import Difference
from uml_tf.evaluation.non_inferiority import shortfalls
from uml_tf.metrics.bootstrap import bootstrap
from uml_tf.metrics.chief import decisive_margins
from uml_tf.metrics.classification import mean_recall
from uml_tf.metrics.draws import in_parts, of_rows
from uml_tf.metrics.ranking import area_under_roc

ACCURACY, AUROC = 0.9, 0.85
SUBJECTS = (40, 75, 150, 300, 600)


def _pair(rng, images, correlation):
    """Two standard normal numbers for each image, ``(2, N)``."""
    first, second = rng.normal(size=(2, images))
    return np.stack([first, correlation * first + np.sqrt(1 - correlation**2) * second])


def _balanced_accuracy(rng, images, loss):
    labels = np.arange(images) % 2
    correct = _pair(rng, images, 0.7) < norm.ppf([[ACCURACY], [ACCURACY - loss]])
    predicted = np.where(correct, labels, 1 - labels)
    return lambda i: mean_recall(labels[i], predicted[1][i]) - mean_recall(labels[i], predicted[0][i])


def _failure_auroc(rng, images, loss):
    wrong = _pair(rng, images, 0.7) > norm.ppf(ACCURACY)
    distance = np.sqrt(2) * norm.ppf([[AUROC], [AUROC - loss]])
    score = _pair(rng, images, 0.5) + wrong * distance
    return lambda i: area_under_roc(wrong[1][i], score[1][i]) - area_under_roc(wrong[0][i], score[0][i])


def _mean_dice(rng, images, loss):
    change = rng.normal(-loss, 0.08, images)
    return lambda i: change[i].mean()


MODELS = {
    "balanced_accuracy": _balanced_accuracy,
    "class_failure_auroc_confidence": _failure_auroc,
    "mean_dice": _mean_dice,
}


def _accepted(metric, images, loss, simulations):
    """Share of the simulations in which the metric alone would let the challenger pass."""
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(simulations):
        change = of_rows(MODELS[metric](rng, images, loss), np.arange(images))
        (estimate,) = bootstrap(in_parts(lambda draws, change=change: change(draws)[:, None]), range(images))
        difference = Difference(metric, 0.0, 0.0, estimate)
        if difference.gain is not None:
            passed += not shortfalls([difference], decisive_margins())
    return passed / simulations


def main():
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=400)
    simulations = parser.parse_args().simulations
    margins = decisive_margins()
    headers = [f"{metric}, {kind}" for metric in MODELS for kind in ("worse by the margin", "equal")]
    print("| subjects | " + " | ".join(headers) + " |")
    print("| --- |" + " --- |" * len(headers))
    for images in SUBJECTS:
        shares = [
            _accepted(metric, images, loss, simulations)
            for metric in MODELS
            for loss in (margins[metric], 0.0)
        ]
        print(f"| {images} | " + " | ".join(f"{share:.3f}" for share in shares) + " |", flush=True)


if __name__ == "__main__":
    main()
