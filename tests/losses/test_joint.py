from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from uml_tf.losses import LossSpec, joint_loss
from uml_tf.losses.dice import image_dice_loss, soft_dice_loss
from uml_tf.losses.dirichlet import distribution, evidential_loss, squared_loss
from uml_tf.losses.joint import annealing
from uml_tf.runtime.regions import UNKNOWN_PIXEL

B, H, C, K = 4, 16, 3, 2


@pytest.fixture
def case():
    rng = np.random.default_rng(0)

    def draw(*shape):
        return tf.constant(rng.normal(0, 2, shape).astype(np.float32))

    outputs = {
        "class_head": 1.0 + tf.nn.softplus(draw(B, K)),
        "mutual_head_1": 1.0 + tf.nn.softplus(draw(B, H, H, C)),
        "segmentation_logits_1": draw(B, H, H, C),
    }
    batch = {
        "label": tf.constant([0, 1, 1, 0]),
        "mask": tf.constant(rng.integers(0, C, (B, H, H)).astype(np.uint8)),
        "has_mask": tf.ones(B),
    }
    return outputs, batch


def _part(case, index):
    outputs, batch = case
    return ({k: tf.gather(v, index) for k, v in d.items()} for d in (outputs, batch))


def test_total_is_the_weighted_sum(case):
    terms = joint_loss(*case, 10.0, LossSpec())
    expected = 0.5 * terms["cls"] + 0.4 * terms["seg"] + 0.1 * terms["mut"]
    np.testing.assert_allclose(terms["total"], expected, rtol=1e-6)


def test_image_without_a_mask_adds_only_to_the_class_term(case):
    outputs, batch = case
    whole = joint_loss(outputs, {**batch, "has_mask": tf.constant([1.0, 1.0, 0.0, 0.0])}, 5.0, LossSpec())
    part = joint_loss(*_part(case, [0, 1]), 5.0, LossSpec())
    everything = joint_loss(outputs, batch, 5.0, LossSpec())
    np.testing.assert_allclose(whole["seg"], part["seg"], rtol=1e-5)
    np.testing.assert_allclose(whole["mut"], part["mut"], rtol=1e-5)
    np.testing.assert_allclose(whole["cls"], everything["cls"], rtol=1e-6)


def test_image_without_a_label_adds_only_to_the_mask_terms(case):
    outputs, batch = case
    whole = joint_loss(outputs, {**batch, "label": tf.constant([0, 1, -1, -1])}, 5.0, LossSpec())
    part = joint_loss(*_part(case, [0, 1]), 5.0, LossSpec())
    everything = joint_loss(outputs, batch, 5.0, LossSpec())
    np.testing.assert_allclose(whole["cls"], part["cls"], rtol=1e-5)
    np.testing.assert_allclose(whole["seg"], everything["seg"], rtol=1e-6)


def test_batch_with_nothing_known_has_no_loss_and_no_nan(case):
    outputs, batch = case
    nothing = {**batch, "has_mask": tf.zeros(B), "label": tf.fill([B], -1)}
    assert {float(v) for v in joint_loss(outputs, nothing, 5.0, LossSpec()).values()} == {0.0}


def _with_mask_head(case):
    outputs, batch = case
    logits = outputs["segmentation_logits_1"]
    return {**outputs, "mask_head": 1.0 + tf.nn.softplus(logits)}, batch


def test_destroyed_images_add_their_evidence_and_no_label_or_mask_loss(case):
    outputs, batch = _with_mask_head(case)
    gone = tf.constant([0.0, 0.0, 1.0, 1.0])
    unknown = tf.where(gone[:, None, None] > 0, tf.cast(UNKNOWN_PIXEL, tf.uint8), batch["mask"])
    label = tf.where(gone > 0, -1, batch["label"])
    destroyed = {"label": label, "mask": unknown, "has_mask": 1.0 - gone, "destroyed": gone}
    found = joint_loss(outputs, destroyed, 5.0, LossSpec(destroyed_weight=0.3))
    left = joint_loss(*_part((outputs, batch), [0, 1]), 5.0, LossSpec())
    for term, head in (("cls", "class_head"), ("seg", "mask_head"), ("mut", "mutual_head_1")):
        alpha = tf.cast(outputs[head][2:], tf.float64)
        evidence = tfp.distributions.kl_divergence(distribution(alpha), distribution(tf.ones_like(alpha)))
        expected = float(left[term]) + 0.3 * float(tf.reduce_mean(evidence))
        np.testing.assert_allclose(found[term], expected, rtol=1e-5)


def test_the_squared_fit_is_that_of_every_dirichlet_head_and_has_no_kl_term(case):
    outputs, batch = _with_mask_head(case)
    terms = [joint_loss(outputs, batch, epoch, LossSpec(objective="squared")) for epoch in (0.0, 50.0)]
    target = tf.one_hot(batch["mask"], C)
    dice = soft_dice_loss(
        target, outputs["mask_head"] / tf.reduce_sum(outputs["mask_head"], -1, True), tf.ones((B, H, H))
    )
    expected = {
        "cls": tf.reduce_mean(squared_loss(tf.one_hot(batch["label"], K), outputs["class_head"])),
        "seg": tf.reduce_mean(squared_loss(target, outputs["mask_head"])) + dice,
    }
    for found in terms:
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5)
    assert float(terms[0]["mut"]) == float(terms[1]["mut"])


