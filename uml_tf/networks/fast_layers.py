"""Networks of other packages, with our layers in place of Keras' where ours train faster."""

from __future__ import annotations

import copy

import keras

from uml_tf.networks.normalization import BatchNormalization
from uml_tf.networks.pointwise import Conv2D


def _counterpart(layer: keras.layers.Layer, momentum: float) -> keras.layers.Layer:
    """A layer as this one, of our class where there is one, not built."""
    config = layer.get_config()
    if type(layer) is keras.layers.BatchNormalization:
        return BatchNormalization.from_config({**config, "momentum": momentum})
    return (Conv2D if type(layer) is keras.layers.Conv2D else type(layer)).from_config(config)


def _become(layer: keras.layers.Layer, other: keras.layers.Layer) -> None:
    """Makes a built layer one of the other's class, which differs from its own by its call alone."""
    layer.__class__ = type(other)
    # What Keras notes of a call's arguments when a layer is made, whether there is `training` among them.
    noted = {name: value for name, value in vars(other).items() if name.lstrip("_").startswith("call_")}
    vars(layer).update(copy.deepcopy(noted))


def with_fast_layers(model: keras.Model, momentum: float) -> keras.Model:
    """The functional model itself, with every ``BatchNormalization`` and ``Conv2D`` made one of ours.

    Weights and names stay. The momentum of the moving statistics becomes ``momentum``: with Keras' 0.99 they
    lag behind the weights by more steps than a small data set has in an epoch, and so does the validation.
    A clone of the model with other layers would take as long as to build it a second time.
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            with_fast_layers(layer, momentum)
        # Keras refuses to build a Lambda from its config.
        elif not isinstance(layer, (keras.layers.InputLayer, keras.layers.Lambda)):
            # Made for each layer, as a clone was: initializers draw their seeds when they are made, and a
            # seed is to give the weights that it has always given.
            other = _counterpart(layer, momentum)
            if type(other) is BatchNormalization:
                layer.momentum, layer.of_mask = other.momentum, other.of_mask
            if type(other) is not type(layer):
                _become(layer, other)
    return model
