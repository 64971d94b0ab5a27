"""Measuring a model on a split of a prepared data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.data.reading import read_row
from uml_tf.errors import UmlError
from uml_tf.evaluation.answers import Answerer
from uml_tf.evaluation.measure import ImageMeasure, measure_image
from uml_tf.evaluation.summary import Metrics, summarise
from uml_tf.images import resize_antialiased
from uml_tf.model_card import ModelCard


@dataclass(frozen=True)
class Evaluation:
    """A model's measures on a split.

    Attributes:
        split: the split's name.
        measures: per image, in manifest order.
        metrics: name -> estimate.
    """

    split: str
    measures: list[ImageMeasure]
    metrics: Metrics


def check_classes(card: ModelCard, dataset: PreparedDataset) -> None:
    """Refuses a data set whose classes are not the model's.

    Raises:
        UmlError: names or their order differ.
    """
    pairs = (
        ("image_classes", card.image_classes, dataset.info.image_classes),
        ("pixel_classes", card.pixel_classes, dataset.info.pixel_classes),
    )
    for field, expected, found in pairs:
        if tuple(expected) != tuple(found):
            raise UmlError(
                f"{dataset.root / 'dataset.yaml'}: {field}: found {', '.join(found)}, "
                f"expected the model's {', '.join(expected)}"
            )


def _measure_chunk(answerer: Answerer, dataset: PreparedDataset, rows: Sequence[Row]) -> list[ImageMeasure]:
    size = answerer.model.image_size
    pairs = [read_row(dataset, row) for row in rows]
    answers = answerer(np.stack([resize_antialiased(image, size) for image, _ in pairs]))
    measures = []
    for i, (row, (_, mask)) in enumerate(zip(rows, pairs, strict=True)):
        one = {name: value[i] for name, value in answers.items()}
        measures.append(measure_image(row.image, dataset.label_index(row), one, mask, dataset.info))
    return measures


def measure_split(
    answerer: Answerer,
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> list[ImageMeasure]:
    """Measures every image of a split at its original size.

    Args:
        answerer: the compiled model.
        dataset: a data set with the model's classes.
        split: "train", "val" or "test".
        progress: called with the number of images done.
    """
    rows, measures = iter(dataset.split(split)), []
    while chunk := list(islice(rows, answerer.batch_size)):
        measures += _measure_chunk(answerer, dataset, chunk)
        progress(len(measures))
    return measures


def evaluate(
    answerer: Answerer,
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """``measure_split`` and its summary."""
    measures = measure_split(answerer, dataset, split, progress)
    return Evaluation(split, measures, summarise(measures))
