"""An exported network on a device: LiteRT runs the file, NumPy and OpenCV do the rest."""

from __future__ import annotations

import threading
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from uml_tf.runtime.contract import CONTRACT, LOGITS, completed
from uml_tf.runtime.errors import UmlError, first_line
from uml_tf.runtime.integer import dequantize, finish, quantize
from uml_tf.runtime.metadata import CONFIDENT_FORMAT, FileMetadata, read_metadata
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.prediction import Prediction, predict_image
from uml_tf.runtime.threads import cores

Array = NDArray[Any]

SIGNATURE = "serving_default"
"""Name of the file's signature; input and outputs have their names in it."""
_MOST_THREADS = 4


class DeviceModel:
    """A ``.tflite`` file that ``uml-tf export`` wrote, loaded and ready to run.

    LiteRT prints one line about its delegate to standard error when a file is loaded.

    Example:
        >>> model = DeviceModel(Path("model.tflite"))
        >>> prediction = model.predict(Path("eye.jpg"))
        >>> prediction.decision.action, prediction.class_name, prediction.class_uncertainty

    Args:
        path: the file. It is compared with the SHA-256 in its metadata before anything runs.
        threads: threads of the interpreter; by default one per CPU core, at most four.

    Attributes:
        content: the whole file, as it was read.
        metadata: what the file says about itself.
        card: the model's names, origin and thresholds.
        image_size: (height, width) of the input, pixels.
        batch_size: the fixed number of images that the file takes.

    Raises:
        UmlError: the file is missing, damaged, not an export of uml-tf, of a newer format, or LiteRT
            cannot run it.
    """

    def __init__(self, path: Path | str, threads: int | None = None) -> None:
        path = Path(path)
        try:
            self.content = path.read_bytes()
        except OSError as error:
            raise UmlError(f"{path}: cannot be read ({error.strerror or error})") from error
        self.metadata: FileMetadata = read_metadata(self.content, path)
        self.card = self.metadata.card
        self.image_size = self.metadata.image_size
        threads = threads or min(cores(), _MOST_THREADS)
        try:
            self._interpreter = Interpreter(model_content=self.content, num_threads=threads)
            self._interpreter.allocate_tensors()
            self._run = self._interpreter.get_signature_runner(SIGNATURE)
        except (ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise UmlError(f"{path}: LiteRT cannot run it ({reason[:160]})") from error
        ((self._input_name, self._input),) = self._run.get_input_details().items()
        self._outputs = self._run.get_output_details()
        self._running = threading.Lock()  # an interpreter runs for one thread at a time
        self._check(path)
        self.batch_size = int(self._input["shape"][0])

    def _check(self, path: Path) -> None:
        """Compares the shapes and names in the file with its metadata."""
        names: tuple[str, ...] = CONTRACT if self.metadata.outputs == "contract" else LOGITS
        if self.metadata.format < CONFIDENT_FORMAT:
            names = CONTRACT[:6] if names == CONTRACT else LOGITS[:3]
        expected = (*self.image_size, 3)
        found = tuple(int(n) for n in self._input["shape"][1:])
        if found != expected:
            raise UmlError(f"{path}: input: found shape {found}, expected {expected}")
        if set(self._outputs) != set(names):
            raise UmlError(f"{path}: outputs: found {', '.join(self._outputs)}, expected {', '.join(names)}")

    def _input_values(self, images: Array) -> Array:
        kind = self._input["dtype"]
        if kind == np.float32:
            return images.astype(np.float32)
        if kind == np.uint8:
            return np.clip(np.rint(images), 0, 255).astype(np.uint8)
        return quantize(images, self._input)

    def __call__(self, images: Array) -> dict[str, Array]:
        """The contract's outputs for ``(N, H, W, 3)`` images in [0, 255], N at most ``batch_size``."""
        count = len(images)
        filled = np.zeros((self.batch_size, *self.image_size, 3), np.float32)
        filled[:count] = images
        values = self._input_values(filled)
        with self._running:
            outputs = self._run(**{self._input_name: values})
        if self.metadata.outputs == "logits":
            logits = {name: dequantize(value, self._outputs[name]) for name, value in outputs.items()}
            told = self.metadata
            outputs = finish(
                logits,
                filled,
                told.evidential,
                told.evidential_mask,
                self.card.trust,
                told.fused_mask,
                told.prior_weight,
            )
        elif self.metadata.format < CONFIDENT_FORMAT:
            outputs = completed(outputs)
        return {name: outputs[name][:count] for name in CONTRACT}

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the file; see ``uml_tf.runtime.prediction.Model``."""
        return sha256(self.content).hexdigest()

    def place(self, image: Array) -> Placement:
        """Where an image ``(H, W, 3)`` lies in the input.

        Raises:
            UmlError: the network needs its locator; see ``open_device_model``.
        """
        return self.card.place(image, self.image_size)

    def predict(self, image: Path | str | Array) -> Prediction:
        """Class, mask, uncertainty and decision of one image, at its original size.

        Args:
            image: a file (PNG, JPEG, TIFF, BMP or WebP, grey or colour; its EXIF orientation is applied), or
                an RGB array ``(H, W, 3)`` uint8.

        Raises:
            UmlError: the image cannot be read.
        """
        return predict_image(self, image)
