from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from uml_tf.data.pipeline import load_examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.losses import LossSpec
from uml_tf.networks import UML, preset, without
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.runtime.errors import UmlError
from uml_tf.training.averaging import WeightAverage
from uml_tf.training.build import _optimizer, _precision, build_loop, encoder_rates
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import LARGEST_SEED, TrainingConfig
from uml_tf.training.display import SILENT
from uml_tf.training.loop import Listener, Loop
from uml_tf.training.step import StepSpec, TrainStep

SIZE = 32
QUICK = preset("unet-edge")
"""The quickest network to build, for what is the same for all networks."""
_LITE = preset("edge").class_encoder
_SHORT = replace(
    _LITE,
    arguments=_LITE.arguments
    | {
        "stackwise_kernel_sizes": [3] * 4,
        "stackwise_num_repeats": [1] * 4,
        "stackwise_input_filters": [32, 16, 24, 40],
        "stackwise_output_filters": [16, 24, 40, 80],
        "stackwise_expansion_ratios": [1, 6, 6, 6],
        "stackwise_strides": [1, 2, 2, 2],
    },
)
JOINT = replace(preset("edge"), class_encoder=_SHORT, segmentation_encoder=_SHORT)
"""The edge network with all of its parts, and encoders of one block for each of its features."""
QUICK_CONFIG = {"preset": "unet-edge", "encoder_weights": "none", "image_size": SIZE}


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    return {
        "image": tf.constant(rng.uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)),
        "label": tf.constant([0, 1, 1, -1]),
        "mask": tf.constant(rng.integers(0, 3, (4, SIZE, SIZE)).astype(np.uint8)),
        "has_mask": tf.constant([1.0, 0.0, 1.0, 1.0]),
    }


