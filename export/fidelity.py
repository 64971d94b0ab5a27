"""How closely an exported file follows the Keras network, on held-out images."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.comparison import differences
from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.statistics import statistics
from uml_tf.export.agreement import Agreement
from uml_tf.export.tolerance import Check, Tolerance, broken_lines
from uml_tf.metrics.ranking import FEWEST_FOR_INTERVAL, rank_correlation_interval
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import Outputs, Predictor, predict_all

Array = NDArray[Any]

METRICS = ("accuracy", "ece", "mask_ece", "class_failure_auroc_confidence", "class_failure_auroc")
"""Metrics that are compared besides every region's Dice: ``network_NAME``, ``file_NAME``, ``change_NAME``."""

_FAILURE_AUROC = "class_failure_auroc_confidence"
_DROP = f"drop_{_FAILURE_AUROC}"

_MOST_PIXELS = 2_000_000


@dataclass(frozen=True)
class Fidelity:
    """The comparison of a file with its network.

    Attributes:
        numbers: figure -> number; None where it is not defined on these images.
        checks: every tolerance with what was found.
        class_uncertainty: ``(N, 2)``, network and file, one row per image.
        mask_uncertainty: ``(M, 2)``, the same for a regular selection of the pixels.
    """

    numbers: dict[str, float | None]
    checks: list[Check]
    class_uncertainty: Array
    mask_uncertainty: Array

    def with_check(self, check: Check) -> Fidelity:
        """The same with one more figure and its bound."""
        numbers = {**self.numbers, check.figure: check.found}
        return replace(self, numbers=numbers, checks=[*self.checks, check])

    @property
    def broken(self) -> list[str]:
        """The tolerances that were not kept, one sentence each."""
        return broken_lines(self.checks)


def _auroc_drop(metrics: dict[str, float | None]) -> tuple[float | None, str]:
    """How much of the confidence's failure-detection AUROC is lost; or None, and why that is a fault.

    Without a wrong class there is no failure to detect: nothing can be lost by the network, and nothing is
    lost by a file that classifies every image correctly.
    """
    network, file = (metrics.get(f"{part}_{_FAILURE_AUROC}") for part in ("network", "file"))
    if network is not None and file is not None:
        return network - file, ""
    if network is None or metrics.get("file_accuracy") == 1:
        return None, ""
    return None, f"the network's failure-detection AUROC is {network:.4f}, the file's is not defined"


def _values(measures: list[ImageMeasure]) -> dict[str, float | None]:
    """Every metric; None where it is not defined on these images."""
    found: dict[str, float | None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for one in statistics(measures):
            values = one.of_all_images
            found |= {n: None if np.isnan(values.get(n, np.nan)) else values[n] for n in one.names}
    return found


def _metrics(measures: tuple[list[ImageMeasure], list[ImageMeasure]]) -> dict[str, float | None]:
    """The metrics of network and file, and file minus network with its 95 % interval."""
    network, file = (_values(m) for m in measures)
    changes = {difference.metric: difference.change for difference in differences(*measures)}
    found: dict[str, float | None] = {}
    for name in network:
        if name not in METRICS and not name.startswith("dice_"):
            continue
        found[f"network_{name}"], found[f"file_{name}"] = network[name], file[name]
        found[f"change_{name}"] = changes[name].value
        found[f"change_{name}_low"], found[f"change_{name}_high"] = changes[name].low, changes[name].high
    return found


def _check_finite(outputs: Outputs, first_image: str) -> None:
    for name, values in outputs.items():
        if not np.isfinite(values).all():
            raise UmlError(
                f"exported file: {name}: found values that are not finite (among the images from "
                f"{first_image}), expected finite numbers"
            )


def compare(
    network: Model,
    file: Predictor,
    card: ModelCard,
    dataset: PreparedDataset,
    split: str,
    tolerance: Tolerance,
    progress: Callable[[int], None] = lambda done: None,
) -> Fidelity:
    """Runs both over a split; each image is read once.

    Args:
        network: the Keras network.
        file: the exported file, run by the runtime that will run it.
        card: the model's names and thresholds, by which both make decisions.
        dataset: a data set with the network's classes.
        split: "train", "val" or "test".
        tolerance: what must be kept.
        progress: called with the number of images done.

    Raises:
        UmlError: an image cannot be read, or the file returns a number that is not finite.
    """
    size = network.image_size
    stride = max(1, len(dataset.split(split)) * size[0] * size[1] // _MOST_PIXELS)
    # An even stride shares factors with the row length and would select the same few columns in every row.
    stride += 1 - stride % 2
    agreement = Agreement(card, stride)
    measures: tuple[list[ImageMeasure], list[ImageMeasure]] = ([], [])
    for chunk in read_chunks(dataset, split):
        inputs = chunk.inputs(network)
        outputs = [predict_all(source, inputs.images) for source in (network, file)]
        _check_finite(outputs[1], chunk.rows[0].image)
        agreement.add(outputs[0], outputs[1], inputs.placements)
        for kept, one in zip(measures, outputs, strict=True):
            kept += chunk.measure(one, dataset, inputs.placements)
        progress(len(measures[0]))
    return _summarise(agreement, _metrics(measures), tolerance)


def _rho_interval(rho: float | None, images: int) -> dict[str, float | None]:
    """The 95 % interval of the rank correlation over images; None where these do not give one."""
    if rho is None or abs(rho) >= 1 or images < FEWEST_FOR_INTERVAL:
        low, high = None, None
    else:
        low, high = rank_correlation_interval(rho, images)
    return {"class_uncertainty_rho_low": low, "class_uncertainty_rho_high": high}


def _summarise(agreement: Agreement, metrics: dict[str, float | None], tolerance: Tolerance) -> Fidelity:
    numbers, faults = agreement.numbers()
    drop, drop_fault = _auroc_drop(metrics)
    low, high = (metrics.get(f"change_{_FAILURE_AUROC}_{end}") for end in ("low", "high"))
    numbers |= {
        _DROP: drop,
        f"{_DROP}_low": None if high is None else -high,
        f"{_DROP}_high": None if low is None else -low,
        **metrics,
    }
    uncertainty = np.concatenate(agreement.class_uncertainty)
    numbers |= _rho_interval(numbers["class_uncertainty_rho"], len(uncertainty))
    faults[_DROP] = drop_fault
    return Fidelity(
        numbers,
        tolerance.checks(numbers, faults),
        uncertainty,
        np.concatenate(agreement.mask_uncertainty),
    )
