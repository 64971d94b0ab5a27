"""Encoder weights from a local file, by the public checkpoints' own names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from uml_tf.networks.torch.names import StateReport, load_encoder_state
from uml_tf.networks.torch.reader import read_checkpoint
from uml_tf.runtime.errors import UmlError

# torchvision's vgg16_bn: position of each convolution in ``features``; its norm comes next.
_VGG_POSITIONS = {
    0: "conv1_1",
    3: "conv1_2",
    7: "conv2_1",
    10: "conv2_2",
    14: "conv3_1",
    17: "conv3_2",
    20: "conv3_3",
    24: "conv4_1",
    27: "conv4_2",
    30: "conv4_3",
    34: "conv5_1",
    37: "conv5_2",
    40: "conv5_3",
}


def _with_our_vgg_names(state: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    renamed = {}
    for name, array in state.items():
        parts = name.split(".")
        if parts[0] == "features" and len(parts) == 3:
            position, leaf = int(parts[1]), parts[2]
            if position in _VGG_POSITIONS:
                name = f"{_VGG_POSITIONS[position]}.conv.{leaf}"
            elif position - 1 in _VGG_POSITIONS:
                name = f"{_VGG_POSITIONS[position - 1]}.bn.{leaf}"
        renamed[name] = array
    return renamed


def _load_torch(model: keras.Model, encoder: keras.Model, path: Path) -> StateReport:
    return load_encoder_state(model, encoder.name, _with_our_vgg_names(read_checkpoint(path)))


def _load_keras(encoder: keras.Model, path: Path) -> None:
    from uml_tf.networks.uml import UML

    source: Any = encoder
    try:
        if path.suffix == ".keras":
            source = keras.models.load_model(path, compile=False)
            if isinstance(source, UML):
                source = source.training_model.get_layer(encoder.name)
            encoder.set_weights(source.get_weights())
        else:
            encoder.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UmlError(f"{path}: does not fit {encoder.name} ({reason[:160]})") from error


def load_encoder_weights(model: Any, path: Path) -> list[str]:
    """Loads a file into every encoder that it fits.

    Args:
        model: a ``UML`` network; its encoders are changed in place.
        path: the public Res2Net-50 v1b 26w 4s or VGG16-BN ImageNet checkpoint (``.pth``), the same names
            in an ``.npz``, a uml-tf or encoder ``.keras`` file, or Keras ``.weights.h5``.

    Returns:
        Names of the encoders that were loaded.

    Raises:
        UmlError: the file cannot be read or fits no encoder.
    """
    encoders = [model.training_model.get_layer(n) for n in ("class_encoder", "segmentation_encoder")]
    if not path.is_file():
        raise UmlError(f"--encoder-weights: {path}: no such file, expected one, or 'imagenet'")
    if path.suffix in (".keras", ".h5"):
        for encoder in encoders:
            _load_keras(encoder, path)
        return [encoder.name for encoder in encoders]
    reports = {encoder.name: _load_torch(model, encoder, path) for encoder in encoders}
    loaded = [name for name, report in reports.items() if report.fits]
    if not loaded:
        best = max(reports.values(), key=lambda report: report.loaded)
        raise UmlError(f"{path}: fits no encoder of preset '{model.spec.preset}': {best.describe()}")
    return loaded
