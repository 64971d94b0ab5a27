"""Learning one task alone, and learning the class from the mask's measures alone."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from uml_tf.losses import joint_loss
from uml_tf.networks import UML, preset
from uml_tf.networks.dropout import PathDropout
from uml_tf.runtime.errors import UmlError
from uml_tf.training.config import TrainingConfig, with_fields
from uml_tf.training.specs import check_options, loss_spec, network_spec
from uml_tf.training.validation import Validation

SIZE = 32


def _batch():
    rng = np.random.default_rng(0)
    return {
        "image": tf.constant(rng.uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)),
        "label": tf.constant([0, 1, 1, -1]),
        "mask": tf.constant(rng.integers(0, 3, (4, SIZE, SIZE)).astype(np.uint8)),
        "has_mask": tf.constant([1.0, 0.0, 1.0, 1.0]),
    }


@pytest.mark.parametrize(
    ("tasks", "untaught"), [("class", "navigator_logits_1"), ("mask", "instructor_logits")]
)
def test_one_task_alone_teaches_nothing_to_the_other_head(tasks, untaught):
    config = TrainingConfig(tasks=tasks).resolved()
    spec = network_spec(config)
    network = UML(spec, 2, 3, (SIZE, SIZE)).training_model
    batch, loss = _batch(), loss_spec(config, spec, np.array([0, 1]), 2)
    with tf.GradientTape() as tape:
        total = joint_loss(network(batch["image"], training=False), batch, 0, loss)["total"]
    heads = [network.get_layer(name).kernel for name in ("navigator_logits_1", "instructor_logits")]
    for head, gradient in zip(heads, tape.gradient(total, heads), strict=True):
        taught = gradient is not None and bool(np.any(gradient))
        assert taught != head.path.startswith(untaught)


@pytest.mark.parametrize(
    "fields", [{"augmentation.destroyed": 0.1}, {"loss.objective": "squared"}, {"loss.prior_weight": 0.1}]
)
def test_what_dirichlet_heads_learn_is_refused_for_softmax_heads(fields):
    config = with_fields(TrainingConfig(preset="unet-edge"), fields).resolved()
    with pytest.raises(UmlError, match=f"{next(iter(fields))}: found a network with softmax heads"):
        check_options(config)


def test_destroyed_images_need_others_in_their_batch():
    config = with_fields(TrainingConfig(batch_size=1), {"augmentation.destroyed": 0.1}).resolved()
    with pytest.raises(UmlError, match="found batches of 1 image, expected 2 or more"):
        check_options(config)


def test_a_share_with_masks_needs_batches_that_can_be_shared():
    config = TrainingConfig(batch_size=1, masked_share=0.5).resolved()
    with pytest.raises(UmlError, match=r"masked_share: found 0.5 of batches of 1 image, expected"):
        check_options(config)
    check_options(config.model_copy(update={"batch_size": 2}))
    check_options(config.model_copy(update={"masked_share": None}))


def test_the_settings_of_evidence_reach_network_and_loss():
    fields = {"loss.objective": "squared", "loss.prior_weight": 0.2, "loss.destroyed_weight": 0.4}
    config = with_fields(TrainingConfig(), fields).resolved()
    spec = network_spec(config)
    loss = loss_spec(config, spec, np.array([0, 1]), 2)
    found = (spec.prior_weight, loss.prior_weight, loss.objective, loss.destroyed_weight)
    assert found == (0.2, 0.2, "squared", 0.4)
    assert loss_spec(TrainingConfig().resolved(), preset("edge"), np.array([0, 1]), 2).objective == "expected"


def test_the_epoch_is_chosen_by_the_task_that_is_learned():
    found = Validation(0.9, 0.9, likelihood=0.8, dice=(0.4,), class_uncertainty=0.1, mask_uncertainty=0.1)
    scores = [found.score_of(tasks) for tasks in ("class", "mask", "both")]
    assert scores == pytest.approx([0.8, 0.4, 0.6])


def test_path_dropout_drops_whole_vectors_in_training_alone():
    keras.utils.set_random_seed(1)
    layer, vectors = PathDropout(0.5), np.ones((200, 6), np.float32)
    np.testing.assert_array_equal(layer(vectors, training=False), vectors)
    dropped = np.asarray(layer(vectors, training=True))
    assert {tuple(row) for row in dropped.tolist()} == {(0.0,) * 6, (2.0,) * 6}
    assert 0.35 < (dropped[:, 0] == 0).mean() < 0.65


def test_the_measures_of_the_mask_join_the_class_normalised():
    spec = preset("edge")
    spec = replace(spec, instructor=replace(spec.instructor, read_mask=True, mask_alone=0.5))
    model = UML(spec, 2, 3, (SIZE, SIZE))
    names = {layer.name for layer in model.training_model.layers}
    assert {"instructor_measures", "instructor_path"} <= names
    weights = model.training_model.get_layer("instructor_logits").kernel
    measures = model.training_model.get_layer("instructor_measures").gamma
    assert weights.shape[0] > measures.shape[0] == 2 * (3 - 1)
    again = UML.from_config(model.get_config())
    assert again.spec.instructor.mask_alone == 0.5


@pytest.mark.parametrize(("bounded", "largest"), [(True, 2), (False, 7)])
def test_an_instruction_multiplies_a_feature_by_two_or_seven_at_most(bounded, largest):
    spec = preset("edge")
    model = UML(replace(spec, instructor=replace(spec.instructor, bounded=bounded)), 2, 3, (SIZE, SIZE))
    image = np.random.default_rng(0).integers(0, 255, (1, SIZE, SIZE, 3)).astype(np.float32)
    shift = model.training_model.get_layer("instructor_reliable").norms[-1].beta
    logits = []
    for instruction in (-1e6, 1e6):  # none, and the largest that there is
        shift.assign(np.full(shift.shape, instruction))
        logits.append(np.asarray(model.logits_model(image)["class_logits"]))
    assert np.abs(logits[0]).max() > 0
    np.testing.assert_allclose(logits[1], largest * logits[0], rtol=1e-4, atol=1e-6)


def test_the_bound_follows_the_config():
    for bounded in (False, True):
        config = TrainingConfig(preset="edge-pretrained", bounded_instruction=bounded).resolved()
        assert network_spec(config).instructor.bounded == bounded


def test_an_activation_without_a_largest_value_bounds_nothing():
    config = TrainingConfig(preset="paper", bounded_instruction=True)
    with pytest.raises(
        UmlError, match="bounded_instruction: found preset 'paper' with the activation 'relu'"
    ):
        network_spec(config.resolved())
    for alone in ({"tasks": "class"}, {"without": ("instructor",)}, {"preset": "unet"}):
        there_is_none = config.model_copy(update=alone).resolved()
        assert not network_spec(there_is_none).instructor.bounded
