"""Fitting anew, on another site's labelled images, what is fitted after a training; no weight changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import Examples
from uml_tf.evaluation.evaluate import check_classes, read_chunks
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.opening import LOCATOR_FILE, as_model, read_locator
from uml_tf.networks import UML
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import replacing
from uml_tf.runtime.mask_quality import MAPS, evidence_scale
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import predict_all
from uml_tf.runtime.referral import FAMILIAR
from uml_tf.runtime.roi import locator_place
from uml_tf.runtime.two_pass import with_locator
from uml_tf.tracking.models import MODEL_NAME, log_model
from uml_tf.tracking.store import saving, use_store
from uml_tf.training.accept_threshold import with_accept_above
from uml_tf.training.finish import with_mask_fits_of, with_threshold
from uml_tf.training.mask_fit import with_mask_fits
from uml_tf.training.trust_fit import fit_trust, look

CALIBRATED_FROM = "calibrated.from"
"""Parameter of a calibration's run: the MODEL that it started from."""


def site_examples(
    model: Model, dataset: PreparedDataset, split: str, progress: Callable[[int], None] = lambda done: None
) -> Examples:
    """A split as a model reads it, its locator's part of every picture where it has one.

    Raises:
        UmlError: the classes differ, a file cannot be read, or the split is empty.
    """
    check_classes(model.card, dataset)
    images, masks, placements = [], [], []
    for chunk in read_chunks(dataset, split):
        inputs = chunk.inputs(model)
        images.append(inputs.images)
        for placement, mask in zip(inputs.placements, chunk.masks, strict=True):
            masks.append(placement.mask(np.zeros(placement.original, np.uint8) if mask is None else mask))
            placements.append(placement)
        progress(len(masks))
    if not images:
        raise UmlError(f"{dataset.root}: split '{split}': found no image, expected some to fit on")
    rows = dataset.split(split)
    return Examples(
        np.concatenate(images),
        np.array([dataset.label_index(row) for row in rows], np.int32),
        np.stack(masks),
        np.array([bool(row.mask) for row in rows], np.float32),
        tuple(rows),
        tuple(placements),
        tuple(not placement.missing for placement in placements),
    )


def calibrate_network(
    network: UML,
    locator: UML | None,
    dataset: PreparedDataset,
    split: str,
    risk_target: float,
    confidence: float,
) -> ModelCard:
    """Sets and returns the card with temperatures, confidence, limits of familiarity and threshold of a site.

    The density stays that of the training images. Where the site has too few labels or masks, temperature and
    confidence stay as they were.

    Args:
        network: a trained network.
        locator: its locator, where it has one.
        dataset: the site's images.
        split: of the data set.
        risk_target: largest share of wrong classes among the accepted images.
        confidence: with which the site's images are to show it.

    Raises:
        UmlError: as ``site_examples``.
    """
    assert network.card is not None
    examples, predictor = site_examples(as_model(network, locator), dataset, split), KerasPredictor(network)
    seen = look(predictor, examples)
    card = replace(network.card, trust=fit_trust(network, seen))
    card = with_mask_fits_of(card, predictor, examples)
    network.card = with_threshold(card, network, seen, risk_target, confidence)
    return network.card


def calibrate_file(
    network: DeviceModel,
    locator: DeviceModel | None,
    dataset: PreparedDataset,
    split: str,
    risk_target: float,
    confidence: float,
) -> ModelCard:
    """The card of an exported file with threshold, mask quality and intervals of a site.

    What its graph holds cannot change.

    Args:
        network: the file.
        locator: that of its locator, where it has one.
        dataset: the site's images.
        split: of the data set.
        risk_target: largest share of wrong classes among the accepted images.
        confidence: with which the site's images are to show it.

    Raises:
        UmlError: as ``site_examples``.
    """
    examples = site_examples(with_locator(network, locator), dataset, split)
    outputs = predict_all(network, examples.images[:])
    familiar = outputs["familiarity"][:, 0] >= FAMILIAR
    shows = (examples.labels >= 0) & familiar & examples.found
    right = outputs["class_probability"].argmax(axis=1) == examples.labels
    found = outputs["class_confidence"][shows, 0]
    card = with_accept_above(network.card, found, right[shows], risk_target, confidence)
    masked = [
        ({n: examples.shown(i, outputs[n][i]) for n in MAPS}, examples.shown(i, examples.masks[i]))
        for i in range(len(examples))
        if examples.has_mask[i]
    ]
    scale = evidence_scale(network.metadata.evidential_mask, network.metadata.prior_weight)
    return with_mask_fits(card, masked, scale)


def check_beside(network: UML, path: Path) -> None:
    """Refuses a place where the locator's file cannot lie beside the network's.

    Args:
        network: a trained network; with one that has no locator every place will do.
        path: where its file is to be written.

    Raises:
        UmlError: it has the name of the locator's file, or another file of that name lies there.
    """
    has_locator = network.card is not None and network.card.roi is not None
    if has_locator and locator_place(path, LOCATOR_FILE).exists():
        read_locator(network, path)


def save_network(network: UML, locator: UML | None, path: Path) -> None:
    """Writes a ``.keras`` file, and its locator's beside it, where there is none yet.

    Raises:
        UmlError: as ``check_beside``, or a file cannot be written; then neither is.
    """
    check_beside(network, path)
    beside = path.with_name(LOCATOR_FILE)
    with ExitStack() as files:
        network.save(files.enter_context(replacing(path)))
        # Renamed before the network's file, which cannot be read without it.
        if locator is not None and not beside.exists():
            locator.save(files.enter_context(replacing(beside)))


def register_calibrated(path: Path, network: UML, name: str, reference: str, dataset: PreparedDataset) -> str:
    """Registers a calibrated network as the next version of a name; returns its URI.

    Args:
        path: its file.
        network: the network in it.
        name: the registered model's name.
        reference: the MODEL that it started from, kept as it is.
        dataset: what it was calibrated on.
    """
    use_store()
    example = np.zeros((1, *network.image_size, 3), np.uint8)
    with saving("calibrated version"), mlflow.start_run(run_name=f"{name} calibrated") as run:
        mlflow.log_params(
            {
                CALIBRATED_FROM: reference,
                "dataset.name": dataset.info.name,
                "dataset.fingerprint": dataset.fingerprint,
            }
        )
        log_model(path, example[0], KerasPredictor(network, 1)(example))
    tags = {"dataset.fingerprint": dataset.fingerprint, CALIBRATED_FROM: reference}
    version = mlflow.register_model(f"runs:/{run.info.run_id}/{MODEL_NAME}", name, tags=tags)
    return f"models:/{name}/{version.version}"
