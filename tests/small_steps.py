"""Training steps of a very small network, to compare one device with several."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from uml_tf.losses import LossSpec
from uml_tf.networks.normalization import BatchNormalization
from uml_tf.training.step import StepSpec, TrainStep


def _small_network():
    """Two layers with a batch norm that end in the outputs that the loss reads."""
    image = keras.Input((6, 6, 3))
    features = keras.layers.ReLU()(BatchNormalization(momentum=0.9)(keras.layers.Conv2D(4, 1)(image)))
    heads = {
        "class_head": keras.layers.Dense(2, activation="softplus")(features[:, 0, 0]) + 1.0,
        "mutual_head_1": keras.layers.Conv2D(3, 1, activation="softplus")(features) + 1.0,
        "segmentation_logits_1": keras.layers.Conv2D(3, 1)(features),
    }
    return keras.Model(image, heads)


def steps(cluster, batch_norm="global"):
    """The losses of three steps on a cluster's devices, and every local device's variables after them."""
    strategy = cluster.strategy
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(2)
    batch = {
        "image": rng.normal(0, 2, (8, 6, 6, 3)).astype(np.float32) + np.arange(8)[:, None, None, None],
        "label": np.array([0, 1, 1, -1, 0, -1, -1, -1], np.int32),
        "mask": rng.integers(0, 3, (8, 6, 6)).astype(np.uint8),
        "has_mask": np.array([1, 0, 0, 0, 1, 1, 1, 0], np.float32),
    }
    with strategy.scope():
        network = SimpleNamespace(training_model=_small_network())
        sgd = keras.optimizers.SGD(0.1)
        step = TrainStep(
            network, sgd, LossSpec(), StepSpec(batch_norm=batch_norm, masked_statistics=True), None, strategy
        )
    own = {name: np.split(rows, cluster.workers)[cluster.index] for name, rows in batch.items()}
    data = cluster.spread(tf.data.Dataset.from_tensors(own).repeat(3))
    losses = [float(step(part, 0)["total"]) for part in data]
    values = [
        [copy.numpy() for copy in strategy.experimental_local_results(variable.value)]
        for variable in network.training_model.variables
    ]
    return losses, values
