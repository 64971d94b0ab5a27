"""Encoders of keras-hub: its features, its scaling, its weights; where it is installed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from uml_tf.networks.encoders import build_encoder, load_published_weights, resolve
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError

SHAPE = (64, 64, 3)
SMALL = {
    "stackwise_width_coefficients": [1.0] * 5,
    "stackwise_depth_coefficients": [1.0] * 5,
    "stackwise_kernel_sizes": [3] * 5,
    "stackwise_num_repeats": [1] * 5,
    "stackwise_input_filters": [16, 8, 16, 24, 32],
    "stackwise_output_filters": [8, 16, 24, 32, 40],
    "stackwise_expansion_ratios": [1, 2, 2, 2, 2],
    "stackwise_squeeze_and_excite_ratios": [0.25] * 5,
    "stackwise_strides": [1, 2, 2, 2, 2],
    "stackwise_block_types": ["v1"] * 5,
    "stackwise_force_input_filters": [0] * 5,
    "stackwise_nores_option": [False] * 5,
}
SCALE, OFFSET = [0.017, 0.0175, 0.0174], [-2.1, -2.0, -1.8]


def _hub():
    return pytest.importorskip("keras_hub", reason="keras-hub is not installed: its encoders are NOT CHECKED")


def test_without_the_package_the_line_says_what_to_install():
    try:
        import keras_hub  # noqa: F401
    except ImportError:
        with pytest.raises(UmlError, match=r"keras-hub cannot be imported .*'uml-tf\[keras-hub\]'"):
            resolve("keras_hub:efficientnet_b0_ra_imagenet")


def test_the_class_has_features_of_strides_2_to_16():
    _hub()
    encoder = build_encoder(EncoderSpec("keras_hub:EfficientNetBackbone"), SHAPE, "encoder")
    assert [output.shape[1] for output in encoder.outputs] == [32, 16, 8, 4]


def test_a_preset_has_its_own_scaling_and_weights(tmp_path):
    hub = _hub()
    keras.utils.set_random_seed(3)
    backbone = hub.models.EfficientNetBackbone(input_shape=SHAPE, **SMALL)
    backbone.save_to_preset(str(tmp_path))
    name = f"keras_hub:{tmp_path}"
    with pytest.raises(UmlError, match="local preset folder with its image converter"):
        resolve(name)
    kind = next(
        k for k in hub.layers.ImageConverter.__subclasses__() if k.__name__.startswith("EfficientNet")
    )
    kind(scale=SCALE, offset=OFFSET).save_to_preset(str(tmp_path))
    spec = resolve(name)
    encoder = build_encoder(spec, SHAPE, "encoder")
    load_published_weights(encoder, name, spec.arguments)
    images = np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype(np.float32)
    levels = [backbone.pyramid_outputs[f"P{level}"] for level in (1, 2, 3, 4)]
    expected = keras.Model(backbone.input, levels)(images * SCALE + OFFSET, training=False)
    for a, b in zip(encoder(images, training=False), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
