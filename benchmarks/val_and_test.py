"""What networks say of validation and test images: benchmarks fit on the ones and measure on the others."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.opening import as_model
from uml_tf.networks import UML
from uml_tf.tracking.models import load_pair
from uml_tf.training.calibrate import site_examples
from uml_tf.training.confidence_fit import fit_temperature
from uml_tf.training.trust_fit import Answers, Seen, look


def asked_for(description: str | None) -> Iterator[tuple[str, Path]]:
    """Yields MODEL and the folder of its data set, of each MODEL=DATA in the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("networks", nargs="+", metavar="MODEL=DATA")
    for network in parser.parse_args().networks:
        reference, _, data = network.rpartition("=")
        yield reference, Path(data)


def looked_at(reference: str, data: Path) -> tuple[UML, Seen, Seen]:
    """The network, and what its heads say of the validation and of the test images."""
    network, locator = load_pair(reference)
    model, dataset = as_model(network, locator), PreparedDataset.open(data)
    val, test = (
        look(KerasPredictor(network), site_examples(model, dataset, split)) for split in ("val", "test")
    )
    return network, val, test


def with_temperature(val: Answers, test: Answers) -> tuple[Answers, Answers]:
    """Both with probabilities that are calibrated on the validation images."""
    temperature = fit_temperature(val.opinion.probability, val.targets, len(np.unique(val.owners)))
    return val.tempered(temperature), test.tempered(temperature)
