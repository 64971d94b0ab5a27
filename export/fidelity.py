"""How faithfully an exported file answers: against the Keras network, on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.summary import summarise
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.predictor import Outputs, Predictor, predict_all

Array = NDArray[Any]

CHANGES = ("accuracy", "ece", "mask_ece", "class_failure_auroc")
_MOST_PIXELS = 2_000_000


@dataclass(frozen=True)
class Tolerance:
    """What an exported file must keep of its network.

    Attributes:
        class_agreement, mask_agreement: least share of equal answers, of images and of pixels.
        class_rho, mask_rho: least Spearman correlation of the uncertainties.
        class_difference, mask_difference: largest mean absolute difference of the uncertainties.
        failure_auroc_drop: largest loss of the class's failure-detection AUROC.
    """

    class_agreement: float = 0.99
    mask_agreement: float = 0.995
    class_rho: float = 0.99
    mask_rho: float = 0.98
    class_difference: float = 0.01
    mask_difference: float = 0.01
    failure_auroc_drop: float = 0.01

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Tolerance:
        """From "name=value" entries over the defaults.

        Raises:
            UmlError: an unknown name or no number.
        """
        known = cls.__dataclass_fields__
        values = {}
        for entry in entries:
            name, _, value = entry.partition("=")
            try:
                values[name] = float(value)
            except ValueError:
                raise UmlError(f"--tolerance: found '{entry}', expected NAME=NUMBER") from None
            if name not in known:
                raise UmlError(f"--tolerance: found '{name}', expected one of {', '.join(known)}")
        return replace(cls(), **values)


@dataclass(frozen=True)
class Fidelity:
    """What was found.

    Attributes:
        numbers: name -> number; None where it is not defined on these images.
        class_uncertainty: ``(N, 2)``, network and file.
        mask_uncertainty: ``(M, 2)``, the same for a regular selection of the pixels.
        broken: the tolerances that were not kept, as sentences.
    """

    numbers: dict[str, float | None]
    class_uncertainty: Array
    mask_uncertainty: Array
    broken: list[str]


@dataclass
class _Collected:
    """What is kept of the images while they pass."""

    class_answers: list[Array] = field(default_factory=list)
    class_uncertainty: list[Array] = field(default_factory=list)
    mask_uncertainty: list[Array] = field(default_factory=list)
    pixels: int = 0
    equal_pixels: int = 0
    mask_sum: float = 0.0
    mask_largest: float = 0.0

    def add(self, network: Outputs, file: Outputs, stride: int) -> None:
        pair = (network, file)
        self.class_answers.append(np.stack([a["class_probability"].argmax(-1) for a in pair], axis=1))
        self.class_uncertainty.append(np.concatenate([a["class_uncertainty"] for a in pair], axis=1))
        masks = [a["mask_probability"].argmax(-1) for a in pair]
        self.pixels += masks[0].size
        self.equal_pixels += int((masks[0] == masks[1]).sum())
        doubts = [a["mask_uncertainty"].reshape(-1) for a in pair]
        difference = np.abs(doubts[0] - doubts[1])
        self.mask_sum += float(difference.sum())
        self.mask_largest = max(self.mask_largest, float(difference.max()))
        self.mask_uncertainty.append(np.stack([d[::stride] for d in doubts], axis=1))


def _rho(pairs: Array) -> float | None:
    if len(pairs) < 3 or (pairs == pairs[:1]).all(axis=0).any():
        return None
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)


def _changes(measures: tuple[list[ImageMeasure], list[ImageMeasure]]) -> dict[str, float | None]:
    """Metric -> (network, file, file less network), for the class and every region's Dice."""
    network, file = (summarise(m) for m in measures)
    names = [n for n in network if n in CHANGES or n.startswith("dice_")]
    found: dict[str, float | None] = {}
    for name in names:
        before, after = network[name].value, file[name].value
        known = before is not None and after is not None
        found[f"network_{name}"], found[f"file_{name}"] = before, after
        found[f"change_{name}"] = after - before if known else None  # type: ignore[operator]
    return found