@pytest.fixture
def uncompiled():
    """A single step takes a second so, where to compile it takes ten."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _step(config=None, spec=None, **step):
    config = (config or TrainingConfig()).resolved()
    keras.utils.set_random_seed(0)
    with _precision(config.precision):
        model = UML(spec or JOINT, 2, 3, (SIZE, SIZE))
    loss = LossSpec(evidential=model.spec.ablation.evidential)
    return TrainStep(model, _optimizer(config, 10), loss, StepSpec(**step), None)


def _small_steps(batch, precision, jit):
    """The losses of steps so small that rounding does not grow; no dropout, since XLA draws other masks."""
    spec = replace(JOINT, instructor=replace(JOINT.instructor, dropout=0.0, dropout_dense=0.0))
    step = _step(TrainingConfig(precision=precision, learning_rate=1e-6), spec, jit=jit)
    return step, np.array([list(map(float, step(batch, 0).values())) for _ in range(4)])


@pytest.fixture(scope="module")
def plain_losses(batch):
    return _small_steps(batch, "float32", jit=False)[1]


@pytest.mark.parametrize(
    ("precision", "jit", "tolerance"),
    [("float32", True, 1e-5), ("mixed_bfloat16", False, 3e-2), ("mixed_float16", False, 1e-2)],
)
def test_precision_and_xla_keep_the_losses(batch, plain_losses, precision, jit, tolerance):
    step, losses = _small_steps(batch, precision, jit)
    np.testing.assert_allclose(losses, plain_losses, rtol=tolerance)
    outputs = step.model(batch["image"])
    assert {value.dtype for value in outputs.values()} == {tf.float32}
    for part in ("class", "mask"):
        total = tf.reduce_sum(outputs[f"{part}_belief"], -1, keepdims=True) + outputs[f"{part}_uncertainty"]
        np.testing.assert_allclose(total, 1, atol=1e-5)


@pytest.mark.parametrize("parts", [(), ("evidential",)])
def test_loss_falls_with_and_without_evidential_heads(batch, parts):
    step = _step(spec=without(JOINT, *parts))
    losses = [float(step(batch, 0)["total"]) for _ in range(8)]
    assert losses[-1] < losses[0]


def test_weight_decay_is_added_to_the_gradient(batch, uncompiled):
    # Plain gradient descent shows it directly: the two steps differ by rate * decay * weight.
    moved = []
    for decay in (0.0, 0.1):
        keras.utils.set_random_seed(0)
        model = UML(QUICK, 2, 3, (SIZE, SIZE))
        kernel = model.training_model.get_layer("class_logits").kernel
        before = kernel.numpy()
        TrainStep(model, keras.optimizers.SGD(0.5), LossSpec(), StepSpec(decay), None)(batch, 0)
        moved.append(kernel.numpy() - before)
    np.testing.assert_allclose(moved[1] - moved[0], -0.5 * 0.1 * before, atol=1e-5)


def _moves(batch, *rates):
    """The names of all trained variables, and how far one step moves each."""
    keras.utils.set_random_seed(0)
    model = UML(QUICK, 2, 3, (SIZE, SIZE))
    variables = model.training_model.trainable_variables
    before = [variable.numpy() for variable in variables]
    shares = encoder_rates(model, *rates)
    TrainStep(model, keras.optimizers.Adam(1e-3), LossSpec(), StepSpec(), None, rates=shares)(batch, 0)
    return shares, [variable.numpy() - old for variable, old in zip(variables, before, strict=True)]


def test_encoders_move_by_their_share_of_the_rate(batch, uncompiled):
    _, whole = _moves(batch, 1.0)
    shares, part = _moves(batch, 0.4, 0.5)
    assert set(shares) == {0.05, 0.1, 0.2, 0.4, 1.0}
    for share, found, expected in zip(shares, part, whole, strict=True):
        np.testing.assert_allclose(found, share * expected, atol=1e-6)
    assert max(np.abs(move).max() for move in whole) > 5e-4


def test_the_rate_of_a_stage_falls_towards_the_image():
    """The stage of each variable is told by the features that change with it, not by the graph."""
    model = UML(QUICK, 2, 3, (SIZE, SIZE))
    shares = encoder_rates(model, 0.4, 0.5)
    encoder = model.training_model.get_layer("segmentation_encoder")
    own = {id(v) for v in encoder.trainable_variables}
    image = np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)).astype(np.float32)
    features = [feature.numpy() for feature in encoder(image)]
    kernels = [v for v in encoder.trainable_variables if v.path.endswith("kernel")]
    rate_of = {id(v): s for v, s in zip(model.training_model.trainable_variables, shares, strict=True)}
    assert {s for v, s in rate_of.items() if v not in own} == {1.0}
    for kernel in kernels[::4]:
        before = kernel.numpy()
        kernel.assign(before * 2 + 0.1)
        changed = [not np.array_equal(a, b.numpy()) for a, b in zip(features, encoder(image), strict=True)]
        kernel.assign(before)
        assert changed == sorted(changed)
        assert rate_of[id(kernel)] == pytest.approx(0.4 * 0.5 ** (sum(changed) - 1))


def test_frozen_norms_keep_scale_and_statistics(phantoms):
    config = TrainingConfig(**QUICK_CONFIG, epochs=1, averaging=0.0, frozen_norms=True).resolved()
    splits = {name: load_examples(phantoms, name, (SIZE, SIZE)) for name in ("train", "val")}
    loop = build_loop(config, phantoms, splits, SILENT, Cluster.alone())
    encoder = loop.step.model.training_model.get_layer("segmentation_encoder")
    norms = [v for v in encoder.variables if "moving" in v.path or "gamma" in v.path or "beta" in v.path]
    others = [v for v in encoder.trainable_variables if "kernel" in v.path]
    before = [[v.numpy() for v in part] for part in (norms, others)]
    loop.run()
    assert len(norms) > 20
    for variable, old in zip(norms, before[0], strict=True):
        np.testing.assert_array_equal(variable, old)
    assert any(np.abs(v.numpy() - old).max() > 0 for v, old in zip(others, before[1], strict=True))


def test_average_follows_the_weights_and_restores_them():
    model = UML(QUICK, 2, 3, (SIZE, SIZE))
    average = WeightAverage(model.variables, 0.5)
    variable = model.trainable_variables[0]
    start = variable.numpy()
    variable.assign(start + 1)
    average.update()
    with average.applied():
        # The first rate is 1 - min(0.5, 2 / 11).
        np.testing.assert_allclose(variable, start + 9 / 11, rtol=1e-5)
    np.testing.assert_allclose(variable, start + 1)


def test_the_largest_seed_trains(phantoms):
    config = TrainingConfig(seed=LARGEST_SEED, epochs=1, **QUICK_CONFIG).resolved()
    splits = {name: load_examples(phantoms, name, (SIZE, SIZE)) for name in ("train", "val")}
    assert len(build_loop(config, phantoms, splits, SILENT, Cluster.alone()).run()) == 1


def _loop(phantoms, config, step):
    splits = [load_examples(phantoms, name, (SIZE, SIZE)) for name in ("train", "val")]
    return Loop(config.resolved(), step, KerasPredictor(step.model), *splits, augmentation=None)


def test_patience_stops_a_training_that_does_not_improve(phantoms):
    config = TrainingConfig(epochs=6, patience=2, learning_rate=1e-12)
    step = _step(config, QUICK)
    for layer in step.model.training_model._flatten_layers():
        if hasattr(layer, "momentum"):
            layer.momentum = 1.0  # so that nothing at all changes
    reports = _loop(phantoms, config, step).run()
    assert len(reports) == 3


def test_the_last_epoch_that_is_as_good_as_the_best_is_kept(phantoms):
    config = TrainingConfig(epochs=4)
    step = _step(config, QUICK)
    loop = _loop(phantoms, config, step)
    kept = []
    loop.listener = Listener(epoch=lambda report: kept.append(step.model.get_weights()))
    reports = loop.run()
    scores = [report.score for report in reports]
    raw = [report.validation.score for report in reports]
    np.testing.assert_allclose(scores, [np.mean(raw[max(0, i - 2) : i + 1]) for i in range(4)])
    choice = loop.progress.choice
    assert choice.best_epoch == int(np.argmax(scores))
    assert len(choice.recent) == 3
    influence = np.array([score.influence for score in choice.recent])
    assert influence.shape == (3, len({row.subject for row in loop.val.rows}))
    assert np.abs(influence).max() > 0
    assert all(report.validation.influence == () for report in reports)
    last = [r.epoch for r in reports if r.is_kept][-1]
    assert last >= choice.best_epoch
    for found, expected in zip(step.model.get_weights(), kept[last], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_loss_that_is_not_finite_ends_in_one_line(phantoms):
    config = TrainingConfig(epochs=1)
    step = _step(config, QUICK)
    kernel = step.model.training_model.get_layer("class_logits").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    loop = _loop(phantoms, config, step)
    loop.listener = Listener()
    with pytest.raises(UmlError, match="the loss is nan at epoch 1, step 1"):
        loop.run()


def test_masked_statistics_reach_the_norms_of_the_mask_alone(batch, uncompiled):
    found, weights = [], None
    for masked in (True, False):
        step = _step(TrainingConfig(learning_rate=1e-9), masked_statistics=masked)
        weights = step.model.get_weights() if weights is None else weights
        step.model.set_weights(weights)
        step(batch, 0)
        layers = step.model.training_model._flatten_layers()
        norms = [layer for layer in layers if isinstance(layer, BatchNormalization)]
        found.append({norm.path: (norm.of_mask, norm.moving_mean.numpy()) for norm in norms})
    encoders = [path for path in found[0] if path.startswith("block")]
    assert encoders
    for path in encoders:
        np.testing.assert_allclose(found[0][path][1], found[1][path][1], atol=1e-6)
    of_mask = [path for path, (serves_it, _) in found[0].items() if serves_it]
    assert of_mask
    for path in of_mask:
        assert not np.allclose(found[0][path][1], found[1][path][1], atol=1e-6)
