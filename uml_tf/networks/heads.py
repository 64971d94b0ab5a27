"""The evidential head, and the contract's answer made from its evidence."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.runtime.evidence import evidence_from_logits


@keras.saving.register_keras_serializable(package="uml_tf")
class DirichletHead(keras.layers.Layer):
    """From logits to the concentration alpha = softplus(z) + 1 of a Dirichlet over the classes.

    Computes in float32 whatever the precision of the network: digamma does not exist in bfloat16.

    Example:
        >>> head = DirichletHead()
        >>> concentration = head(logits)
        >>> head.distribution(concentration).entropy()

    Args:
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        logits ``(..., K)``, any real, to concentration ``(..., K)``, at least 1. Evidence e is
        ``concentration - 1``; see ``uml_tf.runtime.evidence`` for belief and uncertainty.

    Source: UML (MICCAI 2023), section 2.1; Sensoy et al., NeurIPS 2018.
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def evidence(self, logits: Any) -> Any:
        """Evidence ``(..., K)`` in [0, inf), for a place that needs it without the + 1."""
        return evidence_from_logits(ops.cast(logits, "float32"), xp=ops)

    def call(self, inputs: Any) -> Any:
        return self.evidence(inputs) + 1.0

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    @staticmethod
    def distribution(concentration: Any) -> Any:
        """The ``tfp.distributions.Dirichlet`` of a concentration: mean, entropy, KL and the rest."""
        from uml_tf.losses.dirichlet import distribution

        return distribution(concentration)
