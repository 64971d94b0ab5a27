"""The logged model as MLflow serves it: encoded images or arrays in, the output contract out.

MLflow runs a copy of this file when it loads the model; the last line sets the model. uml-tf must be
installed there (see ``uml_tf.tracking.models.log_model``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext
from numpy.typing import NDArray

from uml_tf.formats.reading import FileReading
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import SMALLEST_SIDE
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.predictor import Outputs

Array = NDArray[Any]

KERAS_ARTIFACT = "keras"
LARGEST_BATCH = 8
LARGEST_REQUEST = 64
"""Images in a request. Decoded, they are all in memory at once, and their maps in the response."""
_EXPECTED = "expected encoded images (bytes, or base64 text) or an array (N, H, W, 3) in [0, 255]"


def _decode(value: Any, name: str, intensity: Intensity) -> Array:
    """Decodes an image, DICOM too, given as bytes or as base64 text."""
    if isinstance(value, str):
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise UmlError(f"{name}: found text that is not base64, {_EXPECTED}") from error
    if not isinstance(value, bytes | bytearray):
        raise UmlError(f"{name}: found {type(value).__name__}, {_EXPECTED}")
    reading = FileReading(intensity, keep_identifiers=True)  # of which nothing is written
    return reading.decode(Path(name), bytes(value), name).pixels


def _check_count(count: int) -> None:
    if count > LARGEST_REQUEST:
        raise UmlError(f"request: found {count} images, expected at most {LARGEST_REQUEST}: divide it")


def _is_encoded(data: Any) -> bool:
    """Whether these are encoded images, and no numbers."""
    if isinstance(data, np.ndarray):
        return data.ndim > 0 and data.size > 0 and data.dtype.kind in "OSU"
    return isinstance(data, list | tuple) and any(
        isinstance(value, str | bytes | bytearray) for value in data
    )


def _decoded(values: list[Any], intensity: Intensity) -> Iterator[Array]:
    """Without an array of the texts, in which each would take as much memory as the longest."""
    _check_count(len(values))
    for index, value in enumerate(values):
        yield _decode(value, f"image {index}", intensity)


def read_images(data: Any, intensity: Intensity) -> Iterator[Array]:
    """Reads the images of a request, one after the other, so that not all are in memory at their own size.

    Args:
        data: a data frame with the images in its first column; a list or an array of encoded images;
            an array ``(N, H, W, 3)``, or ``(H, W, 3)`` for one image, in [0, 255].
        intensity: how grey values of more than 8 bits, and of DICOM, are mapped.

    Raises:
        UmlError: it is none of these, an image cannot be decoded, or there are more than ``LARGEST_REQUEST``.
    """
    if isinstance(data, dict) and len(data) == 1:
        (data,) = data.values()
    if isinstance(data, pd.DataFrame):
        data = list(data.iloc[:, 0]) if data.shape[1] else []
    if isinstance(data, str | bytes):
        data = [data]
    if _is_encoded(data):
        yield from _decoded(list(data), intensity)
        return
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise UmlError(f"request: found images of different sizes, {_EXPECTED}") from error
    if array.dtype.kind in "uif" and array.ndim in (3, 4) and array.shape[-1] == 3:
        images = array if array.ndim == 4 else array[None]
        _check_count(len(images))
        if min(images.shape[1:3]) < SMALLEST_SIDE or not len(images):
            raise UmlError(f"request: found an array of shape {array.shape}, {_EXPECTED}")
        if not np.isfinite(images).all() or images.min() < 0 or images.max() > 255:
            raise UmlError(f"request: found values outside [0, 255], {_EXPECTED}")
        yield from images
        return
    raise UmlError(f"request: found {array.dtype} of shape {array.shape}, {_EXPECTED}")


def _of_whole_pictures(outputs: Outputs, placements: list[Placement]) -> Outputs:
    """The maps, each over the whole of its picture: the picture stretched to the network's input size."""
    names = [name for name in outputs if name.startswith("mask_")]
    pictures = [
        _of_whole_picture(
            {name: outputs[name][index] for name in names}, placement.of_resized(placement.size)
        )
        for index, placement in enumerate(placements)
    ]
    return {name: np.stack([picture[name] for picture in pictures]) for name in names}


def _of_whole_picture(maps: Outputs, placement: Placement) -> Outputs:
    """The maps ``(h, w, D)`` of one picture over the whole of it."""
    restored = {name: placement.restored(maps, name) for name in maps if name != "mask_confidence"}
    mask = restored["mask_probability"].argmax(axis=-1)
    return {**restored, "mask_confidence": placement.restored_confidence(maps, mask)[..., None]}


class RequestError(MlflowException):
    """A bad request: HTTP 400 with one line, where MLflow's server would also repeat the request."""

    def __init__(self, line: str) -> None:
        super().__init__(line, error_code=BAD_REQUEST)
        self._line = line

    def serialize_as_json(self) -> str:
        """The body of the server's response."""
        self.message = self._line
        return str(super().serialize_as_json())


class ServedNetwork(PythonModel):
    """Returns the arrays of the output contract (``uml_tf.runtime.contract``).

    The maps have the network's input size and show the whole picture stretched to it, whatever the fit.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Opens and compiles the network, and its locator where it has one."""
        from uml_tf.evaluation.opening import open_network
        from uml_tf.tracking.batching import Batching

        self._model = open_network(Path(context.artifacts[KERAS_ARTIFACT]), LARGEST_BATCH, padded=False)
        self._read = Batching(self._model)

    # np.ndarray because MLflow reads other type hints as a schema of the input, and warns without one.
    def predict(self, context, model_input: np.ndarray, params=None):  # type: ignore[no-untyped-def]
        """Returns the arrays of the output contract, one row for each image.

        Args:
            context: of MLflow, not used.
            model_input: see ``read_images``.
            params: "maps": whether the arrays of the mask are returned too.

        Raises:
            RequestError: the images cannot be read.
        """
        placements, inputs = [], []
        try:
            for image in read_images(model_input, self._model.card.mapping):
                placements.append(self._model.place(image))
                inputs.append(placements[-1].image(image))
        except UmlError as error:
            raise RequestError(str(error)) from error
        outputs = self._read(np.stack(inputs))
        if (params or {}).get("maps", True):
            return outputs | _of_whole_pictures(outputs, placements)
        return {name: value for name, value in outputs.items() if not name.startswith("mask_")}


mlflow.models.set_model(ServedNetwork())
