"""Every preset, and what is left of it without a part: the graph, the contract, the budget of a device."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from uml_tf.networks import PRESETS, UML, DirichletHead, preset, without
from uml_tf.networks.operations import gigaflop
from uml_tf.networks.spec import EncoderSpec
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.errors import UmlError

K, C = 2, 3
PARTS = ("mixer", "navigator", "instructor", "evidential")


def _images(size, batch=2):
    return np.random.default_rng(0).uniform(0, 255, (batch, size, size, 3)).astype(np.float32)


def _check_contract(outputs, size, batch=2):
    assert set(outputs) == set(CONTRACT)
    shapes = {
        "class_probability": (batch, K),
        "class_belief": (batch, K),
        "class_uncertainty": (batch, 1),
        "mask_probability": (batch, size, size, C),
        "mask_belief": (batch, size, size, C),
        "mask_uncertainty": (batch, size, size, 1),
        "class_confidence": (batch, 1),
        "mask_confidence": (batch, size, size, 1),
        "familiarity": (batch, 1),
    }
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    for name, shape in shapes.items():
        assert arrays[name].shape == shape, name
        assert arrays[name].dtype == np.float32, name
    for part in ("class", "mask"):
        np.testing.assert_allclose(arrays[f"{part}_probability"].sum(-1), 1, atol=1e-5)
        total = arrays[f"{part}_belief"].sum(-1, keepdims=True) + arrays[f"{part}_uncertainty"]
        np.testing.assert_allclose(total, 1, atol=1e-5)
        assert (arrays[f"{part}_uncertainty"] > 0).all()
        assert (arrays[f"{part}_uncertainty"] <= 1 + 1e-6).all()


@cache
def _built(name):
    """A preset's network for small images; no test changes it."""
    return UML(preset(name), K, C, (32, 32))


@pytest.mark.parametrize(("name", "levels"), [("edge", 1), ("released", 4), ("paper", 1)])
def test_the_heads_are_layers_of_the_graph(name, levels):
    model = _built(name)
    heads = {layer.name for layer in model.training_model.layers if isinstance(layer, DirichletHead)}
    own = {"mask_head"} if name == "edge" else set()
    assert heads == {"class_head", *own, *(f"mutual_head_{level}" for level in range(1, levels + 1))}
    lines = []
    model.summary(line_length=110, print_fn=lines.append)
    text = "\n".join(lines)
    assert text.count("(DirichletHead)") == len(heads)
    assert "class_encoder" in text
    assert "contract (Contract)" in text
    outputs = model.training_model(_images(32))
    for name in heads:
        concentration = np.asarray(outputs[name])
        assert concentration.dtype == np.float32
        assert concentration.min() >= 1


@pytest.mark.parametrize("name", PRESETS)
def test_contract(name):
    _check_contract(_built(name)(_images(32)), 32)


@pytest.mark.parametrize("name", ["edge", "released", "paper"])
@pytest.mark.parametrize("part", PARTS)
def test_every_ablation_returns_the_contract(name, part):
    # A VGG16 at both places keeps the published presets quick to build; the blocks are what is tested.
    spec = preset(name)
    if name != "edge":
        spec = replace(
            spec, class_encoder=EncoderSpec("vgg16_bn"), segmentation_encoder=EncoderSpec("vgg16_bn")
        )
    model = UML(without(spec, part), K, C, (32, 32))
    _check_contract(model(_images(32)), 32)


@pytest.mark.parametrize("name", ["edge", "edge-pretrained", "unet-edge", "unet-wide"])
def test_device_presets_stay_within_their_budget(name):
    model = UML(preset(name), K, C, (256, 256))
    assert model.count_params() <= 2.5e6
    assert gigaflop(model) <= 1.0


def test_pretrained_presets_learn_at_the_rates_of_the_recipes():
    for name in ("edge-pretrained", "unet-edge", "unet-wide"):
        training = preset(name).training
        assert (training.learning_rate, training.encoder_rate, training.warmup_epochs) == (7e-4, 0.7, 2)


def test_the_wide_rival_has_the_arithmetic_of_the_network():
    of_rival, of_network = (
        gigaflop(UML(preset(name), K, C, (256, 256))) for name in ("unet-wide", "edge-pretrained")
    )
    assert of_rival == pytest.approx(of_network, rel=0.02)


def test_the_unet_has_one_encoder_and_one_mask():
    model = UML(preset("unet-edge"), K, C, (64, 64))
    names = [layer.name for layer in model.training_model.layers]
    assert "segmentation_encoder" in names
    assert "class_encoder" not in names
    outputs = model.training_model(_images(64))
    np.testing.assert_array_equal(outputs["mutual_head_1"], outputs["segmentation_logits_1"])
    with pytest.raises(UmlError, match="found softmax heads"):
        model.distributions(_images(64))
