"""A network's file, whole, damaged, and tampered with: nothing that a file names is ever fetched."""

from __future__ import annotations

import json
import random
import zipfile

import keras
import keras_cv
import numpy as np
import pytest
from keras_cv.src.utils.preset_utils import save_to_preset

from uml_tf.networks import UML, preset
from uml_tf.networks.encoder_weights import load_encoder_weights
from uml_tf.networks.files import read_network
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.model_card import ModelCard

SIZE = (64, 64)
NAMES = dict.fromkeys(("class_encoder", "segmentation_encoder"), "")
HUB_CLASS = {
    "module": "keras_cv.models",
    "class_name": "EfficientNetV2B0Backbone",
    "config": {},
    "registered_name": "keras_cv.models>EfficientNetV2B0Backbone",
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("networks") / "whole.keras"
    UML(preset("edge"), 2, 3, SIZE).save(path)
    return path


@pytest.fixture(scope="module")
def network(saved):
    """What the file holds, to load encoder weights into."""
    return read_network(saved)


@pytest.fixture
def fetched(monkeypatch):
    """The presets that keras-cv was called for."""
    requested, genuine = [], keras_cv.models.Backbone.from_preset.__func__

    def from_preset(cls, name, *arguments, **options):
        requested.append(name)
        return genuine(cls, name, *arguments, **options)

    monkeypatch.setattr(keras_cv.models.Backbone, "from_preset", classmethod(from_preset))
    return requested


@pytest.fixture(scope="module")
def preset_folder(tmp_path_factory):
    """A preset that keras-cv would read without any network."""
    folder = tmp_path_factory.mktemp("presets") / "resnet"
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 64, 64, 64],
        stackwise_blocks=[1, 1, 1, 1],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=True,
        block_type="basic_block",
    )
    save_to_preset(backbone, str(folder))
    return folder


def _tampered(saved, path, change):
    """A copy of the file whose config was changed."""
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            target.writestr(name, data)
    return path


def _encoder_named(name):
    def change(config):
        config["config"]["spec"]["class_encoder"]["name"] = name

    return change


def test_a_network_is_read_as_it_was_saved(saved, network):
    images = np.random.default_rng(0).uniform(0, 255, (1, *SIZE, 3))
    found = network(images)
    for name, value in keras.models.load_model(saved)(images).items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)


@pytest.mark.parametrize(
    "handle",
    [
        "gs://somewhere/of/theirs",
        "kaggle://somebody/theirs/keras/small",
        "https://example.org/preset",
        "efficientnetv2_b0_imagenet",
        "EfficientNetV2B0Backbone",
        "StableDiffusion",
    ],
)
def test_a_file_that_names_a_preset_is_refused_and_nothing_is_fetched(
    saved, network, tmp_path, fetched, handle
):
    path = _tampered(saved, tmp_path / "x.keras", _encoder_named(f"keras_cv:{handle}"))
    for read in (read_network, lambda path: load_encoder_weights(network, str(path), NAMES)):
        with pytest.raises(
            UmlError, match=f"x.keras: .*encoder: found 'keras_cv:{handle}', expected"
        ) as found:
            read(path)
        assert "\n" not in str(found.value)
    assert fetched == []


def test_a_file_that_names_a_folder_is_refused_and_it_is_not_read(saved, tmp_path, fetched, preset_folder):
    name = f"keras_cv:{preset_folder}"
    path = _tampered(saved, tmp_path / "x.keras", _encoder_named(name))
    with pytest.raises(UmlError, match=f"encoder: found '{name}', expected one of"):
        read_network(path)
    assert fetched == []
    keras_cv.models.Backbone.from_preset(str(preset_folder))
    assert fetched == [str(preset_folder)]  # the spy works


