"""The network's heads, and the layers that turn their output into uncertainty and into the contract."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from uml_tf.losses.dirichlet import distribution
from uml_tf.runtime.contract import Heads, contract, head_uncertainty
from uml_tf.runtime.density import SHARPNESS, sharpness
from uml_tf.runtime.evidence import concentration_from_logits
from uml_tf.runtime.trust import NO_TRUST, Trust


class _Float32Layer(keras.layers.Layer):
    """A layer without weights that computes in float32 whatever the precision of the network."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)


@keras.saving.register_keras_serializable(package="uml_tf")
class DirichletHead(_Float32Layer):
    """From logits to the concentration alpha = softplus(z) / lambda + 1 of a Dirichlet over the classes.

    Computes in float32 whatever the precision of the network: digamma does not exist in bfloat16.

    Example:
        >>> head = DirichletHead()
        >>> concentration = head(logits)
        >>> head.distribution(concentration).entropy()

    Args:
        prior_weight: lambda, above 0; see ``uml_tf.runtime.evidence.concentration_from_logits``.
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        logits ``(..., K)``, any real, to concentration ``(..., K)``, at least 1. Evidence, in units of
        lambda, is ``concentration - 1``; see ``uml_tf.runtime.evidence`` for belief and uncertainty.

    Source: UML (MICCAI 2023), section 2.1; Sensoy et al., NeurIPS 2018.
    """

    def __init__(self, prior_weight: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prior_weight = prior_weight

    def call(self, inputs: Any) -> Any:
        return concentration_from_logits(ops.cast(inputs, "float32"), ops, self.prior_weight)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "prior_weight": self.prior_weight}

    @staticmethod
    def distribution(concentration: Any) -> Any:
        """The ``tensorflow_probability.distributions.Dirichlet`` of ``(..., K)`` concentrations."""
        return distribution(concentration)


@keras.saving.register_keras_serializable(package="uml_tf")
class SoftmaxHead(_Float32Layer):
    """The head of the ablation without evidential heads: the logits of a softmax, as float32.

    Loss and contract take the softmax themselves, where it is numerically stable. The output is neither
    evidence nor a concentration.

    Args:
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        input and output ``(..., K)``, any real.
    """

    def call(self, inputs: Any) -> Any:
        return ops.cast(inputs, "float32")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape


def make_head(evidential: bool, name: str, prior_weight: float = 1.0) -> keras.layers.Layer:
    """A ``DirichletHead``, or in the ablation without evidential heads a ``SoftmaxHead``."""
    return DirichletHead(prior_weight, name=name) if evidential else SoftmaxHead(name=name)


@keras.saving.register_keras_serializable(package="uml_tf")
class HeadUncertainty(_Float32Layer):
    """The uncertainty of a head's output: K / S of a concentration; for a softmax head entropy / log K.

    Args:
        evidential: whether the input is a concentration.
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        ``(..., K)`` to ``(..., 1)``, in (0, 1].
    """

    def __init__(self, evidential: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.evidential = evidential

    def call(self, inputs: Any) -> Any:
        return head_uncertainty(inputs, self.evidential, xp=ops)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "evidential": self.evidential}


@keras.saving.register_keras_serializable(package="uml_tf")
class Contract(_Float32Layer):
    """The outputs that every model returns, from the heads' outputs; see ``uml_tf.runtime.contract``.

    Args:
        evidential: whether the class head and the mutual head are Dirichlet heads.
        evidential_mask: whether the head that draws the mask is one.
        trust: what was fitted (a ``Trust`` or its ``to_dict()``); constants of the graph.
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        The fields of ``uml_tf.runtime.contract.Heads``, in a list, to the names of ``CONTRACT``.
    """

    def __init__(
        self,
        evidential: bool,
        evidential_mask: bool,
        trust: Trust | dict[str, Any] = NO_TRUST,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.evidential = evidential
        self.evidential_mask = evidential_mask
        self.trust = Trust.from_dict(trust) if isinstance(trust, dict) else trust

    def call(self, inputs: list[Any]) -> dict[str, Any]:
        return contract(Heads(*inputs), self.evidential, self.evidential_mask, self.trust, xp=ops)

    def get_config(self) -> dict[str, Any]:
        own = {"evidential": self.evidential, "evidential_mask": self.evidential_mask}
        return {**super().get_config(), **own, "trust": self.trust.to_dict()}


@keras.saving.register_keras_serializable(package="uml_tf")
class FeatureMeans(_Float32Layer):
    """Global means of some feature maps, joined: what the density of the training images is over.

    Args:
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        a list of ``(B, h, w, D)`` to ``(B, sum of D)``.
    """

    def call(self, inputs: list[Any]) -> Any:
        return ops.concatenate([ops.mean(feature, axis=(1, 2)) for feature in inputs], axis=-1)


@keras.saving.register_keras_serializable(package="uml_tf")
class Sharpness(_Float32Layer):
    """The sharpness terms of an image, see ``uml_tf.runtime.density.sharpness``.

    Args:
        **kwargs: passed to ``keras.layers.Layer``.

    Shapes:
        ``(B, H, W, 3)`` in [0, 255] to ``(B, 4)``.
    """

    def call(self, inputs: Any) -> Any:
        return sharpness(inputs, ops)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], SHARPNESS)
