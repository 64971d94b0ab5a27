"""How a model fares as its pictures get worse: each corruption in every severity."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from uml_tf.data.dataset import DatasetInfo, PreparedDataset
from uml_tf.evaluation.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from uml_tf.evaluation.doubt import class_confidence, mask_confidence
from uml_tf.evaluation.evaluate import Chunk, Inputs, decisions_of, read_chunks
from uml_tf.evaluation.measure import mask_pair
from uml_tf.figures.save import save_figure
from uml_tf.figures.severities import severity_figure
from uml_tf.metrics.ranking import rank_correlation
from uml_tf.metrics.region_overlap import mean_dice
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text, write_text
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import Outputs, predict_all

Array = NDArray[Any]

TILES = "shuffled tiles"
MEASURES = (
    "accuracy",
    "mean_dice",
    "class_uncertainty",
    "class_confidence",
    "mask_uncertainty",
    "mask_confidence",
    "accepted",
    "referred",
    "ungradable",
    "accepted_wrong",
)
ROBUSTNESS_FILE = "robustness.csv"
_LATER = ("mask_uncertainty",)
"""Missing in files of earlier versions."""
_RANKED = ("class_uncertainty", "class_confidence", "mask_uncertainty", "mask_confidence")
PLAIN = (next(iter(CORRUPTIONS)), 0)
"""The plain pictures, which are severity 0 of every corruption."""


@dataclass(frozen=True)
class Robustness:
    """Means over the images of a split.

    Attributes:
        means: (corruption, severity) -> measure -> mean over the images in which it is defined; nan where it
            is in none.
        images: number of images.
    """

    means: dict[tuple[str, int], dict[str, float]]
    images: int

    def curve(self, corruption: str, measure: str) -> list[float]:
        """A measure at severity 0 to 5."""
        return [self.means[corruption, severity][measure] for severity in (0, *SEVERITIES)]


def corrupted(inputs: Inputs, keys: Sequence[str], name: str, severity: int, seed: int = 0) -> Inputs:
    """Inputs whose pictures, without their padding, are rounded to whole grey levels and corrupted."""
    images = inputs.images.copy()
    for image, placement, key in zip(images, inputs.placements, keys, strict=True):
        plain = np.rint(placement.shown(image)).astype(np.uint8)
        image[placement.target.slices] = corrupt(plain, name, severity, key, seed)
    return replace(inputs, images=images)


def _truth(chunk: Chunk, inputs: Inputs, place: int, name: str, severity: int, seed: int) -> Array | None:
    """The mask as the network would have to draw it; tiles of it are moved with those of the picture."""
    mask, placement = chunk.masks[place], inputs.placements[place]
    if mask is None:
        return None
    shown = placement.shown(placement.mask(mask))
    return corrupt(shown, name, severity, chunk.rows[place].image, seed) if name == TILES else shown


def _dice(truth: Array | None, predicted: Array, info: DatasetInfo) -> float:
    if truth is None:
        return float("nan")
    pair = mask_pair(truth, predicted, info)
    return mean_dice(pair) if pair.told else float("nan")


def _image_row(one: Outputs, placement: Placement, label: int, decision: str) -> dict[str, float]:
    wrong = float(one["class_probability"].argmax() != label) if label >= 0 else np.nan
    row = {
        "accuracy": 1 - wrong,
        "class_uncertainty": float(one["class_uncertainty"][0]),
        "class_confidence": class_confidence(one),
        # Without the padding, of which nothing is learned.
        "mask_uncertainty": float(placement.shown(one["mask_uncertainty"]).mean()),
        "mask_confidence": float(placement.shown(mask_confidence(one)).mean()),
    }
    for measure, action in (("accepted", "accept"), ("referred", "refer"), ("ungradable", "ungradable")):
        row[measure] = float(decision == action) if decision else np.nan
    row["accepted_wrong"] = row["accepted"] * wrong
    return row


def _rows(
    model: Model, dataset: PreparedDataset, chunk: Chunk, plain: Inputs, which: tuple[str, int], seed: int
) -> list[dict[str, float]]:
    name, severity = which
    inputs = corrupted(plain, [row.image for row in chunk.rows], name, severity, seed)
    outputs = predict_all(model, inputs.images)
    decisions = decisions_of(model, outputs, inputs) or [""] * len(chunk.rows)
    found = []
    for place, (row, decision) in enumerate(zip(chunk.rows, decisions, strict=True)):
        one, placement = {key: value[place] for key, value in outputs.items()}, plain.placements[place]
        predicted = placement.shown(one["mask_probability"].argmax(axis=-1))
        truth = _truth(chunk, plain, place, name, severity, seed)
        dice = _dice(truth, predicted, dataset.info)
        own = _image_row(one, placement, dataset.label_index(row), decision)
        found.append({**own, "mean_dice": dice})
    return found


def _mean(rows: Sequence[dict[str, float]], measure: str) -> float:
    known = [row[measure] for row in rows if not np.isnan(row[measure])]
    return float(np.mean(known)) if known else float("nan")


def steps_of_each_image() -> int:
    """How often a model reads each image."""
    return 1 + len(CORRUPTIONS) * len(SEVERITIES)


def measure_robustness(
    model: Model,
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
    seed: int = 0,
) -> Robustness:
    """Measures a model on a split in every corruption and severity.

    Pictures are corrupted, and masks compared, at the network's resolution.

    Args:
        model: in any form.
        dataset: a data set with the model's classes.
        split: "train", "val" or "test".
        progress: called with the number of pictures read, of ``steps_of_each_image`` times the images.
        seed: of the corruptions.
    """
    rows: dict[tuple[str, int], list[dict[str, float]]] = {}
    done = 0
    for chunk in read_chunks(dataset, split):
        plain = chunk.inputs(model)
        for which in (PLAIN, *((name, severity) for name in CORRUPTIONS for severity in SEVERITIES)):
            rows.setdefault(which, []).extend(_rows(model, dataset, chunk, plain, which, seed))
            done += len(chunk.rows)
            progress(done)
    means = {which: {measure: _mean(own, measure) for measure in MEASURES} for which, own in rows.items()}
    means |= {(name, 0): means[PLAIN] for name in CORRUPTIONS}
    return Robustness(means, len(rows[PLAIN]))


def _cell(value: float, form: str = ".3f") -> str:
    return "" if np.isnan(value) else f"{value:{form}}"


def robustness_csv(found: Robustness) -> str:
    """A line for each corruption and severity; empty where a measure is undefined."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["corruption", "severity", "images", *MEASURES])
    for name in CORRUPTIONS:
        for severity in (0, *SEVERITIES):
            means = found.means[name, severity]
            cells = [_cell(means[measure], ".6g") for measure in MEASURES]
            writer.writerow([name, severity, found.images, *cells])
    return buffer.getvalue()