def test_annealing_counts_epochs_from_zero():
    spec = LossSpec()
    assert [float(annealing(e, spec)) for e in (0, 25, 50, 80)] == [0.0, 0.5, 1.0, 1.0]
    less = [float(annealing(epoch, replace(spec, kl=0.1))) for epoch in (0, 25, 80)]
    assert less == pytest.approx([0.0, 0.05, 0.1])


def test_class_weights_weigh(case):
    spec = LossSpec()
    heavy = joint_loss(*case, 0.0, replace(spec, class_weights=(2.0, 2.0)))["cls"]
    np.testing.assert_allclose(heavy, 2 * joint_loss(*case, 0.0, spec)["cls"], rtol=1e-6)


def test_paper_form_averages_the_levels(case):
    outputs, batch = case
    two = {**outputs, "segmentation_logits_2": -outputs["segmentation_logits_1"]}
    spec = replace(LossSpec(), segmentation="dice")
    one = float(joint_loss(outputs, batch, 0.0, spec)["seg"])
    other = float(
        joint_loss({**outputs, "segmentation_logits_1": two["segmentation_logits_2"]}, batch, 0.0, spec)[
            "seg"
        ]
    )
    np.testing.assert_allclose(joint_loss(two, batch, 0.0, spec)["seg"], (one + other) / 2, rtol=1e-6)


def test_class_that_no_mask_shows_can_be_left_out_of_the_dice():
    target = tf.one_hot(tf.zeros((2, 4, 4), tf.int32), 2)
    probability = tf.concat([tf.fill((2, 4, 4, 1), 0.9), tf.fill((2, 4, 4, 1), 0.1)], -1)
    counted = float(soft_dice_loss(target, probability, tf.ones(2)))
    skipped = float(soft_dice_loss(target, probability, tf.ones(2), skip_absent=True))
    assert skipped == pytest.approx(-np.log(2 * 0.9 / 1.9), rel=1e-4)
    assert counted > 5


def test_soft_dice_by_hand():
    target = tf.constant([1.0, 0.0, 1.0, 0.0], shape=(1, 2, 2, 1))
    probability = tf.constant([0.5, 0.5, 1.0, 0.0], shape=(1, 2, 2, 1))
    expected = -np.log((2 * 1.5 + 1e-5) / (2 + 2 + 1e-5))
    np.testing.assert_allclose(soft_dice_loss(target, probability, tf.ones(1)), expected, rtol=1e-6)


def test_dice_of_images_counts_every_region_once():
    target = np.zeros((3, 4, 4, 2), np.float32)
    target[0, :, :, 1], target[1, 0, 0, 1] = 1, 1  # a large region, a small one, none
    target[..., 0] = 1 - target[..., 1]
    found = target * 0.8 + 0.1
    expected = []
    for image, c in ((0, 1), (1, 0), (1, 1), (2, 0)):
        overlap = (target[image, ..., c] * found[image, ..., c]).sum()
        total = target[image, ..., c].sum() + found[image, ..., c].sum()
        expected.append(-np.log((2 * overlap + 1e-5) / (total + 1e-5)))
    np.testing.assert_allclose(image_dice_loss(target, found, tf.ones(3)), np.mean(expected), rtol=1e-5)
    first = image_dice_loss(target, found, tf.constant([1.0, 0.0, 0.0]))
    np.testing.assert_allclose(first, expected[0], rtol=1e-5)
    assert float(image_dice_loss(target, found, tf.zeros(3))) == 0
    pixels = np.ones((3, 4, 4), np.float32)
    pixels[0, 2:] = 0  # half of the large region is not known
    half = float(image_dice_loss(target, found, pixels))
    np.testing.assert_allclose(half, (0.5 * expected[0] + sum(expected[1:])) / 3.5, rtol=1e-5)


@pytest.mark.parametrize("dice_over", ["batch", "image"])
def test_a_dirichlet_head_that_draws_the_mask_learns_by_its_own_mean_and_evidence(case, dice_over):
    outputs, batch = case
    head = 1.0 + tf.nn.softplus(outputs["segmentation_logits_1"] * 0.7)
    spec = LossSpec(dice_over=dice_over)
    target = tf.one_hot(tf.cast(batch["mask"], tf.int32), C)
    mean = head / tf.reduce_sum(head, -1, keepdims=True)
    dice = image_dice_loss if dice_over == "image" else soft_dice_loss
    expected = dice(target, mean, tf.ones((B, H, H))) + tf.reduce_mean(evidential_loss(target, head, 0.5))
    found = joint_loss({**outputs, "mask_head": head}, batch, 25.0, spec)
    np.testing.assert_allclose(found["seg"], expected, rtol=1e-5)
    without = joint_loss(outputs, batch, 25.0, spec)
    np.testing.assert_allclose(found["mut"], without["mut"])
