"""What a file of this folder registers: an encoder, or a source of named encoder presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras

from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.registry import Registry

_PACKAGE = "uml_tf.networks.encoders"


def _same_name(name: str) -> str:
    return name


@dataclass(frozen=True)
class Encoder:
    """An encoder and what is special about it.

    Attributes:
        build: ``(input_shape, name, **arguments)`` -> a ``keras.Model`` of that name from (H, W, 3) images
            to four features, finest first, each half as wide and high as the one before.
        input_range: (low, high) of the pixel values that the model reads. The network maps [0, 255] to it,
            so (0, 255) is for a model that rescales by itself.
        defaults: constructor arguments that hold where the spec gives none; a saved network keeps them.
        published_weights: ``(model, **arguments)``: loads the published weights into a built model, and
            raises ``UmlError`` where they cannot be had. None: ``--encoder-weights imagenet`` is refused.
        load_file: ``(path, model, **arguments)``: loads a Keras weight file of the whole network that the
            encoder is the first part of, and raises ``ValueError`` where it is of another one. None: a weight
            file is one of the encoder itself.
        torch_name: the name, in our spelling, of a parameter of the public PyTorch checkpoint.
        inherited: names of constructor arguments that the encoder takes over from a preset's encoder that it
            replaces, where that one has them.
    """

    build: Callable[..., keras.Model]
    input_range: tuple[float, float] = (0.0, 255.0)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    published_weights: Callable[..., None] | None = None
    load_file: Callable[..., None] | None = None
    torch_name: Callable[[str], str] = _same_name
    inherited: tuple[str, ...] = ()


@dataclass(frozen=True)
class PresetSource:
    """Encoder presets that are kept elsewhere and named ``SOURCE:PRESET``, e.g. on a hub or in a folder.

    A preset is looked up when a training starts, and only then: a saved network names the encoder that the
    preset resolved to, so loading a network never looks anything up.

    Attributes:
        resolve: preset -> the registered encoder and the constructor arguments that it stands for.
        load_weights: (preset, built model): loads the preset's weights into the model.
    """

    resolve: Callable[[str], EncoderSpec]
    load_weights: Callable[[str, keras.Model], None]


ENCODERS = Registry[Encoder]("encoder", _PACKAGE)
"""Every encoder that can be built from its name and plain arguments."""

PRESET_SOURCES = Registry[PresetSource]("source of encoder presets", _PACKAGE)
"""The sources of presets, by the part of the name before the colon."""