def _broken(numbers: dict[str, float | None], tolerance: Tolerance) -> list[str]:
    drop = numbers.get("change_class_failure_auroc")
    rules = (
        ("class_agreement", numbers["class_agreement"], 1, tolerance.class_agreement),
        ("mask_agreement", numbers["mask_agreement"], 1, tolerance.mask_agreement),
        ("class_rho", numbers["class_uncertainty_rho"], 1, tolerance.class_rho),
        ("mask_rho", numbers["mask_uncertainty_rho"], 1, tolerance.mask_rho),
        ("class_difference", numbers["class_uncertainty_mean_difference"], -1, tolerance.class_difference),
        ("mask_difference", numbers["mask_uncertainty_mean_difference"], -1, tolerance.mask_difference),
        ("failure_auroc_drop", None if drop is None else -drop, -1, tolerance.failure_auroc_drop),
    )
    return [
        f"{name}: found {found:.4f}, expected at {'least' if sign > 0 else 'most'} {bound:g}"
        for name, found, sign, bound in rules
        if found is not None and sign * found < sign * bound
    ]


def compare(
    network: Predictor,
    file: Predictor,
    dataset: PreparedDataset,
    split: str,
    tolerance: Tolerance,
    progress: Callable[[int], None] = lambda done: None,
) -> Fidelity:
    """Runs both over a split, each image read once.

    Args:
        network: the Keras network.
        file: the exported file, run by the runtime that will run it.
        dataset: a data set with the network's classes.
        split: "train", "val" or "test".
        tolerance: what must be kept.
        progress: called with the number of images done.
    """
    size = network.image_size
    stride = max(1, len(dataset.split(split)) * size[0] * size[1] // _MOST_PIXELS)
    # A stride that shares a factor with the row's length would look at a few columns only.
    stride += 1 - stride % 2
    collected = _Collected()
    measures: tuple[list[ImageMeasure], list[ImageMeasure]] = ([], [])
    for chunk in read_chunks(dataset, split):
        images = chunk.resized(size)
        answers = [predict_all(source, images) for source in (network, file)]
        collected.add(answers[0], answers[1], stride)
        for kept, one in zip(measures, answers, strict=True):
            kept += chunk.measure(one, dataset)
        progress(len(measures[0]))
    return _summarise(collected, measures, tolerance)


def _summarise(
    c: _Collected, measures: tuple[list[ImageMeasure], list[ImageMeasure]], tolerance: Tolerance
) -> Fidelity:
    answers, doubt, pixels = (
        np.concatenate(part) for part in (c.class_answers, c.class_uncertainty, c.mask_uncertainty)
    )
    difference = np.abs(doubt[:, 0] - doubt[:, 1])
    numbers: dict[str, float | None] = {
        "images": float(len(answers)),
        "class_agreement": float((answers[:, 0] == answers[:, 1]).mean()),
        "mask_agreement": c.equal_pixels / c.pixels,
        "class_uncertainty_mean_difference": float(difference.mean()),
        "class_uncertainty_max_difference": float(difference.max()),
        "class_uncertainty_rho": _rho(doubt),
        "mask_uncertainty_mean_difference": c.mask_sum / c.pixels,
        "mask_uncertainty_max_difference": c.mask_largest,
        "mask_uncertainty_rho": _rho(pixels),
        **_changes(measures),
    }
    return Fidelity(numbers, doubt, pixels, _broken(numbers, tolerance))


def as_markdown(title: str, numbers: dict[str, float | None]) -> str:
    """A table of the numbers under a heading."""
    lines = [f"# {title}", "", "| what | number |", "| --- | --- |"]
    lines += [
        f"| {name} | {'not defined here' if value is None else f'{value:.6g}'} |"
        for name, value in numbers.items()
    ]
    return "\n".join(lines) + "\n"


def scatter(fidelity: Fidelity, title: str) -> Figure:
    """The file's uncertainty over the network's: a point an image, a density of the pixels."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(*fidelity.class_uncertainty.T, s=12, alpha=0.6)
    pixels = fidelity.mask_uncertainty
    right.hist2d(*pixels.T, bins=120, range=[[0, 1], [0, 1]], norm="log", cmap="viridis")
    for axes, name in ((left, "class uncertainty, images"), (right, "mask uncertainty, pixels")):
        axes.plot([0, 1], [0, 1], color="grey", lw=0.8)
        axes.set(xlabel="network", ylabel="exported file", xlim=(0, 1), ylim=(0, 1), title=name)
    figure.suptitle(title)
    return figure
