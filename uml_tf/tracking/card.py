"""The card of a MODEL, read without building the network and without TensorFlow."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uml_tf.runtime.errors import UmlError, reason_of
from uml_tf.runtime.files import read_bytes
from uml_tf.runtime.metadata import read_metadata
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.models import fetch, resolve_model
from uml_tf.tracking.opening import is_exported


@dataclass(frozen=True)
class StatedModel:
    """What the file of a model says of it.

    Attributes:
        card: names, origin and thresholds.
        preset: name of the network preset; "" where the file does not say.
        image_size: (height, width) of the input, pixels.
        file: its name.
        sha256: of the file.
        weights_sha256: of the weights that were exported; "" for a network's own file.
    """

    card: ModelCard
    preset: str
    image_size: tuple[int, int]
    file: str
    sha256: str
    weights_sha256: str = ""

    @property
    def device_identity(self) -> str:
        """What a device's tally names this file by; "" for a network's own file, or one with a locator."""
        return self.sha256 if self.file.endswith(".tflite") and self.card.roi is None else ""


def _config(data: bytes, path: Path) -> dict[str, Any]:
    import io

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return dict(json.loads(archive.read("config.json"))["config"])
    except Exception as error:  # a damaged archive can raise many kinds
        raise UmlError(f"{path}: cannot be read as a Keras model ({reason_of(error)})") from error


def read_stated(reference: str) -> StatedModel:
    """What a MODEL says of itself.

    Args:
        reference: a ``.keras`` or ``.tflite`` file, ``runs:/...``, ``models:/...`` or ``last``.

    Raises:
        UmlError: it does not exist, cannot be read, or was not trained.
    """
    if is_exported(reference):
        path = fetch(reference)
        data = read_bytes(path)
        found = read_metadata(data, path)
        digest = hashlib.sha256(data).hexdigest()
        return StatedModel(
            found.card, found.preset, found.image_size, path.name, digest, found.weights_sha256
        )
    path = resolve_model(reference)
    data = read_bytes(path)
    config = _config(data, path)
    if not config.get("card"):
        raise UmlError(f"model '{reference}': found no card in it, expected a trained model")
    height, width = config["image_size"]
    return StatedModel(
        ModelCard.from_dict(config["card"]),
        str(config.get("spec", {}).get("preset", "")),
        (int(height), int(width)),
        path.name,
        hashlib.sha256(data).hexdigest(),
    )


def fitted_anew(measured: ModelCard, card: ModelCard) -> list[str]:
    """What decides on answers and is not as it was measured, e.g. "threshold of acceptance".

    ``uml-tf calibrate`` keeps the training run of a model, so that the run alone does not tell them apart.

    Args:
        measured: the card of the model that was measured.
        card: of the model that is asked about.
    """
    found = []
    if card.accept_above != measured.accept_above:
        found.append("threshold of acceptance")
    one, other = (json.dumps(each.trust.to_dict(), sort_keys=True) for each in (measured, card))
    if one != other:  # as text, in which a nan equals itself
        found.append("fit of confidence and familiarity")
    return found
