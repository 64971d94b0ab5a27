from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from uml_tf.data.pipeline import load_examples
from uml_tf.losses import LossSpec, joint_loss
from uml_tf.networks import UML, preset
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.regions import UNKNOWN_PIXEL
from uml_tf.training.averaging import WeightAverage
from uml_tf.training.build import build_loop
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import TrainingConfig
from uml_tf.training.display import SILENT
from uml_tf.training.teaching import Teacher, vacuity_limits

SIZE = 32


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32))
    return {
        "image": images,
        "plain": images,
        "label": tf.constant([0, 1, 1, -1]),
        "mask": tf.constant(rng.integers(0, 3, (4, SIZE, SIZE)).astype(np.uint8)),
        "has_mask": tf.constant([1.0, 0.0, 1.0, 0.0]),
    }


@pytest.fixture(scope="module")
def network():
    """A network and its weights."""
    keras.utils.set_random_seed(0)
    model = UML(preset("edge"), 2, 3, (SIZE, SIZE))
    return model, model.get_weights()


@pytest.fixture
def taught(network):
    model, weights = network
    model.set_weights(weights)
    return model, WeightAverage(model.variables, 0.9)


def test_a_limit_is_that_of_the_right_pixels_of_its_class():
    target = np.array([[[0, 0, 1, 1, 2]]])
    predicted = np.eye(3, dtype=np.float32)[[[[0, 0, 1, 0, 1]]]]
    vacuity = np.array([0.1, 0.3, 0.5, 0.9, 0.9], np.float32).reshape(1, 1, 5, 1)
    known = np.ones((1, 1, 5), bool)
    np.testing.assert_allclose(
        vacuity_limits(target, predicted, vacuity, known, 0.0), [0.2, 0.5, 0.0], atol=1e-6
    )
    np.testing.assert_allclose(
        vacuity_limits(target, predicted, vacuity, known, 1.0), [0.3, 0.5, 0.0], atol=1e-6
    )
    known[..., 0] = False
    np.testing.assert_allclose(
        vacuity_limits(target, predicted, vacuity, known, 0.0), [0.3, 0.5, 0.0], atol=1e-6
    )


def test_own_masks_stay_and_sure_pixels_are_taught(taught, batch):
    model, average = taught
    average.steps.assign(20.0)
    filled = Teacher(model, average, 0.8, start=10, ramp=20, spread=0.5)(batch)
    np.testing.assert_array_equal(filled["mask"].numpy()[[0, 2]], batch["mask"].numpy()[[0, 2]])
    np.testing.assert_allclose(filled["has_mask"], [1, 0.4, 1, 0.4])
    head = model.training_model(batch["plain"])["mutual_head_1"].numpy()
    predicted = np.argmax(head, -1)
    vacuity = head.shape[-1] / head.sum(-1)
    own, other = np.array([0, 2]), np.array([1, 3])
    right = predicted[own] == batch["mask"].numpy()[own]
    limit = {
        c: v.mean() + 0.5 * v.std() for c in range(3) if len(v := vacuity[own][right & (predicted[own] == c)])
    }
    expected = np.where(
        vacuity[other] <= np.vectorize(lambda c: limit.get(c, 0.0))(predicted[other]),
        predicted[other],
        UNKNOWN_PIXEL,
    )
    found = filled["mask"].numpy()[other]
    assert 0 < (found == UNKNOWN_PIXEL).mean() < 1
    assert (found != expected).mean() < 1e-3  # a pixel may lie on the limit


def test_padded_pixels_are_not_taught(taught, batch):
    model, average = taught
    teacher = Teacher(model, average, 1.0, 0, 1, 5.0)
    assert (teacher(batch)["mask"].numpy()[1, :9] != UNKNOWN_PIXEL).any()
    padded = batch["mask"].numpy()
    padded[1, :9] = UNKNOWN_PIXEL
    filled = teacher({**batch, "mask": tf.constant(padded)})["mask"].numpy()
    assert (filled[1, :9] == UNKNOWN_PIXEL).all()
    assert (filled[1, 9:] != UNKNOWN_PIXEL).any()


def test_the_teacher_is_the_average_and_not_the_network(taught, batch):
    model, average = taught
    teacher = Teacher(model, average, 1.0, 0, 1, 0.5)
    before = teacher(batch)["mask"].numpy()
    for variable in model.trainable_variables:
        variable.assign(variable * -2.0)
    np.testing.assert_array_equal(teacher(batch)["mask"], before)


def test_nothing_is_taught_before_the_start(taught, batch):
    model, average = taught
    filled = Teacher(model, average, 1.0, start=10, ramp=5, spread=0.0)(batch)
    outputs = model.training_model(batch["image"])
    spec, epoch = LossSpec(), tf.constant(3.0)
    for name, value in joint_loss(outputs, batch, epoch, spec).items():
        np.testing.assert_allclose(joint_loss(outputs, filled, epoch, spec)[name], value, rtol=1e-6)


def _loop(dataset, **fields):
    config = TrainingConfig(image_size=SIZE, epochs=1, **fields).resolved()
    splits = {name: load_examples(dataset, name, (SIZE, SIZE)) for name in ("train", "val")}
    splits["train"].has_mask[::2] = 0
    return build_loop(config, dataset, splits, SILENT, Cluster.alone())


def test_a_training_with_a_teacher_runs(phantoms):
    pair = "without_masks: found 'teach' with batch_statistics 'masked'.*set batch_statistics: all"
    with pytest.warns(UserWarning, match=pair):
        loop = _loop(phantoms, without_masks="teach", teaching={"start": 0.0, "ramp": 0.0})
    assert loop.step.teacher is not None
    assert all(np.isfinite(value) for value in loop.run()[0].losses.values())


@pytest.mark.parametrize("fields", [{"without_masks": "teach", "batch_statistics": "all"}, {}])
def test_a_teacher_without_masked_statistics_and_these_without_a_teacher_need_no_warning(phantoms, fields):
    with warnings.catch_warnings(record=True) as issued:
        warnings.simplefilter("always")
        _loop(phantoms, preset="unet-edge", encoder_weights="none", **fields)
    assert not [warning for warning in issued if "batch_statistics" in str(warning.message)]


def test_a_teacher_needs_the_average(phantoms):
    with pytest.raises(UmlError, match="without_masks: found 'teach' and averaging 0"):
        _loop(phantoms, without_masks="teach", averaging=0.0)
