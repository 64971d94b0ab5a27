"""Pixel value 255, "not known here": nothing to loss, validation and metrics; every tool keeps it."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from image_measures import measure_of_masks

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.check import check_dataset
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.masks import read_mask
from uml_tf.data.pipeline import load_examples, training_batches
from uml_tf.data.preview import preview
from uml_tf.losses import LossSpec, joint_loss
from uml_tf.runtime.overlay import UNKNOWN_COLOUR, draw_outlines
from uml_tf.runtime.regions import UNKNOWN_PIXEL
from uml_tf.training.validation import _image_dice

B, H, C, K = 3, 12, 3, 2


def _case(seed=0):
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return tf.constant(rng.normal(0, 2, shape).astype(np.float32))

    outputs = {
        "class_head": draw(B, K),
        "mutual_head_1": draw(B, H, H, C),
        "mutual_head_2": draw(B, H, H, C),
        "segmentation_logits_1": draw(B, H, H, C),
        "segmentation_logits_2": draw(B, H, H, C),
    }
    batch = {
        "label": tf.constant([0, 1, 1]),
        "mask": tf.constant(rng.integers(0, C, (B, H, H)).astype(np.uint8)),
        "has_mask": tf.constant([1.0, 1.0, 0.0]),
    }
    return outputs, batch


def _heads(logits, evidential):
    """The outputs of the training model, of logits that gradients are taken by."""
    names = ("class_head", "mutual_head_1", "mutual_head_2")
    return {k: 1 + tf.nn.softplus(z) if evidential and k in names else z for k, z in logits.items()}


def _terms_and_gradients(logits, batch, spec):
    logits = {name: tf.Variable(value) for name, value in logits.items()}
    with tf.GradientTape(persistent=True) as tape:
        terms = joint_loss(_heads(logits, spec.evidential), batch, 7.0, spec)
    gradients = {
        term: {
            name: tf.convert_to_tensor(g).numpy()
            for name, z in logits.items()
            if (g := tape.gradient(terms[term], z)) is not None
        }
        for term in ("seg", "mut", "total")
    }
    return {name: float(value) for name, value in terms.items()}, gradients


SPECS = [
    LossSpec(segmentation=form, evidential=evidential, skip_absent=skip)
    for form in ("dice", "dice+ce")
    for evidential in (True, False)
    for skip in (True, False)
]


@pytest.mark.parametrize("spec", SPECS)
def test_unknown_pixels_have_no_gradient_and_no_influence_in_any_term(spec):
    outputs, batch = _case()
    unknown = np.zeros((B, H, H), bool)
    unknown[0, 2:7, 1:9], unknown[1, :, 6:], unknown[2, :3] = True, True, True
    batch["mask"] = tf.where(unknown, UNKNOWN_PIXEL, tf.cast(batch["mask"], tf.int32))
    terms, gradients = _terms_and_gradients(outputs, batch, spec)
    assert all(np.isfinite(value) for value in terms.values())
    for term, by_output in gradients.items():
        dense = {name: g for name, g in by_output.items() if name != "class_head"}
        assert dense, term
        for name, gradient in dense.items():
            assert (gradient[unknown] == 0).all(), (term, name)
        assert any(
            (gradient[~unknown & (np.arange(B) < 2)[:, None, None]] != 0).any() for gradient in dense.values()
        )
    # Whatever the network says there, nothing changes.
    other, _ = _case(seed=1)
    mixed = {
        name: tf.where(unknown[..., None], other[name], value) if value.shape.rank == 4 else value
        for name, value in outputs.items()
    }
    again, gradients_again = _terms_and_gradients(mixed, batch, spec)
    assert again == pytest.approx(terms, rel=1e-6)
    np.testing.assert_allclose(
        gradients_again["total"]["segmentation_logits_1"],
        gradients["total"]["segmentation_logits_1"],
        rtol=1e-4,
        atol=1e-9,
    )


@pytest.mark.parametrize("spec", SPECS)
def test_unknown_pixels_count_as_if_the_image_did_not_have_them(spec):
    """A batch whose lower half is unknown has the loss of the upper halves."""
    outputs, batch = _case()
    mask = batch["mask"].numpy()
    mask[:, H // 2 :] = UNKNOWN_PIXEL
    whole, _ = _terms_and_gradients(outputs, {**batch, "mask": tf.constant(mask)}, spec)
    upper = {k: v[:, : H // 2] if v.shape.rank == 4 else v for k, v in outputs.items()}
    part, _ = _terms_and_gradients(upper, {**batch, "mask": batch["mask"][:, : H // 2]}, spec)
    assert whole == pytest.approx(part, rel=1e-5)


def _loss_before(outputs, batch, lam, spec):
    """The mask terms as they were before there were unknown pixels, from the page of the method."""
    from uml_tf.losses.dirichlet import evidential_loss, softmax_loss

    target = tf.one_hot(tf.cast(batch["mask"], tf.int32), C)
    weight = batch["has_mask"]

    def dice(p):
        w = tf.reshape(weight, (-1, 1, 1, 1))
        overlap, size, found = (tf.reduce_sum(v, (0, 1, 2)) for v in (target * p * w, target * w, p * w))
        loss = -tf.math.log((2 * overlap + 1e-5) / (size + found + 1e-5))
        if not spec.skip_absent:
            return tf.reduce_mean(loss)
        present = tf.cast(size > 0, tf.float32)
        return tf.reduce_sum(loss * present) / tf.maximum(tf.reduce_sum(present), 1)

    def pixels(loss):
        return tf.reduce_sum(tf.reduce_mean(loss, (1, 2)) * weight) / tf.reduce_sum(weight)

    mut = 0.0
    for level in ("mutual_head_1", "mutual_head_2"):
        head = outputs[level]
        loss = evidential_loss(target, head, lam) if spec.evidential else softmax_loss(target, head)
        mut += pixels(loss) + dice(tf.nn.softmax(head))
    levels = [outputs[f"segmentation_logits_{n}"] for n in (1, 2)]
    if spec.segmentation == "dice":
        return sum(dice(tf.nn.softmax(z)) for z in levels) / 2, mut
    return dice(tf.nn.softmax(levels[0])) + pixels(softmax_loss(target, levels[0])), mut


@pytest.mark.parametrize("spec", SPECS)
def test_without_unknown_pixels_the_losses_are_what_they_were(spec):
    logits, batch = _case(seed=3)
    outputs = _heads(logits, spec.evidential)
    terms = joint_loss(outputs, batch, 25.0, spec)
    seg, mut = _loss_before(outputs, batch, 0.5, spec)
    np.testing.assert_allclose(terms["seg"], seg, rtol=1e-6)
    np.testing.assert_allclose(terms["mut"], mut, rtol=1e-6)


def test_a_batch_in_which_nothing_is_known_has_no_mask_loss():
    outputs, batch = _case()
    batch["mask"] = tf.fill((B, H, H), UNKNOWN_PIXEL)
    terms, gradients = _terms_and_gradients(outputs, batch, LossSpec())
    assert terms["seg"] == terms["mut"] == 0
    assert terms["total"] == pytest.approx(0.5 * terms["cls"])
    assert all((g == 0).all() for n, g in gradients["total"].items() if n != "class_head")


def test_validation_leaves_unknown_pixels_out():
    truth = np.zeros((2, 8, 8), np.uint8)
    truth[:, :4, :4] = 1
    truth[:, 4:] = UNKNOWN_PIXEL
    predicted = np.where(truth == UNKNOWN_PIXEL, 1, truth)
    np.testing.assert_array_equal(_image_dice(truth, predicted, 2), [[1.0], [1.0]])
    predicted[1, 0, 4] = 1
    np.testing.assert_allclose(_image_dice(truth, predicted, 2), [[1.0], [32 / 33]])


def test_no_metric_sees_what_is_predicted_in_unknown_pixels():
    rng = np.random.default_rng(0)
    mask = np.zeros((40, 40), np.uint8)
    mask[5:25, 5:25], mask[10:18, 10:18] = 1, 2
    mask[30:] = UNKNOWN_PIXEL
    unknown = mask == UNKNOWN_PIXEL
    predicted = rng.integers(0, 3, mask.shape)
    uncertainty = rng.random(mask.shape)
    first = measure_of_masks(mask, predicted, uncertainty)
    other = np.where(unknown, rng.integers(0, 3, mask.shape), predicted)
    second = measure_of_masks(mask, other, np.where(unknown, rng.random(mask.shape), uncertainty))
    assert first.values
    assert first.values == pytest.approx(second.values, nan_ok=True)
    for name, counts in first.counts.items():
        np.testing.assert_array_equal(counts, second.counts[name])
    # The counts of pixels are those of the known part alone.
    part = measure_of_masks(mask[:30], predicted[:30], uncertainty[:30])
    for name, counts in first.counts.items():
        np.testing.assert_allclose(counts, part.counts[name])
    for name in (
        "dice_rim",
        "dice_cup",
        "dice_disc",
        "iou_disc",
        "assd_cup",
        "hd95_disc",
        "cup_to_disc_error",
    ):
        assert first.values[name] == pytest.approx(part.values[name]), name


def test_a_mask_of_unknown_pixels_alone_is_no_mask():
    mask = np.full((16, 16), UNKNOWN_PIXEL, np.uint8)
    measure = measure_of_masks(mask, np.ones((16, 16), int), np.ones((16, 16)))
    assert (measure.values, measure.counts) == ({}, {})


@pytest.fixture
def partly_known(phantoms, tmp_path):
    """The phantoms; in every second mask the disc is not known."""
    folder = shutil.copytree(phantoms.root, tmp_path / "partly")
    for row in phantoms.rows[::2]:
        mask = read_mask(folder / row.mask)
        cv2.imwrite(str(folder / row.mask), np.where(mask > 0, UNKNOWN_PIXEL, mask).astype(np.uint8))
    return PreparedDataset.open(folder)


def test_check_counts_unknown_pixels_apart(partly_known, phantoms):
    report = check_dataset(partly_known)
    assert report.problems == []
    assert sum(report.pixel_share.values()) == pytest.approx(1)
    (note,) = report.notes
    assert "% of the masked pixels are 255, whose class is not known" in note


def test_check_warns_of_black_and_white_masks(partly_known):
    for row in partly_known.rows:
        mask = read_mask(partly_known.root / row.mask)
        cv2.imwrite(str(partly_known.root / row.mask), ((mask > 0) * 255).astype(np.uint8))
    report = check_dataset(partly_known)
    assert report.problems == []
    assert "no mask shows a foreground class" in report.notes[-1]


def test_reading_resizing_and_augmentation_keep_unknown_pixels(partly_known):
    examples = load_examples(partly_known, "train", (48, 48))
    assert set(np.unique(examples.masks)) == {0, 1, 2, UNKNOWN_PIXEL}
    strong = AugmentationSpec(rotation=30, zoom=0.3, stretch=0.2, translation=0.2, noise=0.1)
    for seed in range(3):
        (batch,) = training_batches(examples, np.arange(16), 16, Augmentation(strong, seed=seed))
        assert set(np.unique(batch["mask"])) <= {0, 1, 2, UNKNOWN_PIXEL}
        assert (batch["mask"].numpy() == UNKNOWN_PIXEL).any()


def test_preview_draws_unknown_areas_in_grey(partly_known, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 10:30], mask[40:60, 40:60] = UNKNOWN_PIXEL, 1
    drawn = draw_outlines(np.zeros((64, 64, 3), np.uint8), mask)
    assert tuple(drawn[10, 20]) == UNKNOWN_COLOUR
    assert tuple(drawn[40, 50]) not in (UNKNOWN_COLOUR, (0, 0, 0))
    assert preview(partly_known, tmp_path / "sheet.png", AugmentationSpec(), 64, 4, 0).stat().st_size > 10_000


def test_a_network_trains_on_partly_known_masks_with_finite_losses(partly_known):
    from uml_tf.networks import UML, preset
    from uml_tf.training.averaging import WeightAverage
    from uml_tf.training.step import StepSpec, TrainStep

    keras.utils.set_random_seed(0)
    model = UML(preset("edge"), 2, 3, (32, 32))
    average = WeightAverage(model.variables, 0.9)
    step = TrainStep(
        model, keras.optimizers.Adam(1e-3), replace(LossSpec(), skip_absent=True), StepSpec(), average
    )
    examples = load_examples(partly_known, "train", (32, 32))
    for batch in training_batches(examples, np.arange(16), 8, None):
        terms = step(batch, 0)
        assert all(np.isfinite(float(value)) for value in terms.values())
