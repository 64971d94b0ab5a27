"""Small networks to export: random, with a card, as training would leave one."""

from __future__ import annotations

import keras
import numpy as np

from uml_tf.networks import UML, preset, without
from uml_tf.runtime.gradability import fit_gradability
from uml_tf.runtime.model_card import ModelCard

SIZE = (64, 64)


def random_images(count, seed=0):
    """From black to white, from flat to noise."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 255, (count, 1, 1, 3)) + rng.normal(0, 1, (count, *SIZE, 3)) * rng.uniform(
        0, 90, (count, 1, 1, 1)
    )
    images[0], images[-1] = 0, 255
    return np.clip(images, 0, 255).astype(np.float32)


def random_network(seed, image_classes=2, pixel_classes=3, *parts_off):
    """An edge network whose weights, the moving statistics of batch norm among them, are random."""
    keras.utils.set_random_seed(seed)
    model = UML(without(preset("edge"), *parts_off), image_classes, pixel_classes, SIZE)
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "moving_variance" in variable.path:
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif "moving_mean" in variable.path or "beta" in variable.path or "gamma" in variable.path:
            variable.assign(variable.numpy() + rng.normal(0, 0.2, variable.shape))
    images = random_images(20, seed)
    model.card = ModelCard(
        image_classes=tuple(f"class {i}" for i in range(image_classes)),
        pixel_classes=("background", *(f"region {i}" for i in range(1, pixel_classes))),
        refer_above=0.5,
        gradability=fit_gradability(images[:10], images[10:]),
        run_id="0" * 32,
        dataset="random",
    )
    return model
