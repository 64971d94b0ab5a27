"""Which wrong pixels a confidence finds: the largest probability, a score chosen on validation, all together.

Run: ``python benchmarks/pixel_scores.py MODEL=DATA ...``; every network is fitted on the validation masks of
its data set and measured on the test masks. The choice is by log-loss, cross-validated by image: the largest
probability unless another candidate is better by more than a standard error. The confidences do not fade on
images unlike the training images, as those of a model do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from val_and_test import asked_for, looked_at, with_temperature

from uml_tf.runtime.confidence import Confidence
from uml_tf.training.confidence_fit import fit_confidence, fit_mix, log_loss
from uml_tf.training.trust_fit import ALONE, Answers, mask_answers, pixel_scores

NEAR = ("largest", "surroundings")


def _measured(fitted: Confidence, test: Answers) -> tuple[float, float]:
    """(average precision of wrong pixels, mean log-loss of the images)."""
    chance: NDArray[np.float64] = fitted(test.opinion, test.beside)[..., 0].astype(np.float64)
    _, image = np.unique(test.owners, return_inverse=True)
    losses = np.bincount(image, log_loss(chance, test.right)) / np.bincount(image)
    return float(average_precision_score(~test.right, -chance)), float(losses.mean())


def main() -> None:
    """Prints a line for each network, and the means."""
    rows = []
    for reference, data in asked_for(__doc__):
        model, *seen = looked_at(reference, data)
        val, test = with_temperature(*(mask_answers(one, model.trust, model) for one in seen))
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
