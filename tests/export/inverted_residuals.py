"""A small network of inverted residual blocks, whose bottleneck channels can be made uneven."""

from __future__ import annotations

import tempfile

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from keras import layers, ops

from uml_tf.runtime.device_model import SIGNATURE
from uml_tf.runtime.evidence import evidence_from_logits

SIZE = 32
BOTTLENECK = 8


def _block(x, name, residual):
    y = layers.Conv2D(24, 1, activation="relu6", name=f"{name}_expand")(x)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6", name=f"{name}_depthwise")(y)
    y = layers.Conv2D(BOTTLENECK, 1, name=f"{name}_project")(y)
    return layers.Add(name=f"{name}_add")([x, y]) if residual else y


def inverted_residuals(spread=1.0, seed=0):
    """The network's float TFLite file, with names; its outputs are named as in the contract.

    Args:
        spread: the bottleneck's channels are multiplied by factors from 1 to this where they are written, and
            divided by them where they are read: the network computes the same.
        seed: of the weights.
    """
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), batch_size=1, name="image")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu6", name="stem")(x)
    x = layers.Conv2D(BOTTLENECK, 1, name="first_project")(x)
    x = _block(x, "one", True)
    x = _block(x, "two", True)
    x = layers.Conv2D(16, 1, activation="relu6", name="last")(x)
    mask = evidence_from_logits(layers.Conv2D(2, 1, name="mask_logits")(x), ops)
    scores = layers.Dense(3, name="class_logits")(layers.GlobalAveragePooling2D()(x))
    outputs = {}
    for part, evidence in (("class", evidence_from_logits(scores, ops)), ("mask", mask)):
        strength = ops.sum(evidence + 1.0, axis=-1, keepdims=True)
        outputs[f"{part}_probability"] = (evidence + 1.0) / strength
        outputs[f"{part}_uncertainty"] = evidence.shape[-1] / strength
        outputs[f"{part}_belief"] = evidence / strength
    for part in ("class", "mask"):
        outputs[f"{part}_confidence"] = ops.max(outputs[f"{part}_probability"], axis=-1, keepdims=True)
    outputs["familiarity"] = ops.minimum(outputs["class_uncertainty"] + 1.0, 1.0)
    model = keras.Model(image, outputs)
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign(variable.numpy() * 1.6 + rng.normal(0, 0.1, variable.shape))
    factors = np.geomspace(1.0, spread, BOTTLENECK)
    for layer in model.layers:
        if layer.name.endswith("_project"):
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel * factors, bias * factors])
        if layer.name.endswith("_expand") or layer.name == "last":
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel / factors[:, None], bias])
    return _convert(model)


def _convert(model):
    module = tf.Module()
    module.variables_of_model = [variable.value for variable in model.variables]
    spec = tf.TensorSpec((1, SIZE, SIZE, 3), tf.float32, name="image")
    module.run = tf.function(lambda image: model(image, training=False), input_signature=[spec])
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures={SIGNATURE: module.run})
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def samples(count, seed=1):
    """Inputs of the network: smooth pictures with noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (count, 4, 4, 3)).repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2)
    pictures = np.clip(coarse + rng.normal(0, 20, coarse.shape), 0, 255).astype(np.float32)
    return [{"image": picture[None]} for picture in pictures]


def run(data, inputs):
    """The outputs of a file, by name, for all samples."""
    interpreter = Interpreter(model_content=data, num_threads=1)
    runner = interpreter.get_signature_runner(SIGNATURE)
    outputs = [runner(**sample) for sample in inputs]
    return {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}
