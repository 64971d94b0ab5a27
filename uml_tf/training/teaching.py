"""Masks for images without one, from the moving average of the network that is being trained."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from uml_tf.networks import UML
from uml_tf.runtime.contract import head_opinion
from uml_tf.runtime.regions import UNKNOWN_PIXEL, class_is_known
from uml_tf.training.averaging import WeightAverage
from uml_tf.training.flat import FlatVariables


def vacuity_limits(target: Any, predicted: Any, vacuity: Any, known: Any, spread: float) -> Any:
    """For each class the vacuity up to which its pixels count as known.

    It is the mean plus ``spread`` standard deviations over the pixels that have a true class and are
    predicted right; a class without any gets 0, so that nothing of it is taught. Each class has a limit of
    its own, because a rare class has little evidence everywhere, and a common limit would teach background
    alone.

    Args:
        target: ``(B, H, W)`` true class indices.
        predicted: ``(B, H, W, C)`` one-hot, float.
        vacuity: ``(B, H, W, 1)`` K / S, in (0, 1].
        known: ``(B, H, W)`` whether the true class is known.
        spread: number of standard deviations.

    Returns:
        ``(C,)``, in [0, 1].
    """
    classes = predicted.shape[-1]
    right = predicted * tf.one_hot(tf.cast(target, tf.int32), classes) * tf.cast(known, tf.float32)[..., None]
    count = tf.reduce_sum(right, axis=(0, 1, 2))
    share = right / tf.maximum(count, 1.0)
    mean = tf.reduce_sum(share * vacuity, axis=(0, 1, 2))
    variance = tf.reduce_sum(share * (vacuity - mean) ** 2, axis=(0, 1, 2))
    return tf.where(count > 0, mean + spread * tf.sqrt(variance), 0.0)


class Teacher:
    """Gives the images of a batch that have no mask the pixels that the averaged network holds for sure.

    The classes are those of the mutual head, whose evidence is the gate. The final mask would be the worse
    teacher: on photographs from another camera the navigator, whose skips are gated by the uncertainty, can
    call most of the background a region where the mutual head still finds the right one.
    The averaged network reads the image as it is; the network that is trained reads the same image with
    another style (``uml_tf.data.style``). Pixels whose vacuity is above their class's limit become
    ``UNKNOWN_PIXEL`` and add nothing to the loss.

    Args:
        model: the network that is trained.
        average: its moving average.
        weight: of a taught image against one with a mask, at most 1.
        start: number of steps before which nothing is taught.
        ramp: number of further steps over which the weight rises from 0.
        spread: see ``vacuity_limits``.

    Source: mean teacher (Tarvainen and Valpola, NeurIPS 2017) with the weak and the strong view of FixMatch
        (Sohn et al., NeurIPS 2020), and vacuity in place of its confidence.
    """

    def __init__(
        self, model: UML, average: WeightAverage, weight: float, start: int, ramp: int, spread: float
    ) -> None:
        self._network = UML.from_config(model.get_config())
        self._average = average
        # The variables of the same order, without the states of dropout; see WeightAverage.
        floating = [v for v in self._network.variables if v.value.dtype.is_floating]
        self._variables = FlatVariables(floating)
        self._weight, self._start, self._ramp, self._spread = weight, start, max(ramp, 1), spread

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with ``mask`` and ``has_mask`` filled in, the latter with the weight of taught images.

        Args:
            batch: as ``joint_loss`` takes it, and ``plain`` (B, H, W, 3), the images as the teacher reads
                them.
        """
        self._variables.write(self._average.shadow)
        head = self._network.training_model(batch["plain"], training=False)["mutual_head_1"]
        _, belief, vacuity = head_opinion(head, self._network.spec.ablation.evidential, keras.ops)
        classes = belief.shape[-1]
        predicted = tf.argmax(belief, axis=-1, output_type=tf.int32)
        one_hot = tf.one_hot(predicted, classes)
        has_mask = tf.cast(batch["has_mask"], tf.float32)
        mask = tf.cast(batch["mask"], tf.int32)
        known = class_is_known(mask) & (has_mask > 0)[:, None, None]
        limits = vacuity_limits(mask, one_hot, vacuity, known, self._spread)
        sure = vacuity[..., 0] <= tf.reduce_sum(one_hot * limits, axis=-1)
        taught = tf.where(sure & (mask != UNKNOWN_PIXEL), predicted, UNKNOWN_PIXEL)  # never in padding
        own = has_mask > 0
        progress = (self._average.steps - self._start) / self._ramp
        weight = self._weight * tf.clip_by_value(progress, 0.0, 1.0)
        return {
            **batch,
            "mask": tf.where(own[:, None, None], mask, taught),
            "has_mask": tf.where(own, has_mask, weight),
        }
