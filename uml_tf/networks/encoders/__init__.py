"""The encoder registry: a name in, a model of four feature levels out."""

from __future__ import annotations

from collections.abc import Callable

import keras

from uml_tf.networks.encoders.keras_cv_backbones import keras_cv_encoder
from uml_tf.networks.encoders.res2net import res2net50
from uml_tf.networks.encoders.vgg16 import vgg16
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError

LEVELS = 4
KERAS_CV_PREFIX = "keras_cv:"

_OWN: dict[str, Callable[[tuple[int, int, int], str], keras.Model]] = {
    "res2net50_v1b_26w_4s": res2net50,
    "vgg16_bn": vgg16,
}


def build_encoder(
    spec: EncoderSpec, input_shape: tuple[int, int, int], name: str, weights: str | None = None
) -> keras.Model:
    """A model from ``(B, H, W, 3)`` to four features, finest first, each half the last one's sides.

    Args:
        spec: which encoder.
        input_shape: (H, W, 3).
        name: the model's name.
        weights: "imagenet" for a keras-cv preset's weights, else None.

    Raises:
        UmlError: the encoder is unknown or cannot be built here.
    """
    if spec.name.startswith(KERAS_CV_PREFIX):
        keras_cv_name = spec.name.removeprefix(KERAS_CV_PREFIX)
        return keras_cv_encoder(keras_cv_name, spec.arguments, input_shape, LEVELS, weights, name)
    if spec.name in _OWN and weights:
        raise UmlError(
            f"--encoder-weights {weights}: encoder '{spec.name}' is not a keras-cv preset, "
            "expected its public .pth file"
        )
    if spec.name not in _OWN:
        known = ", ".join([*_OWN, f"{KERAS_CV_PREFIX}CLASS"])
        raise UmlError(f"encoder: found '{spec.name}', expected one of {known}")
    return _OWN[spec.name](input_shape, name)
