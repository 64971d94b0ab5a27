"""Which wrong pixels a confidence finds: the largest probability, a score chosen on validation, all together.

Run: ``python benchmarks/pixel_scores.py MODEL=DATA ...``; every network is fitted on the validation masks of
its data set and measured on the test masks. The choice is by log-loss, cross-validated by image: the largest
probability unless another candidate is better by more than a standard error. The confidences do not fade on
images unlike the training images, as those of a model do.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.opening import as_model
from uml_tf.networks import UML
from uml_tf.runtime.confidence import Confidence
from uml_tf.tracking.models import load_pair
from uml_tf.training.calibrate import site_examples
from uml_tf.training.confidence_fit import fit_confidence, fit_mix, fit_temperature, log_loss
from uml_tf.training.trust_fit import ALONE, Answers, look, mask_answers, pixel_scores

NEAR = ("largest", "surroundings")


def _answers(reference: str, data: Path) -> tuple[UML, Answers, Answers]:
    """The network, and the pixels of its validation and test masks with calibrated probabilities."""
    network, locator = load_pair(reference)
    model, dataset = as_model(network, locator), PreparedDataset.open(data)
    found = []
    for split in ("val", "test"):
        seen = look(KerasPredictor(network), site_examples(model, dataset, split))
        found.append(mask_answers(seen, network.trust, network))
    val = found[0]
    temperature = fit_temperature(val.opinion.probability, val.targets, len(np.unique(val.owners)))
    return network, found[0].tempered(temperature), found[1].tempered(temperature)


def _measured(fitted: Confidence, test: Answers) -> tuple[float, float]:
    """(average precision of wrong pixels, mean log-loss of the images)."""
    chance: NDArray[np.float64] = fitted(test.opinion, test.beside)[..., 0].astype(np.float64)
    _, image = np.unique(test.owners, return_inverse=True)
    losses = np.bincount(image, log_loss(chance, test.right)) / np.bincount(image)
    return float(average_precision_score(~test.right, -chance)), float(losses.mean())


def main() -> None:
    """Prints a line for each network, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", metavar="MODEL=DATA")
    rows = []
    for network in parser.parse_args().networks:
        reference, _, data = network.rpartition("=")
        model, val, test = _answers(reference, Path(data))
        together = pixel_scores(model)
        scores = val.scores({*ALONE, *NEAR, *together})
        fits = {
            "largest": fit_mix({"largest": scores["largest"]}, val.right),
            "chosen": fit_confidence(scores, val.right, val.owners, ALONE, [NEAR, together]),
            "together": fit_mix({name: scores[name] for name in together}, val.right),
        }
        rows.append([_measured(fitted, test) for fitted in fits.values()])
        told = [f"{name} {ap:.3f}, {loss:.4f}" for name, (ap, loss) in zip(fits, rows[-1], strict=True)]
        masks = len(np.unique(val.owners))
        print(f"{reference}: {masks} masks, chosen {fits['chosen'].name}: {'; '.join(told)}", flush=True)
    means = np.mean(rows, axis=0)
    print("mean:", "; ".join(f"{n} {ap:.3f}, {loss:.4f}" for n, (ap, loss) in zip(fits, means, strict=True)))


if __name__ == "__main__":
    main()
