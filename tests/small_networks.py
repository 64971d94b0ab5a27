"""Small networks to export: random, with a card, as training would leave one."""

from __future__ import annotations

import keras
import numpy as np

from uml_tf.networks import UML, preset, without
from uml_tf.runtime.confidence import Confidence
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.trust import Trust
from uml_tf.training.density_fit import fit_density

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
        accept_above=0.6,
        trust=random_trust(model, images),
        run_id="0" * 32,
        dataset="random",
    )
    return model


def quick_network(seed, info):
    """A random network of the preset that is the quickest to build, for the classes of a data set.

    It reads 32 x 32 pixels. What is left of an image behind its many random layers is faint, so its class is
    made to differ from image to image.
    """
    keras.utils.set_random_seed(seed)
    model = UML(preset("unet-edge"), len(info.image_classes), len(info.pixel_classes), (32, 32))
    layer = model.training_model.get_layer("class_logits")
    pooled = keras.Model(model.training_model.input, layer.input)
    features = pooled(np.random.default_rng(0).uniform(0, 255, (16, 32, 32, 3)).astype(np.float32)).numpy()
    logits = features @ layer.kernel.numpy()
    scale = 1 / logits.std(axis=0).mean()
    layer.kernel.assign(layer.kernel * scale)
    layer.bias.assign(-scale * logits.mean(axis=0))
    model.card = ModelCard(info.image_classes, info.pixel_classes, info.unions, dataset=info.name)
    return model


def random_trust(model, images):
    """The density of some images, and numbers for the rest that change every output."""
    heads = model.heads_model()(images)
    vectors = heads["features"].numpy(), heads["sharpness"].numpy()
    parts = [tuple(v[place] for v in vectors) for place in (slice(None, None, 2), slice(1, None, 2))]
    guess = 1 / heads["class_head"].shape[-1]
    of_class = Confidence("largest+vacuity", {"largest": 0.8, "vacuity": 0.4}, 0.3, guess)
    weights = {"largest": 0.7, "vacuity": 0.5, "mutual": 0.2, "surroundings": 0.3}
    if model.spec.fuses_evidence:
        weights["navigator"] = 0.2
    of_mask = Confidence("+".join(weights), weights, 0.1)
    return Trust(fit_density(parts[:1], parts[1]), 1.4, 0.8, of_class, of_mask)


def finding_network(seed, examples):
    """A random network whose mask finds what the masks of some examples of its size show, by a linear fit."""
    model = random_network(seed)
    layer = model.training_model.get_layer("navigator_logits_1")
    features = keras.Model(model.training_model.input, layer.input)(
        examples.images.astype(np.float32)
    ).numpy()
    step = SIZE[0] // features.shape[1]
    shown = (examples.masks[:, ::step, ::step] > 0).ravel()
    weight = np.where(shown, 1 / shown.mean(), 1 / (1 - shown.mean())) ** 0.5
    target = np.where(shown, 1.0, -1.0)
    flat = features.reshape(-1, features.shape[-1]) * weight[:, None]
    fitted = np.linalg.lstsq(flat, target * weight, rcond=None)[0]
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[0, 0, :, 0], kernel[0, 0, :, 1] = -fitted, fitted
    layer.kernel.assign(kernel)
    return model
