"""Starting the encoders from published weights or from a local file."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import keras

from uml_tf.networks.encoders import ENCODERS, load_published_weights
from uml_tf.networks.files import NETWORK, read_network, stated_class
from uml_tf.networks.spec import EncoderSpec
from uml_tf.networks.torch.names import StateReport, load_encoder_state
from uml_tf.networks.torch.reader import State, read_state
from uml_tf.networks.uml import UML
from uml_tf.runtime.errors import UmlError, reason_of

PUBLISHED = "imagenet"


def load_encoder_weights(model: UML, source: str, names: Mapping[str, str]) -> list[str]:
    """Loads weights into the encoders of a network.

    Args:
        model: its encoders are changed in place.
        source: "imagenet" for the published weights of both encoders, or a file: the public Res2Net-50 v1b
            26w 4s or VGG16-BN checkpoint (``.pth``), the same names in an ``.npz``, a ``.keras`` file of
            uml-tf or of an encoder, or Keras' ``.weights.h5``. A file goes into every encoder that it fits.
        names: "class_encoder" and "segmentation_encoder" -> the name that the encoder was resolved from.

    Returns:
        Names of the encoders that were loaded.

    Raises:
        UmlError: there are no such weights, or the file cannot be read or fits no encoder.
    """
    encoders = [model.training_model.get_layer(name) for name in names]
    if source == PUBLISHED:
        for encoder in encoders:
            spec = getattr(model.spec, encoder.name)
            load_published_weights(encoder, names[encoder.name], spec.arguments)
        return list(names)
    path = Path(source)
    if not path.is_file():
        raise UmlError(f"--encoder-weights: {path}: no such file, expected one, or '{PUBLISHED}'")
    load = _load_keras if path.suffix in (".keras", ".h5") else _load_torch
    return load(model, encoders, path)


def _load_torch(model: UML, encoders: list[keras.Model], path: Path) -> list[str]:
    state, reports = read_state(path), {}
    for encoder in encoders:
        before = encoder.get_weights()
        report = reports[encoder.name] = _load_state(model, encoder.name, state)
        if not report.fits:
            encoder.set_weights(before)  # some of its arrays may have fitted
    loaded = [name for name, report in reports.items() if report.fits]
    if not loaded:
        best = max(reports.values(), key=lambda report: report.loaded)
        raise UmlError(f"{path}: fits no encoder of preset '{model.spec.preset}': {best.describe()}")
    return loaded


def _load_state(model: UML, encoder: str, state: State) -> StateReport:
    torch_name = ENCODERS[getattr(model.spec, encoder).name].torch_name
    return load_encoder_state(model, encoder, {torch_name(name): array for name, array in state.items()})


def _load_weight_file(encoder: keras.Model, spec: EncoderSpec, path: Path) -> None:
    """A Keras weight file, of the encoder itself or of the whole network that it was cut out of."""
    whole = ENCODERS[spec.name].load_file
    if whole is not None:
        # First: Keras would also load the first layers of such a file into the encoder, by their order alone.
        try:
            whole(path, encoder, **spec.arguments)
        except Exception:  # Keras raises many kinds for a file of another network
            encoder.load_weights(path)
        return
    encoder.load_weights(path)


def _load_keras(model: UML, encoders: list[keras.Model], path: Path) -> list[str]:
    source = read_network(path).training_model if _is_network(path) else None
    loaded, reasons = [], []
    for encoder in encoders:
        before = encoder.get_weights()
        try:
            if source is None:
                with warnings.catch_warnings(action="ignore"):  # Keras lists every layer that does not fit
                    # The weights alone: a model that the file describes is not built.
                    _load_weight_file(encoder, getattr(model.spec, encoder.name), path)
            else:
                encoder.set_weights(source.get_layer(encoder.name).get_weights())
            loaded.append(encoder.name)
        except Exception as error:  # Keras raises many kinds for a damaged or foreign file
            encoder.set_weights(before)
            reasons.append(reason_of(error)[:240])
    if not loaded:
        raise UmlError(f"{path}: does not fit an encoder of preset '{model.spec.preset}' ({reasons[0]})")
    return loaded


def _is_network(path: Path) -> bool:
    """Whether a ``.keras`` file holds a uml-tf network; else it may hold an encoder."""
    return path.suffix == ".keras" and stated_class(path) == NETWORK
