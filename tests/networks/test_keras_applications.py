"""The encoders of keras.applications: their features, their scaling, their weights."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest

from uml_tf.networks import UML, preset
from uml_tf.networks.encoder_weights import load_encoder_weights
from uml_tf.networks.encoders import build_encoder, complete, resolve
from uml_tf.networks.files import read_network
from uml_tf.networks.scaling import encoded
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError
from uml_tf.training.config import TrainingConfig
from uml_tf.training.specs import network_spec

SHAPE = (64, 64, 3)
NAMES = dict.fromkeys(("class_encoder", "segmentation_encoder"), "mobilenet_v2")
APPLICATIONS = {
    "mobilenet_v2": (keras.applications.MobileNetV2, keras.applications.mobilenet_v2.preprocess_input),
    "mobilenet_v3_small": (keras.applications.MobileNetV3Small, None),
    "mobilenet_v3_large": (keras.applications.MobileNetV3Large, None),
    "efficientnet_v2_b0": (keras.applications.EfficientNetV2B0, None),
}
"""The latter three scale their input themselves: their own ``preprocess_input`` does nothing."""


def _images(batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_features_are_those_of_the_application_on_its_own_scaling(name):
    application, preprocess = APPLICATIONS[name]
    keras.utils.set_random_seed(0)
    backbone = application(input_shape=SHAPE, include_top=False, weights=None)
    spec = replace(preset("edge"), class_encoder=resolve(name), segmentation_encoder=resolve(name))
    encoder = build_encoder(spec.class_encoder, SHAPE, "class_encoder")
    inside = [layer for layer in encoder.layers if layer.weights]
    for layer in inside:
        layer.set_weights(backbone.get_layer(layer.name).get_weights())
    image = keras.Input(SHAPE)
    found = keras.Model(image, encoded(image, spec, {"class_encoder": encoder})["class_encoder"])(_images())
    sides = [feature.shape[1] for feature in found]
    assert sides[0] == SHAPE[0] // 2
    assert all(a == 2 * b for a, b in pairwise(sides))
    # The last feature is the input of the layer that halves it: known by its values in the whole network.
    whole = _images() if preprocess is None else preprocess(_images())
    same_shape = [layer.output for layer in backbone.layers if layer.output.shape[1:] == found[-1].shape[1:]]
    outputs = keras.Model(backbone.input, same_shape)(whole)
    scale = np.abs(found[-1]).max()
    assert min(float(np.abs(value - found[-1]).max()) for value in outputs) < 1e-4 * scale


def test_context_adds_the_last_block():
    plain, wide = (
        build_encoder(EncoderSpec("mobilenet_v2", {"alpha": 0.35, "context": context}), SHAPE, "encoder")
        for context in (False, True)
    )
    assert [o.shape for o in wide.outputs[:3]] == [o.shape for o in plain.outputs[:3]]
    assert wide.outputs[3].shape[-1] == plain.outputs[3].shape[-1] + 112
    feature = wide(_images())[3].numpy()[..., -112:]
    np.testing.assert_array_equal(feature[:, ::2, ::2], feature[:, 1::2, 1::2])


def _named(preset_name, name):
    """The encoders of a preset in whose place another is named in the config."""
    config = TrainingConfig(preset=preset_name, class_encoder=name, segmentation_encoder=name)
    spec = network_spec(config.resolved())
    return spec.class_encoder, spec.segmentation_encoder


@pytest.mark.parametrize("preset_name", ["edge-pretrained", "unet", "unet-edge"])
def test_another_width_of_a_presets_encoder_changes_the_width_alone(preset_name):
    own = complete(preset(preset_name).class_encoder)
    for alpha in (0.35, 0.5):
        wanted = replace(own, arguments={"alpha": alpha, "context": True})
        assert _named(preset_name, f"mobilenet_v2:{alpha}") == (wanted, wanted)


@pytest.mark.parametrize(("name", "channels"), [("mobilenet_v3_small:0.5", 48), ("efficientnet_v2_b0", 192)])
def test_another_kind_keeps_the_context_of_the_preset(name, channels):
    plain, wide = (
        build_encoder(_named(preset_name, name)[0], SHAPE, "encoder")
        for preset_name in ("edge", "edge-pretrained")
    )
    assert wide.outputs[3].shape[-1] == plain.outputs[3].shape[-1] + channels


def test_encoders_without_context_take_over_none():
    assert "context" not in _named("edge-pretrained", "vgg16_bn")[0].arguments
    assert "context" not in _named("edge", "mobilenet_v2:0.35")[0].arguments


def test_a_saved_network_without_context_is_read_without_it(tmp_path):
    encoder = EncoderSpec("mobilenet_v2", {"alpha": 0.35})  # as an encoder that was named was saved before
    spec = replace(preset("unet-edge"), class_encoder=encoder, segmentation_encoder=encoder)
    model = UML(spec, 2, 3, SHAPE[:2])
    model.save(tmp_path / "before.keras")
    again = read_network(tmp_path / "before.keras")
    assert again.spec == model.spec
    assert "context" not in again.spec.segmentation_encoder.arguments
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_context_needs_sides_of_32():
    spec = EncoderSpec("mobilenet_v2", {"alpha": 0.35, "context": True})
    with pytest.raises(UmlError, match="found an image size of 48 x 48, expected both divisible by 32"):
        build_encoder(spec, (48, 48, 3), "encoder")


@pytest.mark.parametrize("name", ["mobilenet_v2:wide", "mobilenet_v2:0", "mobilenet_v3_small:nan"])
def test_a_width_that_is_none_is_refused(name):
    with pytest.raises(UmlError, match=re.escape(f"encoder '{name}': found")):
        resolve(name)


@pytest.mark.parametrize("context", [False, True])
def test_a_file_of_the_whole_network_starts_both_encoders(tmp_path, context):
    keras.utils.set_random_seed(1)
    backbone = keras.applications.MobileNetV2(input_shape=SHAPE, alpha=0.35, include_top=False, weights=None)
    backbone.save_weights(tmp_path / "whole.weights.h5")
    encoder = complete(EncoderSpec("mobilenet_v2", {"alpha": 0.35, "context": context}))
    model = UML(replace(preset("edge"), class_encoder=encoder, segmentation_encoder=encoder), 2, 3, SHAPE[:2])
    assert load_encoder_weights(model, str(tmp_path / "whole.weights.h5"), NAMES) == list(NAMES)
    for name in NAMES:
        loaded = model.training_model.get_layer(name)
        for layer in ("Conv1", "block_6_project"):
            np.testing.assert_array_equal(
                loaded.get_layer(layer).get_weights()[0], backbone.get_layer(layer).get_weights()[0]
            )


def test_a_file_of_another_width_is_refused(tmp_path):
    backbone = keras.applications.MobileNetV2(input_shape=SHAPE, alpha=0.5, include_top=False, weights=None)
    backbone.save_weights(tmp_path / "other.weights.h5")
    model = UML(preset("edge-pretrained"), 2, 3, SHAPE[:2])
    before = model.get_weights()
    with pytest.raises(UmlError, match=r"other\.weights\.h5: does not fit an encoder"):
        load_encoder_weights(model, str(tmp_path / "other.weights.h5"), NAMES)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_offline_names_the_file_and_its_place(uml_tf_command, phantoms, tmp_path, monkeypatch):
    # A proxy that refuses every connection: the name of the server is not even looked up.
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    result = uml_tf_command(
        "train", "--preset", "edge-pretrained", "--data", phantoms.root, cwd=tmp_path, expect=1
    )
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("uml-tf:")]
    file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_128_no_top.h5"
    assert f"put {file} into {tmp_path / 'keras' / 'models'}, or give it as --encoder-weights FILE" in line
