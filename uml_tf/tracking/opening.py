"""Opening a MODEL for prediction: a network that was trained, or a file that was exported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from uml_tf.runtime.prediction import Model

if TYPE_CHECKING:
    from uml_tf.runtime.device_model import DeviceModel


def is_exported(reference: str) -> bool:
    """Whether a MODEL is a file that ``uml-tf export --tflite`` wrote."""
    return reference.endswith(".tflite")


def _file(reference: str) -> Path:
    if not reference.startswith("runs:/"):
        return Path(reference)  # without the wait for MLflow
    from uml_tf.tracking.models import fetch

    return fetch(reference)


def open_exported_pair(reference: str, threads: int | None = None) -> tuple[DeviceModel, DeviceModel | None]:
    """Opens an exported file, and that of its locator where it needs one, as two models.

    Args:
        reference: a ``.tflite`` file, or ``runs:/ID/.../model.tflite``; the locator's file lies beside it.
        threads: of the interpreters; by default up to 4.

    Raises:
        UmlError: a file does not exist or cannot be read, or the locator is another.
    """
    from uml_tf.runtime.opening import LOCATOR_FILE, open_device_pair

    beside = reference[: reference.rfind("/") + 1] + LOCATOR_FILE
    return open_device_pair(_file(reference), threads, find_locator=lambda: _file(beside))


def open_model(
    reference: str, batch_size: int = 1, threads: int | None = None, is_compiled: bool = True
) -> Model:
    """Opens a MODEL; TensorFlow is imported only for a network.

    Args:
        reference: a ``.keras`` or ``.tflite`` file, ``runs:/ID/model``, ``models:/NAME/VERSION``,
            ``models:/NAME@ALIAS`` or ``last``.
        batch_size: images at a time, for a network; an exported file has its own.
        threads: of the interpreter of an exported file; by default up to 4.
        is_compiled: see ``uml_tf.evaluation.keras_predictor.KerasPredictor``.

    Raises:
        UmlError: the model does not exist, cannot be read, or was not trained.
    """
    if is_exported(reference):
        from uml_tf.runtime.two_pass import with_locator

        return with_locator(*open_exported_pair(reference, threads))
    from uml_tf.evaluation.opening import as_model, open_network

    if Path(reference).is_file():  # without the wait for MLflow
        return open_network(Path(reference), batch_size, is_compiled=is_compiled)
    from uml_tf.tracking.models import load_pair

    return as_model(*load_pair(reference), batch_size, is_compiled=is_compiled)
