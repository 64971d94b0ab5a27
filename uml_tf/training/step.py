"""The compiled training step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal, cast

import keras
import tensorflow as tf

from uml_tf.losses import LossSpec, joint_loss
from uml_tf.losses.replicas import InOneSum, replica_count, sum_over_replicas
from uml_tf.networks import UML
from uml_tf.networks.counted_images import statistics_of
from uml_tf.networks.moving_statistics import gathered_moves
from uml_tf.training.averaging import WeightAverage
from uml_tf.training.distillation import TeacherNetworks
from uml_tf.training.flat import FlatVariables, carry_out_together, joined
from uml_tf.training.graph_optimizer import graphs_as_traced
from uml_tf.training.teaching import Teacher

_LOSS_KEYS = ("label", "mask", "has_mask", "ratio", "taught_class", "taught_mask", "destroyed")


def _fused(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one kernel by XLA, for chains of small operations on large arrays."""
    return cast(Callable[..., Any], tf.function(function, jit_compile=True, autograph=False))


def _unchanged(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


def _mean_over_replicas(values: Any) -> Any:
    return sum_over_replicas(values) / replica_count()


@dataclass(frozen=True)
class StepSpec:
    """Regularisation and compilation of a step.

    Attributes:
        weight_decay: L2 decay, added to the gradient of every trained weight (not decoupled).
        gradient_clip: largest global norm, or None.
        jit: compile with XLA.
        masked_statistics: norms on the mask's way take their statistics from the images that have a mask; see
            ``uml_tf.networks.counted_images``.
        batch_norm: where several devices share a batch, norms take their statistics from all of it ("global")
            or each from the images of its own device ("device").
    """

    weight_decay: float = 1e-5
    gradient_clip: float | None = None
    jit: bool = False
    masked_statistics: bool = False
    batch_norm: Literal["global", "device"] = "global"


class TrainStep:
    """One optimizer step on one batch.

    Args:
        model: the network; its weights are trained in place.
        optimizer: not built yet; it is built here on one vector of all trained weights.
        loss: the joint loss.
        spec: decay, clipping, XLA.
        average: moving average to update, or None.
        strategy: TensorFlow's distribution strategy of the devices that share every batch; None for one
            device. Model, optimizer and average must be made in its scope.
        rates: for each trained variable its share of the learning rate; None for the whole rate.
        teacher: gives masks to images without one, or None.
        teachers: trained networks that this one learns from, or None.
    """

    def __init__(
        self,
        model: UML,
        optimizer: keras.optimizers.Optimizer,
        loss: LossSpec,
        spec: StepSpec,
        average: WeightAverage | None,
        strategy: tf.distribute.Strategy | None = None,
        rates: Sequence[float] | None = None,
        teacher: Teacher | None = None,
        teachers: TeacherNetworks | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.spec = spec
        self.average = average
        self.teacher = teacher
        self._of_device = spec.batch_norm == "device"
        self.teachers = teachers
        self._has_loss_scale = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        self.strategy = strategy or tf.distribute.get_strategy()
        self.variables = model.training_model.trainable_variables
        self._trained = FlatVariables(self.variables)
        self._rates = self._trained.spread(rates) if rates is not None and set(rates) != {1.0} else None
        self._vector = keras.Variable(tf.zeros(self._trained.size), name="trained_weights")
        optimizer.build([self._vector])
        # Without AutoGraph, which writes temporary files, and warns where the disk is full.
        self._compiled = tf.function(
            self._on_replicas, jit_compile=spec.jit, reduce_retracing=True, autograph=False
        )
        alone = self.strategy.num_replicas_in_sync == 1
        has_gpu = bool(tf.config.list_logical_devices("GPU"))
        # Grappler chooses the layout of features for GPUs, and joins the sums of several devices.
        self._graphs = graphs_as_traced if alone and not has_gpu else nullcontext
        # On GPUs XLA needs tools that may be missing.
        fuse = not spec.jit and not has_gpu
        compiled = _fused if fuse else _unchanged
        self._loss_terms = compiled(self._joint_loss) if alone else InOneSum(self._joint_loss, compiled)
        # XLA cannot compile sums over replicas, and the loss scale of float16 skips steps by conditions.
        fuse &= alone and not self._has_loss_scale
        self._moved = _fused(self._optimized) if fuse else self._optimized

    def __call__(self, batch: dict[str, tf.Tensor], epoch: int) -> dict[str, tf.Tensor]:
        """Trains on a batch; returns its loss terms as scalars ("cls", "seg", "mut", "total")."""
        with self._graphs():
            return self._compiled(batch, tf.constant(float(epoch)))

    def _on_replicas(self, batch: dict[str, Any], epoch: Any) -> dict[str, Any]:
        terms = self.strategy.run(self._step, args=(batch, epoch))
        return {name: self.strategy.experimental_local_results(value)[0] for name, value in terms.items()}

    def gradients(self, batch: dict[str, Any], epoch: Any) -> tuple[list[Any], dict[str, Any]]:
        """The gradients of the whole batch's loss, without decay, and the loss terms.

        On several replicas each returns its part of the gradients; the gradients are the sum of the parts.
        """
        with tf.GradientTape() as tape:
            outputs = self._outputs(batch["image"])
            terms = self._loss_terms(
                outputs, {name: batch[name] for name in _LOSS_KEYS if name in batch}, epoch
            )
            # Every replica computes the loss of all images; divided, the gradients sum to those of one loss.
            total = self._scaled(terms["total"] / replica_count())
        return tape.gradient(total, self.variables), terms

    def _outputs(self, images: Any) -> Any:
        with gathered_moves() as moves:
            outputs = self.model.training_model(images, training=True)
        differ = self._of_device and replica_count() > 1
        carry_out_together(list(moves.values()), _mean_over_replicas if differ else _unchanged)
        return outputs

    def _joint_loss(self, outputs: Any, batch: Any, epoch: Any) -> Any:
        return joint_loss(outputs, batch, epoch, self.loss)

    def _scaled(self, loss: Any) -> Any:
        scale = getattr(self.optimizer, "scale_loss", None)
        return scale(loss) if scale is not None else loss

    def _decayed_and_clipped(self, gradient: Any, weights: Any) -> Any:
        replicas = replica_count()
        # The norm and the overflow of the loss scale must be those of the summed gradient.
        summed = replicas > 1 and (self.spec.gradient_clip or self._has_loss_scale)
        if summed:
            gradient = sum_over_replicas(gradient)
        if self.spec.weight_decay:
            decay = self.spec.weight_decay / (1 if summed else replicas)
            # Scaled like the gradient under float16, since the optimizer divides both by the scale.
            gradient = gradient + self._scaled(decay * weights)
        if self.spec.gradient_clip:
            gradient = tf.clip_by_norm(gradient, self._scaled(tf.constant(self.spec.gradient_clip)))
        # The optimizer sums over the replicas, a second time where the gradient is summed already.
        return gradient / replicas if summed else gradient

    def _optimized(self, gradient: Any, weights: Any) -> Any:
        """The weights after the optimizer's step."""
        self._vector.assign(weights)
        self.optimizer.apply([self._decayed_and_clipped(gradient, weights)], [self._vector])
        return self._updated(weights)

    def _updated(self, weights: Any) -> Any:
        """The weights after the optimizer's step, each moved by its share of the learning rate."""
        if self._rates is None:
            return self._vector.value
        # Adam's step does not depend on the gradient's scale: the rate must act on the step itself.
        return weights + self._rates * (self._vector.value - weights)

    def _step(self, batch: dict[str, Any], epoch: Any) -> dict[str, Any]:
        # Before the teacher gives masks to others.
        counted = tf.cast(batch["has_mask"] > 0, tf.float32) if self.spec.masked_statistics else None
        if self.teacher is not None:
            batch = self.teacher(batch)
        if self.teachers is not None:
            batch = self.teachers(batch)
        with statistics_of(counted, self._of_device):
            gradients, terms = self.gradients(batch, epoch)
        weights = self._trained.read()
        self._trained.write(self._moved(joined(gradients), weights))
        if self.average is not None:
            self.average.update()
        return terms
