"""Networks of other packages, with our layers in place of Keras' where ours train faster."""

from __future__ import annotations

import keras

from uml_tf.networks.normalization import BatchNormalization
from uml_tf.networks.pointwise import Conv2D


def with_fast_layers(model: keras.Model, momentum: float) -> keras.Model:
    """The same functional model with every ``BatchNormalization`` and ``Conv2D`` replaced by ours.

    Weights are kept. The momentum of the moving statistics becomes ``momentum``: with Keras' 0.99 they lag
    behind the weights by more steps than a small data set has in an epoch, and so does the validation.
    """

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        if type(layer) is keras.layers.BatchNormalization:
            return BatchNormalization.from_config({**layer.get_config(), "momentum": momentum})
        if type(layer) is keras.layers.Conv2D:
            return Conv2D.from_config(layer.get_config())
        if isinstance(layer, keras.layers.Lambda):
            return layer  # it has no weights, and Keras refuses to build one from its config
        return type(layer).from_config(layer.get_config())

    clone = keras.models.clone_model(model, clone_function=replace, recursive=True)
    clone.set_weights(model.get_weights())
    return clone
