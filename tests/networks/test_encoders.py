"""Encoders by name, keras-cv presets from a local folder, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import keras
import keras_cv
import numpy as np
import pytest
from keras_cv.src.utils.preset_utils import save_to_preset

from uml_tf.networks import UML, preset
from uml_tf.networks.encoder_weights import load_encoder_weights
from uml_tf.networks.encoders import ENCODERS, build_encoder, complete, load_published_weights, resolve
from uml_tf.networks.files import read_network
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.errors import UmlError

SHAPE = (64, 64, 3)
NAMES = ("class_encoder", "segmentation_encoder")
SMALL = {
    "width_coefficient": 0.5,
    "depth_coefficient": 0.5,
    "stackwise_kernel_sizes": [3, 3, 3, 3],
    "stackwise_num_repeats": [1, 1, 1, 1],
    "stackwise_input_filters": [16, 8, 16, 24],
    "stackwise_output_filters": [8, 16, 24, 32],
    "stackwise_expansion_ratios": [1, 2, 2, 2],
    "stackwise_squeeze_and_excite_ratios": [0, 0, 0, 0.25],
    "stackwise_strides": [1, 2, 2, 2],
    "stackwise_conv_types": ["fused", "fused", "fused", "unfused"],
}


def _images(batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, *SHAPE)).astype(np.float32)


def _backbone(rescales=True):
    """A keras-cv backbone with random weights and statistics."""
    keras.utils.set_random_seed(3)
    backbone = keras_cv.models.EfficientNetV2Backbone(include_rescaling=rescales, **SMALL)
    rng = np.random.default_rng(3)
    for variable in backbone.variables:
        if "moving_variance" in variable.path:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif "moving_mean" in variable.path or "beta" in variable.path:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return backbone


def _own_features(backbone, images):
    layers = backbone.pyramid_level_inputs
    outputs = [backbone.get_layer(layers[f"P{level}"]).output for level in (1, 2, 3, 4)]
    return keras.Model(backbone.input, outputs)(images, training=False)


@pytest.fixture(scope="module")
def preset_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "small"
    save_to_preset(_backbone(), str(folder))
    return folder


def _network(name):
    spec = resolve(name)
    return UML(replace(preset("edge"), class_encoder=spec, segmentation_encoder=spec), 2, 3, SHAPE[:2])


@pytest.mark.parametrize("name", [name for name in ENCODERS if name.startswith("keras_cv:")])
def test_keras_cv_backbones_by_class_name(name):
    encoder = build_encoder(EncoderSpec(name), SHAPE, "encoder")
    sides = [output.shape[1] for output in encoder.outputs]
    assert [a / b for a, b in pairwise(sides)] == [2, 2, 2]


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UmlError, match=r"encoder: found 'nothing', expected one of .*vgg16_bn") as found:
        resolve("nothing")
    assert "keras_cv:ResNetBackbone" in str(found.value)
    assert "\n" not in str(found.value)
    with pytest.raises(UmlError, match=r"encoder 'keras_cv:no_such_preset': found no class .*ResNetBackbone"):
        resolve("keras_cv:no_such_preset")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        (EncoderSpec("vgg16_bn", {"depth": 3}), "cannot be built .*'depth'"),
        (
            EncoderSpec("keras_cv:ResNetBackbone", {"stackwise_blocks": [2]}),
            "found .* pyramid levels|cannot be",
        ),
        (
            EncoderSpec("keras_cv:ResNetBackbone", {"include_rescaling": True}),
            "found the arguments include_res",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(spec, found):
    with pytest.raises(UmlError, match=f"encoder '{spec.name}': {found}"):
        build_encoder(spec, SHAPE, "encoder")


def test_encoder_with_other_features_is_refused(monkeypatch):
    def build(input_shape, name):
        image = keras.Input(input_shape)
        return keras.Model(image, [image] * 4, name=name)

    monkeypatch.setitem(ENCODERS._entries, "flat", replace(ENCODERS["vgg16_bn"], build=build))
    with pytest.raises(UmlError, match=r"encoder 'flat': found strides \[1.0, 1.0, 1.0, 1.0\]"):
        build_encoder(EncoderSpec("flat"), SHAPE, "encoder")


def test_the_spec_of_a_network_holds_every_argument():
    spec = UML(preset("edge"), 2, 3, SHAPE[:2]).spec.class_encoder
    assert spec == complete(spec)
    assert spec.arguments["width_coefficient"] == 0.5
    assert len(spec.arguments["stackwise_strides"]) == 7
    assert spec.input_range == (-1.0, 1.0)


@pytest.mark.parametrize("rescales", [True, False])
def test_features_of_a_preset_are_the_backbones_own(tmp_path, rescales):
    backbone = _backbone(rescales)
    save_to_preset(backbone, str(tmp_path / "small"))
    name = f"keras_cv:{tmp_path / 'small'}"
    spec = resolve(name)
    assert spec.name == "keras_cv:EfficientNetV2Backbone"
    assert spec.arguments["stackwise_conv_types"] == SMALL["stackwise_conv_types"]
    model, images = _network(name), _images()
    assert load_encoder_weights(model, "imagenet", dict.fromkeys(NAMES, name)) == list(NAMES)
    # Where the backbone does not rescale by itself, it expects the image divided by 255.
    expected = _own_features(backbone, images if rescales else images / np.float32(255))
    graph = model.training_model
    for encoder in NAMES:
        found = keras.Model(graph.input, graph.get_layer(encoder)(graph.get_layer("normalisation").output))
        for ours, theirs in zip(found(images), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_saved_network_does_not_need_its_preset(preset_folder, tmp_path):
    copied = tmp_path / "small"
    shutil.copytree(preset_folder, copied)
    model = _network(f"keras_cv:{copied}")
    model.save(tmp_path / "x.keras")
    shutil.rmtree(copied)
    loaded, images = read_network(tmp_path / "x.keras"), _images()
    assert loaded.spec == model.spec
    found = loaded(images)
    for name, value in model(images).items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)


def test_encoders_with_different_input_ranges_read_different_images():
    spec = replace(
        preset("edge"),
        segmentation_encoder=EncoderSpec("keras_cv:MobileNetV3Backbone", input_range=(0.0, 255.0)),
    )
    graph = UML(spec, 2, 3, SHAPE[:2]).training_model
    layers = [graph.get_layer(name) for name in ("normalisation", "normalisation_2")]
    assert [(layer.scale, layer.offset) for layer in layers] == [(2 / 255, -1.0), (1.0, 0.0)]


def test_published_weights_are_refused_where_there_are_none():
    encoder = build_encoder(EncoderSpec("vgg16_bn"), SHAPE, "encoder")
    with pytest.raises(UmlError, match="encoder 'vgg16_bn' has no published weights"):
        load_published_weights(encoder, "vgg16_bn", {})


def test_published_weights_of_a_registered_encoder_are_loaded_into_both(monkeypatch):
    calls = []

    def published(model, **arguments):
        calls.append((model.name, arguments["stackwise_filters"][0]))

    name = "keras_cv:MobileNetV3Backbone"
    monkeypatch.setitem(ENCODERS._entries, name, replace(ENCODERS[name], published_weights=published))
    spec = EncoderSpec(name)
    model = UML(replace(preset("edge"), class_encoder=spec, segmentation_encoder=spec), 2, 3, SHAPE[:2])
    assert load_encoder_weights(model, "imagenet", dict.fromkeys(NAMES, name)) == list(NAMES)
    assert calls == [(encoder, 16) for encoder in NAMES]


def test_training_from_a_preset_folder(preset_folder, phantoms, uml_tf_command, tmp_path):
    name = f"keras_cv:{preset_folder}"
    options = ["--class-encoder", name, "--segmentation-encoder", name, "--encoder-weights", "imagenet"]
    uml_tf_command(
        "train", "--data", phantoms.root, "--epochs", 1, "--image-size", 64, *options, cwd=tmp_path
    )
    (path,) = tmp_path.glob("mlruns/runs/*/model.keras")
    assert read_network(path).spec.class_encoder == resolve(name)


def test_a_preset_without_network_is_one_line(phantoms, uml_tf_command, tmp_path, monkeypatch):
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "cache"))
    options = ["--class-encoder", "keras_cv:efficientnetv2_b0_imagenet", "--encoder-weights", "imagenet"]
    done = uml_tf_command("train", "--data", phantoms.root, *options, cwd=tmp_path, expect=1)
    line = done.stderr.splitlines()[-1]
    assert "encoder 'keras_cv:efficientnetv2_b0_imagenet': found no class of that name" in line
    assert "network access" in line


@pytest.mark.parametrize("kind", ["keras", "weights.h5"])
def test_weights_that_keras_cv_saved_fit_its_encoder(preset_folder, tmp_path, kind):
    backbone, path = _backbone(), tmp_path / f"backbone.{kind}"
    if kind == "keras":
        backbone.save(path)
    else:
        backbone.save_weights(path)
    model, images = _network(f"keras_cv:{preset_folder}"), _images()
    assert load_encoder_weights(model, str(path), dict.fromkeys(NAMES, "")) == list(NAMES)
    encoder = model.training_model.get_layer("class_encoder")
    expected = _own_features(backbone, images)
    for ours, theirs in zip(encoder(images / np.float32(255)), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_a_file_goes_into_the_encoder_that_it_fits_and_leaves_the_other_alone(preset_folder, tmp_path):
    spec = replace(preset("edge"), segmentation_encoder=resolve(f"keras_cv:{preset_folder}"))
    model = UML(spec, 2, 3, SHAPE[:2])
    _backbone().save_weights(tmp_path / "small.weights.h5")
    before = model.training_model.get_layer("class_encoder").get_weights()
    loaded = load_encoder_weights(model, str(tmp_path / "small.weights.h5"), dict.fromkeys(NAMES, ""))
    assert loaded == ["segmentation_encoder"]
    for a, b in zip(before, model.training_model.get_layer("class_encoder").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_preset_of_another_kind_of_network_is_refused(tmp_path):
    save_to_preset(
        keras_cv.models.MiTBackbone(True, [1, 1, 1, 1], embedding_dims=[8] * 4), str(tmp_path / "mit")
    )
    with pytest.raises(UmlError, match="found a preset of MiTBackbone, expected one of CSPDarkNetBackbone"):
        resolve(f"keras_cv:{tmp_path / 'mit'}")


def test_a_damaged_preset_is_one_line(preset_folder, tmp_path):
    shutil.copytree(preset_folder, tmp_path / "small")
    config = json.loads((tmp_path / "small/config.json").read_text())
    for content in ("{", json.dumps({**config, "registered_name": "unknown>Unknown"}), "[]"):
        (tmp_path / "small/config.json").write_text(content)
        with pytest.raises(UmlError, match="the preset cannot be read") as found:
            resolve(f"keras_cv:{tmp_path / 'small'}")
        assert "\n" not in str(found.value)
