"""What a known cup-to-disc ratio teaches."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from uml_tf.losses import LossSpec, joint_loss
from uml_tf.losses.cup_to_disc import cup_to_disc_loss
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio

SIDE = 64


def _probability(cup, disc, sure=0.94):
    """A cup in a disc, of given radii, drawn with some doubt everywhere."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    radius = np.hypot(rows - 30, columns - 33)
    mask = np.where(radius < cup, 2, np.where(radius < disc, 1, 0))
    probability = np.full((SIDE, SIDE, 3), (1 - sure) / 2, np.float32)
    np.put_along_axis(probability, mask[..., None], sure, axis=-1)
    return probability, mask


@pytest.mark.parametrize("cup", [5, 9, 14])
def test_the_error_is_that_of_the_drawn_mask(cup):
    probability, mask = _probability(cup, 20)
    drawn = vertical_cup_to_disc_ratio(mask, ("background", "rim", "cup"))
    found = float(cup_to_disc_loss(tf.constant([0.2]), tf.constant(probability[None]), 2, 1)[0])
    assert found == pytest.approx(abs(drawn - 0.2), abs=0.02)


def test_the_gradient_reaches_the_cup_alone_and_in_the_right_direction():
    probability = tf.constant(_probability(9, 20)[0][None])
    for ratio, direction in ((0.2, 1), (0.8, -1)):
        with tf.GradientTape() as tape:
            tape.watch(probability)
            error = cup_to_disc_loss(tf.constant([ratio]), probability, 2, 1)
        gradient = tape.gradient(error, probability).numpy()
        assert np.any(gradient[..., 2])
        assert (direction * gradient[..., 2] >= 0).all()
        assert not gradient[..., :2].any()


def test_images_without_a_known_ratio_add_nothing():
    head = tf.constant(np.stack([1 + 20 * _probability(cup, 20)[0] for cup in (5, 14)]))
    outputs = {
        "class_head": tf.ones((2, 2)),
        "mutual_head_1": head,
        "segmentation_logits_1": tf.math.log(head),
        "mask_head": head,
    }
    batch = {
        "label": tf.constant([-1, -1]),
        "mask": tf.zeros((2, SIDE, SIDE), tf.uint8),
        "has_mask": tf.zeros(2),
    }
    spec = LossSpec(ratio=1.0, cup_and_rim=(2, 1))
    losses = [
        float(joint_loss(outputs, {**batch, "ratio": tf.constant(ratio)}, 0, spec)["seg"])
        for ratio in ([np.nan, np.nan], [0.3, np.nan], [0.3, 0.3])
    ]
    assert losses[0] == 0
    of_first = float(
        cup_to_disc_loss(tf.constant([0.3]), head[:1] / tf.reduce_sum(head[:1], -1, True), 2, 1)[0]
    )
    assert losses[1] == pytest.approx(of_first, rel=1e-5)
    assert losses[2] != losses[1]
