"""Does a model tell images of another kind from those of a split: out-of-distribution detection."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.dataset import YAML_NAME, PreparedDataset, Row
from uml_tf.evaluation.evaluate import CHUNK, Chunk, Inputs, read_chunks
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.robustness import TILES, corrupted
from uml_tf.formats.detection import is_picture
from uml_tf.formats.reading import FileReading
from uml_tf.metrics.bootstrap import Estimate, bootstrap
from uml_tf.metrics.draws import in_parts
from uml_tf.metrics.metric import ForeignMetric, metrics_of_kind
from uml_tf.metrics.metric_base import of_draws
from uml_tf.metrics.scores import FOREIGN_SCORES, doubt_scores
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import write_text
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import predict_all

TILES_SEVERITY = 3
"""4 x 4 tiles."""


@dataclass(frozen=True)
class Foreign:
    """How images of one other kind are told from those of a split.

    Attributes:
        name: of the kind.
        images: number of its images.
        estimates: (score, metric) -> value with its interval; scores that the model does not tell left out.
    """

    name: str
    images: int
    estimates: Mapping[tuple[str, str], Estimate]


def _row(path: Path, subject: str = "") -> Row:
    return Row(str(path), "", "", "test", subject)


def foreign_rows(path: Path, split: str) -> list[Row]:
    """The images of a prepared data set's split with their subjects, or of a folder at any depth.

    Returns:
        Rows with the path of an image and its subject alone; in a folder each image is its own.

    Raises:
        UmlError: there is none.
    """
    if (path / YAML_NAME).is_file():
        dataset = PreparedDataset.open(path)
        return [_row(dataset.root / row.image, row.subject) for row in dataset.split(split)]
    found = sorted(p for p in path.rglob("*") if p.is_file() and is_picture(p))
    if not found:
        raise UmlError(f"{path}: found no image, expected a prepared data set or a folder of images")
    return [_row(image) for image in found]


def _chunks(rows: Sequence[Row], intensity: Intensity) -> Iterator[Chunk]:
    reading, waiting = FileReading(intensity), iter(rows)
    while part := list(islice(waiting, CHUNK)):
        images = [reading.read(Path(row.image)).pixels for row in part]
        yield Chunk(part, images, [None] * len(part))


def _measures(
    model: Model,
    dataset: PreparedDataset,
    chunks: Iterator[Chunk],
    change: Callable[[Chunk, Inputs], Inputs],
    progress: Callable[[int], None],
) -> list[ImageMeasure]:
    measures: list[ImageMeasure] = []
    for chunk in chunks:
        plain = Chunk(
            [Row(row.image, "", "", row.split, row.subject) for row in chunk.rows],
            chunk.images,
            [None] * len(chunk.images),
        )
        inputs = change(plain, plain.inputs(model))
        measures += plain.measure(predict_all(model, inputs.images), dataset, inputs.placements)
        progress(len(measures))
    return measures


def measure_images(
    model: Model,
    dataset: PreparedDataset,
    rows: Sequence[Row],
    progress: Callable[[int], None] = lambda done: None,
) -> list[ImageMeasure]:
    """What a model makes of images of another kind, which have neither label nor mask for it.

    Args:
        model: in any form.
        dataset: a data set with the model's classes.
        rows: of ``foreign_rows``.
        progress: called with the number of images done.
    """
    return _measures(
        model, dataset, _chunks(rows, model.card.mapping), lambda chunk, inputs: inputs, progress
    )


def measure_tiles(
    model: Model,
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> list[ImageMeasure]:
    """The same of a split's own images, cut into tiles that are shuffled."""

    def shuffled(chunk: Chunk, inputs: Inputs) -> Inputs:
        return corrupted(inputs, [row.image for row in chunk.rows], TILES, TILES_SEVERITY)

    return _measures(model, dataset, read_chunks(dataset, split), shuffled, progress)


def foreign_scores(measures: Sequence[ImageMeasure]) -> dict[str, NDArray[Any]]:
    """Every score of ``FOREIGN_SCORES`` that the model tells, ``(N,)`` each."""
    scores = doubt_scores(
        np.array([m.probability for m in measures]),
        np.array([m.belief for m in measures]),
        np.array([m.class_uncertainty for m in measures]),
        np.array([m.class_confidence for m in measures]),
    )
    scores["familiarity"] = 1 - np.array([m.familiarity for m in measures])
    return {name: scores[name] for name in FOREIGN_SCORES if not np.isnan(scores[name]).any()}


def compare_foreign(name: str, own: Sequence[ImageMeasure], other: Sequence[ImageMeasure]) -> Foreign:
    """How the images of another kind are told from a split's, with intervals over subjects of both.

    Args:
        name: of the other kind.
        own: of the split.
        other: of the other kind.
    """
    sides = [foreign_scores(own), foreign_scores(other)]
    scores = {n: np.concatenate([side[n] for side in sides]) for n in sides[0] if n in sides[1]}
    foreign = np.arange(len(own) + len(other)) >= len(own)
    subjects = [("own", *m.resampled_with) for m in own] + [("other", *m.resampled_with) for m in other]
    metrics = metrics_of_kind(ForeignMetric)
    keys = [(score, metric) for score in scores for metric in metrics]
    functions = [of_draws(metrics[metric], scores[score], foreign) for score, metric in keys]
    found = bootstrap(in_parts(lambda draws: np.stack([f(draws) for f in functions], axis=1)), subjects)
    return Foreign(name, len(other), dict(zip(keys, found, strict=True)))


def foreign_csv(found: Sequence[Foreign]) -> str:
    """A line for each kind, score and metric."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["kind", "images", "score", "metric", "value", "low", "high"])
    for one in found:
        for (score, metric), e in one.estimates.items():
            writer.writerow([one.name, one.images, score, metric, e.value, e.low, e.high])
    return buffer.getvalue()


def foreign_markdown(found: Sequence[Foreign]) -> str:
    """A row for each kind and score."""
    metrics = metrics_of_kind(ForeignMetric)
    headers = [f"{name} ({metric.better} is better)" for name, metric in metrics.items()]
    lines = ["| other kind | images | score | " + " | ".join(headers) + " |"]
    lines.append("| --- |" + " --- |" * (2 + len(headers)))
    for one in found:
        for score in dict.fromkeys(score for score, _ in one.estimates):
            cells = [_cell(one.estimates[score, metric]) for metric in metrics]
            lines.append(f"| {one.name} | {one.images} | {score} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(estimate: Estimate) -> str:
    if estimate.value is None:
        return "not defined"
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def write_foreign(folder: Path, found: Sequence[Foreign]) -> list[Path]:
    """Writes ``out_of_distribution.md`` and ``.csv`` into a folder; the written files."""
    files = [folder / "out_of_distribution.md", folder / "out_of_distribution.csv"]
    write_text(files[0], foreign_markdown(found))
    write_text(files[1], foreign_csv(found))
    return files