def read_robustness(path: Path) -> Robustness:
    """The inverse of ``robustness_csv``, to six digits; what an earlier version did not write is nan.

    Raises:
        UmlError: the file is missing or of another form.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path))))
        later = dict.fromkeys(_LATER, "")
        means = {
            (row["corruption"], int(row["severity"])): {
                name: float((later | row)[name] or "nan") for name in MEASURES
            }
            for row in rows
        }
        return Robustness(means, int(rows[0]["images"]))
    except (KeyError, ValueError, IndexError) as error:
        raise UmlError(f"{path}: cannot be read as measured corruptions ({error!r})") from error


def robustness_markdown(found: Robustness) -> str:
    """Two tables: the rank correlation of the severity with doubt and confidence, and every mean."""
    severities = np.array((0.0, *SEVERITIES))
    lines = ["Spearman's rank correlation of the severity (0 to 5) with the mean over the images:", ""]
    lines += ["| corruption | " + " | ".join(_RANKED) + " |", "| --- |" + " --- |" * len(_RANKED)]
    for name in CORRUPTIONS:
        cells = [
            _cell(rank_correlation(severities, np.array(found.curve(name, measure))), "+.2f")
            for measure in _RANKED
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", f"Means over {found.images} images, masks at the network's resolution:", ""]
    lines += [
        "| corruption | severity | " + " | ".join(MEASURES) + " |",
        "| --- |" + " --- |" * (1 + len(MEASURES)),
    ]
    for which in found.means:
        if which[1] or which == PLAIN:
            cells = [_cell(found.means[which][measure]) for measure in MEASURES]
            shown = which[0] if which[1] else "none"
            lines.append(f"| {shown} | {which[1]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def robustness_figure(found: Robustness, columns: int = 4) -> Figure:
    """A panel for each corruption: the chief measures against the severity; so many beside each other."""
    drawn = (
        *("accuracy", "mean_dice", "class_confidence", "class_uncertainty", "mask_uncertainty"),
        *("accepted", "accepted_wrong"),
    )
    return severity_figure(
        {name: {measure: found.curve(name, measure) for measure in drawn} for name in CORRUPTIONS}, columns
    )


def write_robustness(folder: Path, found: Robustness) -> list[Path]:
    """Writes ``robustness.md``, ``robustness.csv`` and ``figures/robustness.png`` into a folder.

    Returns:
        The written files.
    """
    files = [folder / "robustness.md", folder / ROBUSTNESS_FILE, folder / "figures" / "robustness.png"]
    write_text(files[0], robustness_markdown(found))
    write_text(files[1], robustness_csv(found))
    save_figure(robustness_figure(found), files[2])
    return files
