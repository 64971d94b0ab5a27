"""How much of the uncertainty a naive int8 conversion keeps, compared with ``uml-tf export``.

Run: ``python benchmarks/naive_int8.py MODEL [--split val]``, after ``uml-tf train``. Naive means the usual
recipe: the converter's full int8 quantization of the whole network, with evidence as Keras's softplus,
log(1 + exp(z)), and the opinion by division. All files are calibrated on the same training images and
compared with the float network on the same held-out images.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.export.convert import convert
from uml_tf.export.fidelity import Fidelity, compare
from uml_tf.export.kind import IMAGE
from uml_tf.export.kinds import KINDS
from uml_tf.export.tolerance import Tolerance
from uml_tf.networks import UML
from uml_tf.runtime import evidence
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


def _naive_concentration(logits: Any, xp: Any = np, prior_weight: float = 1.0) -> Any:
    return keras.ops.log(1.0 + keras.ops.exp(logits)) / prior_weight + 1.0


def _naive_opinion(concentration: Any, xp: Any = np) -> Opinion:
    strength = keras.ops.sum(concentration, axis=-1, keepdims=True)
    classes = float(concentration.shape[-1])
    return Opinion(concentration / strength, (concentration - 1.0) / strength, classes / strength)


def _naive_uncertainty(concentration: Any, xp: Any = np) -> Any:
    return _naive_opinion(concentration).uncertainty


_NAIVE = {
    "concentration_from_logits": _naive_concentration,
    "opinion_from_concentration": _naive_opinion,
    "uncertainty_from_concentration": _naive_uncertainty,
}


@contextmanager
def naive_arithmetic() -> Iterator[None]:
    """The evidential arithmetic as it is usually written, inside the ``with`` block.

    Replaces each function of ``uml_tf.runtime.evidence`` wherever a module of uml-tf has it by its name.
    """
    originals = {name: getattr(evidence, name) for name in _NAIVE}
    modules = [module for name, module in sys.modules.items() if name.startswith("uml_tf.")]
    places = [
        (module, name)
        for module in modules
        for name, original in originals.items()
        if getattr(module, name, None) is original
    ]
    try:
        for module, name in places:
            setattr(module, name, _NAIVE[name])
        yield
    finally:
        for module, name in places:
            setattr(module, name, originals[name])


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
