"""Measuring a model on a split of a prepared data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from uml_tf.data.dataset import PreparedDataset, Row
from uml_tf.data.pixel_size import distance_unit
from uml_tf.data.reading import read_agreement, read_row
from uml_tf.evaluation.mean_model import MeanModel
from uml_tf.evaluation.measure import ImageMeasure, measure_image
from uml_tf.evaluation.sources import measures_by_source
from uml_tf.evaluation.summary import Metrics, summarise
from uml_tf.metrics.metric import metrics_of_kind
from uml_tf.metrics.metric_base import Metric
from uml_tf.runtime.batches import ordered
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import Outputs, predict_all
from uml_tf.runtime.referral import decide
from uml_tf.runtime.threads import cores

CHUNK = 16

_THREADS = 4
"""At most: each holds the maps of one image at its original size."""


@dataclass(frozen=True)
class Evaluation:
    """A model's measures on a split.

    Attributes:
        split: the split's name.
        measures: per image, in manifest order.
        metrics: name -> estimate.
        sources: source -> the same of its images alone; empty where all images are of one source.
        unit: of distances, see ``uml_tf.data.pixel_size``; "" where it is not known.
    """

    split: str
    measures: list[ImageMeasure]
    metrics: Metrics
    sources: dict[str, Metrics] = field(default_factory=dict)
    unit: str = ""


def check_classes(card: ModelCard, dataset: PreparedDataset) -> None:
    """Refuses a data set whose classes are not the model's.

    Raises:
        UmlError: names or their order differ.
    """
    pairs = (
        ("image_classes", card.image_classes, dataset.info.image_classes),
        ("pixel_classes", card.pixel_classes, dataset.info.pixel_classes),
    )
    for name, expected, found in pairs:
        if tuple(expected) != tuple(found):
            raise UmlError(
                f"{dataset.root / 'dataset.yaml'}: {name}: found {', '.join(found)}, "
                f"expected the model's {', '.join(expected)}"
            )


@dataclass(frozen=True)
class Inputs:
    """A few images as a network reads them.

    Attributes:
        images: ``(N, H, W, 3)`` float32 in [0, 255] at the network's input size.
        placements: where each picture lies in its input.
    """

    images: Array
    placements: Sequence[Placement]


@dataclass(frozen=True)
class Chunk:
    """A few images of a split, read once for every predictor that reads them.

    Attributes:
        rows: the manifest's lines.
        images: ``(H, W, 3)`` uint8 each, at original size.
        masks: ``(H, W)`` each, at original size, or None.
        agreements: ``(H, W, C)`` share of several experts that chose each pixel class, or None; or empty.
    """

    rows: Sequence[Row]
    images: list[Array]
    masks: list[Array | None]
    agreements: Sequence[Array | None] = ()

    def inputs(self, model: Model) -> Inputs:
        """The images as a model reads them."""
        placements = [model.place(image) for image in self.images]
        pairs = zip(placements, self.images, strict=True)
        return Inputs(np.stack([placement.image(image) for placement, image in pairs]), placements)

    def measure(
        self,
        outputs: Outputs,
        dataset: PreparedDataset,
        placements: Sequence[Placement],
        decisions: Sequence[str] = (),
        card: ModelCard | None = None,
    ) -> list[ImageMeasure]:
        """Measures the outputs of a model for these images, some of them at once, in threads.

        Args:
            outputs: of the model.
            dataset: the data set.
            placements: how each picture lay in its input.
            decisions: what is decided on each, or none.
            card: of the model, whose mask quality, intervals and calibration are measured; None for none.
        """

        def measured(i: int) -> ImageMeasure:
            return measure_image(
                self.rows[i],
                dataset.label_index(self.rows[i]),
                {name: value[i] for name, value in outputs.items()},
                self.masks[i],
                dataset.info,
                placements[i],
                decisions[i] if decisions else "",
                card,
                self.agreements[i] if self.agreements else None,
            )

        # In this thread: others that look metrics up while their files are imported would miss some.
        metrics_of_kind(Metric)
        with _threads() as pool:
            return list(ordered(pool, measured, range(len(self.rows)), _THREADS))


@contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """A pool for images at their original size; what it has not begun when it is left is not done."""
    pool = ThreadPoolExecutor(min(cores(), _THREADS))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def read_chunks(dataset: PreparedDataset, split: str) -> Iterator[Chunk]:
    """Yields a split, a few images at a time; the files are read by threads, a few ahead of the chunk."""

    def read(row: Row) -> tuple[Row, Array, Array | None, Array | None]:
        return row, *read_row(dataset, row), read_agreement(dataset, row)

    with _threads() as pool:
        found = ordered(pool, read, dataset.split(split), _THREADS)
        while chunk := list(islice(found, CHUNK)):
            rows, images, masks, agreements = zip(*chunk, strict=True)
            yield Chunk(rows, list(images), list(masks), agreements)


def decisions_of(model: Model, outputs: Outputs, inputs: Inputs) -> list[str]:
    """What a model decides on each of a few images; nothing for a mean of several predictions."""
    if isinstance(model, MeanModel):
        return []
    return [
        decide({name: value[index] for name, value in outputs.items()}, model.card, placement.missing).action
        for index, placement in enumerate(inputs.placements)
    ]


def measure_split(
    model: Model,
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> list[ImageMeasure]:
    """Measures every image of a split at its original size.

    Args:
        model: in any form.
        dataset: a data set with the model's classes.
        split: "train", "val" or "test".
        progress: called with the number of images done.
    """
    measures: list[ImageMeasure] = []
    card = None if isinstance(model, MeanModel) else model.card
    for chunk in read_chunks(dataset, split):
        inputs = chunk.inputs(model)
        outputs = predict_all(model, inputs.images)
        decisions = decisions_of(model, outputs, inputs)
        measures += chunk.measure(outputs, dataset, inputs.placements, decisions, card)
        progress(len(measures))
    return measures


def evaluate(
    model: Model,
    dataset: PreparedDataset,
    split: str,
    progress: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """``measure_split`` and the metrics of its measures, of all and of each source, each with an interval."""
    measures = measure_split(model, dataset, split, progress)
    sources = {name: summarise(images) for name, images in measures_by_source(measures).items()}
    return Evaluation(split, measures, summarise(measures), sources, distance_unit(dataset, split))
