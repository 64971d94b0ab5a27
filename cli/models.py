"""Opening a MODEL as a predictor: a network that was trained, or a file that was exported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uml_tf.runtime.model_card import ModelCard
    from uml_tf.runtime.predictor import Predictor


def is_exported(reference: str) -> bool:
    """Whether a MODEL is a file that `uml-tf export --tflite` wrote."""
    return reference.endswith(".tflite")


def _on_disk(reference: str) -> Path:
    if not reference.startswith("runs:/"):
        return Path(reference)  # without the wait for MLflow
    from uml_tf.tracking.models import fetch

    return fetch(reference)


def open_predictor(reference: str, batch_size: int) -> tuple[Predictor, ModelCard]:
    """A predictor and the model's card; TensorFlow is imported only for a network.

    Args:
        reference: a MODEL.
        batch_size: images at a time, for a network; a file has its own.

    Raises:
        UmlError: the model does not exist or cannot be read.
    """
    if is_exported(reference):
        from uml_tf.cli.quiet import quiet
        from uml_tf.runtime.device_model import DeviceModel

        with quiet(2):  # LiteRT reports its delegate there
            exported = DeviceModel(_on_disk(reference))
        return exported, exported.card
    from uml_tf.cli.quiet import import_tensorflow

    import_tensorflow()
    from uml_tf.evaluation.keras_predictor import KerasPredictor
    from uml_tf.tracking.models import load_trained

    network, card = load_trained(reference)
    return KerasPredictor(network, batch_size), card
