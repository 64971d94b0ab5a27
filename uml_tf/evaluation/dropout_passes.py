"""Monte Carlo dropout (Gal and Ghahramani, ICML 2016): several passes of a network, its dropout active."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.mean_model import MeanModel
from uml_tf.networks.dropout import ActiveDropout
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.prediction import Model
from uml_tf.runtime.predictor import Outputs
from uml_tf.runtime.two_pass import TwoPass


def with_passes(model: Model, passes: int, seed: int = 0, asked_by: str = "--passes") -> MeanModel:
    """The mean of several passes with dropout; batch norms stay as in inference.

    Args:
        model: a network; of one with a locator, the network's dropout alone is active.
        passes: at least 2.
        seed: of what is dropped; equal seeds give equal answers for equal images in equal order.
        asked_by: the option or field that asks for the passes, for messages.

    Raises:
        UmlError: it is an exported file, or the network has no dropout.
    """
    network = model.network if isinstance(model, TwoPass) else model
    if not isinstance(network, KerasPredictor):
        raise UmlError(
            f"{asked_by}: found an exported file, expected a network (.keras): a file has no dropout"
        )
    # A predictor of its own, because dropout is active in a graph from the moment that it is traced.
    predictor = KerasPredictor(network.model, network.batch_size)
    active = ActiveDropout(seed)

    def one_pass(images: NDArray[Any]) -> Outputs:
        with active:
            return predictor(images)

    one_pass(np.zeros((1, *network.image_size, 3), np.float32))
    if not active.layers:
        raise UmlError(
            f"{asked_by}: network '{network.model.name}' has no dropout, so that all passes would be equal; "
            "expected a network that was built with dropout"
        )
    active.restart()
    return MeanModel(model, [one_pass] * passes, way=f"passes, seed {seed}")
