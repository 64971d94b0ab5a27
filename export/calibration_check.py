"""Comparing a file with its network on calibration images, to choose how to quantize."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from uml_tf.export.activations import Sample
from uml_tf.export.agreement import Agreement
from uml_tf.export.tolerance import Check, Tolerance
from uml_tf.runtime.device_model import SIGNATURE
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.predictor import Outputs

_THREADS = 2
_PART = 0.4
_QUICK = 8
"""Samples that the error of one part is measured on."""


def _outputs(data: bytes, samples: Sequence[Sample]) -> list[Outputs]:
    interpreter = Interpreter(model_content=data, num_threads=_THREADS)
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner(SIGNATURE)
    return [dict(run(**sample)) for sample in samples]


class CalibrationCheck:
    """Compares files that return the output contract with a float one.

    Args:
        data: the float file.
        samples: calibration images, at least one.
        card: the thresholds by which both make decisions.
        tolerance: what must be kept on held-out images. On these, less is allowed: the network knows them
            better than others, and differences on others were measured to be 1.1 to 1.9 times as large.
            Failure detection needs labels, and is not compared.
    """

    def __init__(self, data: bytes, samples: Sequence[Sample], card: ModelCard, tolerance: Tolerance) -> None:
        self._samples, self._card = samples, card
        self._tolerance = tolerance.tightened(_PART)
        self._expected = _outputs(data, samples)

    def broken(self, data: bytes) -> list[Check]:
        """The tolerances that a file breaks; the rank correlations by their value, without an interval."""
        agreement = Agreement(self._card, stride=17)
        found = _outputs(data, self._samples)
        for expected, outputs in zip(self._expected, found, strict=True):
            agreement.add(expected, outputs)
        numbers, faults = agreement.numbers()
        numbers["drop_class_failure_auroc_confidence"] = None
        return [check for check in self._tolerance.checks(numbers, faults) if not check.kept]

    def errors(self, data: bytes) -> dict[str, float]:
        """Mean absolute difference of the uncertainty of "class" and of "mask", each over its tolerance.

        Measured on a few images.
        """
        few = slice(None, None, max(1, len(self._samples) // _QUICK))
        pairs = list(zip(self._expected[few], _outputs(data, self._samples[few]), strict=True))
        bounds = {"class": self._tolerance.class_difference, "mask": self._tolerance.mask_difference}
        errors = {}
        for part, bound in bounds.items():
            name = f"{part}_uncertainty"
            difference = np.mean([np.abs(expected[name] - found[name]).mean() for expected, found in pairs])
            errors[part] = float(difference) / max(bound, 1e-6)
        return errors
