"""What all TFLite kinds share: from a Keras network to a TFLite file, and the checks of the result."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from uml_tf.export.flatbuffer import operator_counts, read_model
from uml_tf.export.kind import IMAGE, Converted, ExportedFile, Request
from uml_tf.export.metadata import add_metadata
from uml_tf.runtime.device_model import SIGNATURE, DeviceModel
from uml_tf.runtime.errors import UmlError

# Operators that no device runtime has, or that show that the weights were left out.
_UNWANTED = ("CUSTOM", "VAR_HANDLE", "READ_VARIABLE")


class _Served(tf.Module):
    """A network as a SavedModel; written in a third of the time that Keras's own archive takes.

    It tracks the variables explicitly: the converter leaves out what a module does not track.

    Args:
        model: the network, or the part of it up to the logits.
        request: says batch size, image size and input type.
    """

    def __init__(self, model: keras.Model, request: Request) -> None:
        super().__init__()
        self.tracked = [variable.value for variable in model.variables]
        shape = (request.batch, *request.network.image_size, 3)
        # An int8 input is made by the converter, from a float input.
        written_as = "uint8" if request.metadata.input_type == "uint8" else "float32"
        image = tf.TensorSpec(shape, written_as, name=IMAGE)
        self.function = tf.function(
            lambda image: model(tf.cast(image, tf.float32), training=False), input_signature=[image]
        )

    def write(self, folder: Path) -> None:
        """Writes the SavedModel."""
        tf.saved_model.save(self, str(folder), signatures={SIGNATURE: self.function})


def calibration_samples(request: Request) -> Iterator[dict[str, NDArray[Any]]]:
    """Yields the calibration images as inputs of the network, one batch at a time."""
    assert request.images is not None
    images, batch = request.images, request.batch
    kind = "uint8" if request.metadata.input_type == "uint8" else "float32"
    for start in range(0, len(images), batch):
        chunk = np.resize(images[start : start + batch], (batch, *images.shape[1:]))
        yield {IMAGE: chunk.astype(kind)}


def convert_network(request: Request, configure: Callable[[Any], None] = lambda converter: None) -> bytes:
    """The TFLite file of a network, without metadata.

    Args:
        request: the network; where ``metadata.outputs`` is "logits", the network up to its logits.
        configure: sets options of the ``tf.lite.TFLiteConverter`` before it runs.

    Raises:
        UmlError: the file has unwanted operators or lost its weights.
    """
    network = request.network
    source = network.logits_model if request.metadata.outputs == "logits" else network
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        _Served(source, request).write(folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        configure(converter)
        data: bytes = converter.convert()
    _check(data, network)
    return data


def _check(data: bytes, network: keras.Model) -> None:
    """Finds what a conversion can get wrong without an error of its own."""
    operators = operator_counts(read_model(data))
    unwanted = sorted(name for name in operators if name in _UNWANTED)
    if unwanted:
        raise UmlError(f"export: found the operators {', '.join(unwanted)}, expected none of them")
    least = sum(int(np.prod(v.shape)) for v in network.trainable_variables) * 0.9
    if len(data) < least:
        raise UmlError(f"export: found a file of {len(data)} bytes, expected over {least:.0f}: weights lost")


def tflite_file(
    data: bytes,
    names: bool = False,
    remarks: tuple[str, ...] = (),
    numbers: Mapping[str, float] | None = None,
) -> Converted:
    """``model.tflite`` as the result of a conversion, opened by the device runtime.

    Args:
        data: the file without metadata.
        names: keep the tensors' names (see ``flatbuffer.pack_model``).
        remarks: sentences for the report.
        numbers: figures for the report.
    """
    file = ExportedFile("model.tflite", lambda metadata: add_metadata(data, metadata, names), DeviceModel)
    return Converted((file,), remarks=remarks, numbers=numbers or {})
