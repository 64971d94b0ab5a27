"""The encoders: a name in, a model of four feature levels out. A file in this folder adds one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import keras

from uml_tf.networks.encoders.registry import ENCODERS, PRESET_SOURCES, Encoder, PresetSource
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError, first_line

__all__ = [
    "ENCODERS",
    "LEVELS",
    "PRESET_SOURCES",
    "Encoder",
    "PresetSource",
    "build_encoder",
    "complete",
    "load_published_weights",
    "resolve",
]

LEVELS = 4


def complete(spec: EncoderSpec) -> EncoderSpec:
    """The spec with every default of a registered encoder written out. Nothing is fetched.

    Raises:
        UmlError: no encoder of that name is registered.
    """
    entry = ENCODERS[spec.name]
    return EncoderSpec(spec.name, {**entry.defaults, **spec.arguments}, spec.input_range or entry.input_range)


def resolve(name: str, replaced: EncoderSpec | None = None) -> EncoderSpec:
    """The complete spec of an encoder or of a preset, which may be fetched over the network.

    Args:
        name: a name of ``ENCODERS``, or ``SOURCE:PRESET`` with a name of ``PRESET_SOURCES``.
        replaced: the encoder in whose place it is named; the arguments that ``Encoder.inherited`` lists are
            taken over from it. None: in no other's place.

    Raises:
        UmlError: the name is unknown, or the preset cannot be read.
    """
    source, colon, preset = name.partition(":")
    if name not in ENCODERS and colon and source in PRESET_SOURCES:
        spec = PRESET_SOURCES[source].resolve(preset)
    else:
        spec = EncoderSpec(name)
    return complete(spec if replaced is None else _inheriting(spec, replaced))


def _inheriting(spec: EncoderSpec, replaced: EncoderSpec) -> EncoderSpec:
    """The spec with the arguments that it takes over from the encoder that it replaces."""
    names = ENCODERS[spec.name].inherited
    kept = {name: replaced.arguments[name] for name in names if name in replaced.arguments}
    return replace(spec, arguments={**kept, **spec.arguments})


def build_encoder(spec: EncoderSpec, input_shape: tuple[int, int, int], name: str) -> keras.Model:
    """A model with random weights from ``(B, H, W, 3)`` to four features, finest first.

    Each feature is half as wide and high as the one before. Nothing is fetched: a preset is first to be
    resolved.

    Args:
        spec: which encoder.
        input_shape: (H, W, 3).
        name: the model's name.

    Raises:
        UmlError: no encoder of that name is registered, its arguments do not fit it, or what it returns
            has other features.
    """
    spec = complete(spec)
    try:
        model = ENCODERS[spec.name].build(input_shape, name, **spec.arguments)
    except (TypeError, ValueError, LookupError) as error:
        reason = first_line(error)
        raise UmlError(f"encoder '{spec.name}': cannot be built ({reason[:160]})") from error
    _check_features(model, spec.name, input_shape)
    return model


def _check_features(model: keras.Model, name: str, input_shape: tuple[int, int, int]) -> None:
    if len(model.outputs) != LEVELS:
        raise UmlError(f"encoder '{name}': found {len(model.outputs)} features, expected {LEVELS}")
    strides = [input_shape[0] / output.shape[1] for output in model.outputs]
    if any(not math.isclose(b / a, 2) for a, b in pairwise(strides)):
        raise UmlError(f"encoder '{name}': found strides {strides}, expected each twice the one before")


def load_published_weights(model: keras.Model, name: str, arguments: Mapping[str, object]) -> None:
    """Loads the published weights of an encoder or preset into a built encoder.

    Args:
        model: what ``build_encoder`` returned.
        name: the name as it was given to ``resolve``.
        arguments: the resolved spec's arguments.

    Raises:
        UmlError: there are none, or they cannot be fetched.
    """
    source, colon, preset = name.partition(":")
    if name not in ENCODERS and colon and source in PRESET_SOURCES:
        PRESET_SOURCES[source].load_weights(preset, model)
        return
    published = ENCODERS[name].published_weights
    if published is None:
        raise UmlError(
            f"--encoder-weights imagenet: encoder '{name}' has no published weights, expected one that has "
            "or a local file"
        )
    published(model, **arguments)
