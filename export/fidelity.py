"""How closely an exported file follows the Keras network, on held-out images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import Inputs, read_chunks
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.summary import summarise
from uml_tf.export.tolerance import Check, Tolerance
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import Outputs, Predictor, predict_all
from uml_tf.runtime.referral import decide

Array = NDArray[Any]

METRICS = ("accuracy", "ece", "mask_ece", "class_failure_auroc")
"""Metrics that are compared besides every region's Dice: ``network_NAME``, ``file_NAME``, ``change_NAME``."""

_MOST_PIXELS = 2_000_000
_FEWEST_FOR_RHO = 3


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
        return [check.sentence() for check in self.checks if not check.kept]


@dataclass
class _Collected:
    """What is kept of the images while they are compared, chunk by chunk; pairs are network and file."""

    classes: list[Array] = field(default_factory=list)
    decisions: list[tuple[str, str]] = field(default_factory=list)
    class_uncertainty: list[Array] = field(default_factory=list)
    mask_uncertainty: list[Array] = field(default_factory=list)
    pixels: int = 0
    equal_pixels: int = 0
    mask_sum: float = 0.0
    mask_largest: float = 0.0

    def add(self, network: Outputs, file: Outputs, inputs: Inputs, card: ModelCard, stride: int) -> None:
        pair = (network, file)
        self.classes.append(np.stack([o["class_probability"].argmax(-1) for o in pair], axis=1))
        uncertainty = np.concatenate([o["class_uncertainty"] for o in pair], axis=1)
        self.class_uncertainty.append(uncertainty)
        shown = (
            (p.shown(image), p.missing) for p, image in zip(inputs.placements, inputs.images, strict=True)
        )
        for (image, missing), (of_network, of_file) in zip(shown, uncertainty.tolist(), strict=True):
            self.decisions.append(
                (
                    decide(of_network, image, card, missing).action,
                    decide(of_file, image, card, missing).action,
                )
            )
        inside = np.stack([placement.inside for placement in inputs.placements])
        masks = [o["mask_probability"].argmax(-1)[inside] for o in pair]
        self.pixels += masks[0].size
        self.equal_pixels += int((masks[0] == masks[1]).sum())
        maps = [o["mask_uncertainty"][..., 0][inside] for o in pair]
        difference = np.abs(maps[0] - maps[1])
        self.mask_sum += float(difference.sum())
        self.mask_largest = max(self.mask_largest, float(difference.max()))
        self.mask_uncertainty.append(np.stack([m[::stride] for m in maps], axis=1))


def _rho(pairs: Array) -> tuple[float | None, str]:
    """Spearman's rank correlation of ``(N, 2)``; or None, and why it is not defined.

    A constant has no ranks: nothing shows that the file keeps the network's order, so this is never accepted.
    """
    if len(pairs) < _FEWEST_FOR_RHO:
        return None, f"a rank correlation needs {_FEWEST_FOR_RHO} images and there are {len(pairs)}"
    constant = [
        f"the {name}'s uncertainty is constant at {column[0]:.4g}"
        for name, column in zip(("network", "file"), pairs.T, strict=True)
        if np.ptp(column) == 0
    ]
    if constant:
        return None, " and ".join(constant)
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic), ""


def _auroc_drop(metrics: dict[str, float | None]) -> tuple[float | None, str]:
    """How much of the failure-detection AUROC is lost; or None, and why that is a fault.

    Without a wrong class there is no failure to detect: nothing can be lost by the network, and nothing is
    lost by a file that classifies every image correctly.
    """
    network, file = metrics.get("network_class_failure_auroc"), metrics.get("file_class_failure_auroc")
    if network is not None and file is not None:
        return network - file, ""
    if network is None or metrics.get("file_accuracy") == 1:
        return None, ""
    return None, f"the network's failure-detection AUROC is {network:.4f}, the file's is not defined"


def _metrics(measures: tuple[list[ImageMeasure], list[ImageMeasure]]) -> dict[str, float | None]:
    """The metrics of network and file, and file minus network."""
    network, file = (summarise(m) for m in measures)
    found: dict[str, float | None] = {}
    for name in network:
        if name not in METRICS and not name.startswith("dice_"):
            continue
        before, after = network[name].value, file[name].value
        found[f"network_{name}"], found[f"file_{name}"] = before, after
        found[f"change_{name}"] = None if before is None or after is None else after - before
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
    collected = _Collected()
    measures: tuple[list[ImageMeasure], list[ImageMeasure]] = ([], [])
    for chunk in read_chunks(dataset, split):
        inputs = chunk.inputs(network)
        outputs = [predict_all(source, inputs.images) for source in (network, file)]
        _check_finite(outputs[1], chunk.rows[0].image)
        collected.add(outputs[0], outputs[1], inputs, card, stride)
        for kept, one in zip(measures, outputs, strict=True):
            kept += chunk.measure(one, dataset, inputs.placements)
        progress(len(measures[0]))
    return _summarise(collected, _metrics(measures), tolerance)


def _summarise(c: _Collected, metrics: dict[str, float | None], tolerance: Tolerance) -> Fidelity:
    classes, uncertainty, pixels = (
        np.concatenate(part) for part in (c.classes, c.class_uncertainty, c.mask_uncertainty)
    )
    difference = np.abs(uncertainty[:, 0] - uncertainty[:, 1])
    class_rho, class_fault = _rho(uncertainty)
    mask_rho, mask_fault = _rho(pixels)
    drop, drop_fault = _auroc_drop(metrics)
    numbers: dict[str, float | None] = {
        "images": float(len(classes)),
        "class_agreement": float((classes[:, 0] == classes[:, 1]).mean()),
        "mask_agreement": c.equal_pixels / c.pixels,
        "decision_agreement": float(np.mean([a == b for a, b in c.decisions])),
        "class_uncertainty_mean_difference": float(difference.mean()),
        "class_uncertainty_max_difference": float(difference.max()),
        "class_uncertainty_rho": class_rho,
        "mask_uncertainty_mean_difference": c.mask_sum / c.pixels,
        "mask_uncertainty_max_difference": c.mask_largest,
        "mask_uncertainty_rho": mask_rho,
        "drop_class_failure_auroc": drop,
        **metrics,
    }
    faults = {
        "class_uncertainty_rho": class_fault,
        "mask_uncertainty_rho": mask_fault,
        "drop_class_failure_auroc": drop_fault,
    }
    return Fidelity(numbers, tolerance.checks(numbers, faults), uncertainty, pixels)
