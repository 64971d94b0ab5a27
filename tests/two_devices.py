"""Run by test_distributed.py in a process of its own: compares parts of a step on two devices with one."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_steps import steps

from uml_tf.losses import LossSpec, joint_loss
from uml_tf.losses.replicas import InOneSum, replica_count, sum_over_replicas
from uml_tf.networks.counted_images import statistics_of
from uml_tf.networks.dropout import Dropout, SpatialDropout2D
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.runtime.errors import UmlError
from uml_tf.training.build import build_loop
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import TrainingConfig

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
TWO = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
RNG = np.random.default_rng(0)


def on(strategy, function, *arrays):
    """Runs a function of rows on the devices of a strategy; returns the results, stacked over the devices."""
    devices = strategy.num_replicas_in_sync

    def parts(array):
        return lambda context: tf.constant(np.split(array, devices)[context.replica_id_in_sync_group])

    values = [strategy.experimental_distribute_values_from_function(parts(array)) for array in arrays]
    results = tf.function(lambda *v: strategy.run(function, args=v))(*values)
    return [
        np.stack([part.numpy() for part in strategy.experimental_local_results(result)]) for result in results
    ]


def norm(strategy, counted=None):
    """(outputs, gradients of the input and of gamma, moving statistics) of a layer in training."""
    x = RNG.normal(50, 2, (8, 5, 6, 3)).astype(np.float32)
    weight = RNG.normal(size=x.shape).astype(np.float32)
    with strategy.scope():
        layer = BatchNormalization(of_mask=True, momentum=0.9)
        layer.build(x.shape)

    def step(x, weight, *counted):
        with tf.GradientTape() as tape:
            tape.watch(x)
            with statistics_of(*counted or (None,)):
                output = layer(x, training=True)
            loss = sum_over_replicas(tf.reduce_sum(tf.square(output) * weight)) / replica_count()
        by_input, by_gamma = tape.gradient(loss, [x, layer.gamma.value])
        return output, by_input, sum_over_replicas(by_gamma)

    arrays = (x, weight) if counted is None else (x, weight, np.array(counted, np.float32))
    output, by_input, by_gamma = on(strategy, step, *arrays)
    moving = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    return output.reshape(x.shape), by_input.reshape(x.shape), by_gamma[0], *moving


def norm_of_some(strategy):
    """More images count on one device than on the other."""
    return norm(strategy, [1, 1, 0, 1, 0, 0, 1, 0])


def norm_of_one_device(strategy):
    """Images count on one device alone."""
    return norm(strategy, [0, 0, 0, 0, 0, 1, 1, 1])


def norm_of_none(strategy):
    return norm(strategy, [0] * 8)


def dropout(strategy):
    x = np.ones((8, 4, 4, 16), np.float32)
    with strategy.scope():
        layers = SpatialDropout2D(0.5, seed=3), Dropout(0.5, seed=4)
    spatial, plain = on(
        strategy, lambda x: (layers[0](x, training=True), layers[1](x[:, 0, 0], training=True)), x
    )
    return spatial.reshape(x.shape), plain.reshape(8, 16)


def loss_by_parts(strategy):
    """The joint loss with a sum over the devices in each of its parts."""
    return loss(strategy, joint_loss)


def loss(strategy, function=None):
    """(terms, gradients with respect to the outputs) of the joint loss, with one sum for all of its parts."""
    function = function or InOneSum(joint_loss, lambda part: part)
    rng = np.random.default_rng(1)
    shapes = {
        "class_head": (8, 2),
        "mutual_head_1": (8, 6, 6, 3),
        "segmentation_logits_1": (8, 6, 6, 3),
    }
    arrays = [1 + rng.gamma(2, 2, shape).astype(np.float32) for shape in shapes.values()]
    batch = {
        "label": np.array([0, 1, 1, -1, 0, -1, -1, -1], np.int32),
        "mask": rng.integers(0, 3, (8, 6, 6)).astype(np.uint8),
        "has_mask": np.array([1, 0, 0, 0, 1, 1, 1, 0], np.float32),
    }

    def step(*values):
        outputs, rest = values[:3], dict(zip(batch, values[3:], strict=True))
        with tf.GradientTape() as tape:
            tape.watch(outputs)
            terms = function(dict(zip(shapes, outputs, strict=True)), rest, 20.0, LossSpec(skip_absent=True))
            total = terms["total"] / replica_count()
        return (*terms.values(), *tape.gradient(total, outputs))

    *terms, a, b, c = on(strategy, step, *arrays, *batch.values())
    gradients = (g.reshape(s) for g, s in zip((a, b, c), shapes.values(), strict=True))
    return *(term[0] for term in terms), *gradients


def compare_steps():
    losses, values = steps(Cluster.alone())
    found, copies = steps(Cluster(TWO))
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    for (one,), (first, second) in zip(values, copies, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(first, one, rtol=1e-4, atol=1e-6)
    print("steps equal")
    found, copies = steps(Cluster(TWO), "device")
    assert np.abs(np.divide(found, losses) - 1).max() > 1e-3
    for first, second in copies:
        np.testing.assert_array_equal(first, second)
    print("devices agree")


def main():
    parts = (norm, norm_of_some, norm_of_one_device, norm_of_none, dropout, loss_by_parts, loss)
    for part in parts:
        results = []
        for strategy in (tf.distribute.get_strategy(), TWO):
            global RNG
            RNG = np.random.default_rng(0)
            keras.utils.set_random_seed(0)
            results.append(part(strategy))
        for one, two in zip(*results, strict=True):
            np.testing.assert_allclose(two, one, rtol=2e-4, atol=1e-5, err_msg=part.__name__)
        print(part.__name__, "equal")
    compare_steps()
    cluster = Cluster(TWO)
    batches = tf.data.Dataset.from_tensors({"image": tf.reshape(tf.range(8.0), (8, 1))})
    (batch,) = cluster.spread(batches)
    assert [v.numpy().ravel().tolist() for v in TWO.experimental_local_results(batch["image"])] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
    ]
    print("spread equal")
    for config, line in (
        (TrainingConfig(batch_size=7), "batch_size: found 7, expected a multiple of the 2 devices"),
        (TrainingConfig(jit=True), "jit: found 2 devices, expected one"),
    ):
        with pytest.raises(UmlError, match=line):
            build_loop(config, None, {}, None, cluster)
    print("limits reported")


main()
