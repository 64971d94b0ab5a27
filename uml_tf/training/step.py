"""The compiled training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from uml_tf.losses import LossSpec, joint_loss
from uml_tf.networks import UML
from uml_tf.training.averaging import WeightAverage


@dataclass(frozen=True)
class StepSpec:
    """What a step does besides the loss.

    Attributes:
        weight_decay: L2 decay, added to the gradient of every trained weight (not decoupled).
        gradient_clip: largest global norm, or None.
        jit: compile with XLA.
    """

    weight_decay: float = 1e-5
    gradient_clip: float | None = None
    jit: bool = False


class TrainStep:
    """One optimizer step on one batch.

    Args:
        model: the network; its weights are trained in place.
        optimizer: built here, on the model's trained weights.
        loss: the joint loss.
        spec: decay, clipping, XLA.
        average: moving average to update, or None.
    """

    def __init__(
        self,
        model: UML,
        optimizer: keras.optimizers.Optimizer,
        loss: LossSpec,
        spec: StepSpec,
        average: WeightAverage | None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.spec = spec
        self.average = average
        self.variables = model.training_model.trainable_variables
        optimizer.build(self.variables)
        self._compiled = tf.function(self._step, jit_compile=spec.jit, reduce_retracing=True)

    def __call__(self, batch: dict[str, tf.Tensor], epoch: int) -> dict[str, tf.Tensor]:
        """Trains on a batch; answers the loss terms as scalars ("cls", "seg", "mut", "total")."""
        return self._compiled(batch, tf.constant(float(epoch)))

    def gradients(self, batch: dict[str, Any], epoch: Any) -> tuple[list[Any], dict[str, Any]]:
        """The gradients of the total loss, without decay, and the loss terms."""
        with tf.GradientTape() as tape:
            outputs = self.model.training_model(batch["image"], training=True)
            terms = joint_loss(outputs, batch, epoch, self.loss)
            total = self._scaled(terms["total"])
        return tape.gradient(total, self.variables), terms

    def _scaled(self, loss: Any) -> Any:
        scale = getattr(self.optimizer, "scale_loss", None)
        return scale(loss) if scale is not None else loss

    def _step(self, batch: dict[str, Any], epoch: Any) -> dict[str, Any]:
        gradients, terms = self.gradients(batch, epoch)
        if self.spec.weight_decay:
            gradients = [
                # Of the scaled gradient under float16, so that the decay is unscaled with it.
                g + self._scaled(self.spec.weight_decay * tf.cast(v, g.dtype))
                for g, v in zip(gradients, self.variables, strict=True)
            ]
        if self.spec.gradient_clip:
            limit = self._scaled(tf.constant(self.spec.gradient_clip))
            gradients, _ = tf.clip_by_global_norm(gradients, limit)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        if self.average is not None:
            self.average.update()
        return terms
