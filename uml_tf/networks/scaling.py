"""From the values of an image, 0 to 255, to the range that each encoder reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from uml_tf.networks.spec import EncoderSpec, NetworkSpec


def scaling(encoder: EncoderSpec) -> tuple[float, float]:
    """(scale, offset) from [0, 255] to the input range of an encoder's complete spec."""
    assert encoder.input_range is not None  # the spec is complete
    low, high = encoder.input_range
    return (high - low) / 255.0, low


def encoded(image: Any, spec: NetworkSpec, encoders: Mapping[str, keras.Model]) -> dict[str, list[Any]]:
    """Each encoder's features of the image, finest first; encoders of one range share one scaling layer.

    Args:
        image: ``(B, H, W, 3)`` in [0, 255].
        spec: the network, its encoders complete.
        encoders: field of the spec -> the encoder's model.
    """
    scalings = {name: scaling(getattr(spec, name)) for name in encoders}
    scaled = {}
    for number, (scale, offset) in enumerate(dict.fromkeys(scalings.values()), start=1):
        name = "normalisation" if number == 1 else f"normalisation_{number}"
        scaled[scale, offset] = keras.layers.Rescaling(scale, offset, name=name)(image)
    return {name: encoder(scaled[scalings[name]]) for name, encoder in encoders.items()}
