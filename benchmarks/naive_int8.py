"""How much of the uncertainty a naive int8 conversion keeps, compared with ``uml-tf export``.

Run: ``python benchmarks/naive_int8.py MODEL [--split val]``, after ``uml-tf train``. Naive means the usual
recipe: the converter's full int8 quantization of the whole network, with evidence as Keras's softplus,
log(1 + exp(z)), and the opinion by division. All files are calibrated on the same training images and
compared with the float network on the same held-out images.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import uml_tf.networks.heads
import uml_tf.runtime.contract
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.export.convert import convert
from uml_tf.export.fidelity import Fidelity, compare
from uml_tf.export.kind import IMAGE
from uml_tf.export.kinds import KINDS
from uml_tf.export.tolerance import Tolerance
from uml_tf.networks import UML
from uml_tf.runtime.device_model import SIGNATURE, DeviceModel
from uml_tf.runtime.evidence import Opinion
from uml_tf.runtime.predictor import Predictor
from uml_tf.runtime.silence import silenced
from uml_tf.tracking.exports import dataset_of
from uml_tf.tracking.models import load_trained

SHOWN = (
    "class_agreement",
    "decision_agreement",
    "class_uncertainty_rho",
    "class_uncertainty_mean_difference",
    "change_class_failure_auroc",
    "mask_agreement",
    "mask_uncertainty_rho",
    "mask_uncertainty_mean_difference",
)


def _naive_evidence(logits: Any, xp: Any = np) -> Any:
    return keras.ops.log(1.0 + keras.ops.exp(logits))


def _naive_opinion(evidence: Any, xp: Any = np) -> Opinion:
    concentration = evidence + 1.0
    strength = keras.ops.sum(concentration, axis=-1, keepdims=True)
    classes = float(evidence.shape[-1])
    return Opinion(concentration / strength, evidence / strength, classes / strength)


@contextmanager
def naive_arithmetic() -> Iterator[None]:
    """The evidential arithmetic as it is usually written, inside the ``with`` block."""
    places = [
        (module, name, replacement)
        for module in (uml_tf.runtime.contract, uml_tf.networks.heads, uml_tf.networks.navigator)
        for name, replacement in (
            ("evidence_from_logits", _naive_evidence),
            ("opinion_from_evidence", _naive_opinion),
        )
        if hasattr(module, name)
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in places]
    try:
        for module, name, replacement in places:
            setattr(module, name, replacement)
        yield
    finally:
        for module, name, original in kept:
            setattr(module, name, original)


class Naive:
    """A fully quantized file, as a predictor."""

    def __init__(self, model: UML, images: np.ndarray) -> None:
        self.image_size, self.batch_size = model.image_size, 1
        with naive_arithmetic():
            same = UML.from_config(model.get_config())
            same.set_weights(model.get_weights())
            with tempfile.TemporaryDirectory() as folder, silenced(1, 2):
                archive = keras.export.ExportArchive()
                archive.track(same)
                spec = tf.TensorSpec((1, *model.image_size, 3), tf.float32, name=IMAGE)
                archive.add_endpoint(SIGNATURE, lambda image: same(image, training=False), [spec])
                archive.write_out(folder, verbose=False)
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ({IMAGE: image[None]} for image in images)
                self.data = converter.convert()
        from ai_edge_litert.interpreter import Interpreter

        self._run = Interpreter(model_content=self.data, num_threads=2).get_signature_runner(SIGNATURE)

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The contract's outputs."""
        return dict(self._run(**{IMAGE: images.astype(np.float32)}))


def main() -> None:
    """Converts, compares and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--split", default="val")
    options = parser.parse_args()
    model, card = load_trained(options.model)
    dataset = dataset_of(card)
    images = read_calibration(
        calibration_files(dataset, 200), model.image_size, where=KerasPredictor(model).place
    )
    found: dict[str, tuple[Fidelity, int]] = {}

    def add(name: str, predictor: Predictor, size: int) -> None:
        compared = compare(KerasPredictor(model), predictor, card, dataset, options.split, Tolerance())
        found[name] = (compared, size)

    naive = Naive(model, images)
    add("naive full int8", naive, len(naive.data))
    with tempfile.TemporaryDirectory() as folder:
        for kind in (KINDS["tflite-int8"], KINDS["tflite-int8-logits"]):
            metadata, converted = convert(model, kind, images)
            path = Path(folder) / f"{kind.name}.tflite"
            path.write_bytes(converted.files[0].pack(metadata))
            add(f"--quantize {kind.value}", DeviceModel(path), path.stat().st_size)
    print(f"\n{card.dataset}, {options.split}: {len(dataset.split(options.split))} images\n")
    print("| | " + " | ".join(found) + " |\n| --- |" + " --- |" * len(found))
    for name in SHOWN:
        values = [fidelity.numbers[name] for fidelity, _ in found.values()]
        print(f"| {name} | " + " | ".join("-" if v is None else f"{v:.4f}" for v in values) + " |")
    print("| file | " + " | ".join(f"{size / 1e3:.0f} kB" for _, size in found.values()) + " |")


if __name__ == "__main__":
    main()