@pytest.mark.parametrize(
    "place",
    [
        ("spec", "conv", "activation"),
        ("spec", "class_encoder", "arguments", "activation"),
        ("spec", "class_encoder", "name"),
        ("spec", "normalisation"),
        ("dtype",),
        ("name",),
        ("image_size",),
    ],
)
def test_a_file_that_describes_an_object_is_refused_and_nothing_is_fetched(saved, tmp_path, fetched, place):
    def change(config):
        for key in ("config", *place[:-1]):
            config = config[key]
        config[place[-1]] = HUB_CLASS

    path = _tampered(saved, tmp_path / "x.keras", change)
    with pytest.raises(UmlError, match=r"x\.keras: cannot be read as a Keras model") as found:
        read_network(path)
    assert "\n" not in str(found.value)
    assert fetched == []


@pytest.mark.parametrize(
    "place",
    [("spec",), ("spec", "conv"), ("spec", "class_encoder"), ("card",), ("card", "mask_quality", "lesion")],
)
def test_a_file_of_a_newer_release_says_so(saved, tmp_path, place):
    """A field that a later uml-tf adds, at any depth of the config."""
    card = ModelCard(
        ("a", "b"), ("background", "lesion"), mask_quality={"lesion": DiceFit(1.0, 0.0, 9)}
    ).to_dict()

    def change(config):
        config["config"]["card"] = card
        section = config["config"]
        for key in place:
            section = section[key]
        section["of_tomorrow"] = 1

    path = _tampered(saved, tmp_path / "x.keras", change)
    with pytest.raises(
        UmlError, match=r"x\.keras: found the field 'of_tomorrow', which .*: use a newer"
    ) as found:
        read_network(path)
    assert "\n" not in str(found.value)


def test_another_class_is_not_built(saved, network, tmp_path, fetched):
    path = _tampered(saved, tmp_path / "x.keras", lambda config: config.update(HUB_CLASS))
    with pytest.raises(
        UmlError, match=r"found a Keras model of class keras_cv.models>EfficientNetV2B0Backbone"
    ):
        read_network(path)
    with pytest.raises(UmlError, match=r"x\.keras: does not fit an encoder"):
        load_encoder_weights(network, str(path), NAMES)
    assert fetched == []


def test_a_tampered_file_is_one_line_of_the_command(saved, tmp_path, uml_tf_command):
    _tampered(saved, tmp_path / "x.keras", _encoder_named("keras_cv:gs://somewhere/of/theirs"))
    done = uml_tf_command("predict", "x.keras", "image.png", "--out", "out", cwd=tmp_path, expect=1)
    assert "encoder: found 'keras_cv:gs://somewhere/of/theirs', expected one of" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def _damaged(raw, seed):
    """The file cut short, or with a run of other bytes."""
    rng = random.Random(seed)
    if seed % 2:
        return raw[: rng.randrange(len(raw))]
    # In the zip's directory at the end, in the config at the beginning, or anywhere.
    start = rng.choice([rng.randrange(400), rng.randrange(len(raw)), len(raw) - rng.randrange(1, 300)])
    length = min(rng.choice([1, 30]), len(raw) - start)
    return raw[:start] + rng.randbytes(length) + raw[start + length :]


@pytest.mark.parametrize("kind", ["whole.keras", "encoder.keras", "encoder.weights.h5"])
def test_damaged_encoder_weights_end_in_one_line(saved, network, tmp_path, kind):
    if kind == "whole.keras":
        raw = saved.read_bytes()
    else:
        encoder = network.training_model.get_layer("class_encoder")
        encoder.save_weights(tmp_path / kind) if kind.endswith("h5") else encoder.save(tmp_path / kind)
        raw = (tmp_path / kind).read_bytes()
    refused = 0
    for seed in range(4 if kind == "whole.keras" else 16):
        path = tmp_path / f"damaged_{seed}.{kind.partition('.')[2]}"
        path.write_bytes(_damaged(raw, seed))
        try:
            load_encoder_weights(network, str(path), NAMES)
        except UmlError as error:
            refused += 1
            assert str(path) in str(error)  # noqa: PT017 (a changed byte inside the numbers is no error)
            assert "\n" not in str(error)  # noqa: PT017
    assert refused >= 2
