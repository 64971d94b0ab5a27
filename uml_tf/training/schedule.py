"""The learning rate schedule of the published training: constant, then polynomial decay to a floor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import ops

POWER = 0.9
FLOOR = 0.1


@dataclass(frozen=True)
class ScheduleSpec:
    """The parameters of a schedule.

    Attributes:
        base: full learning rate.
        steps_per_epoch: optimizer steps of an epoch.
        epochs: total number of epochs.
        hold_epochs: epochs at the full rate.
        warmup_epochs: epochs of linear rise, counted within the held ones.
    """

    base: float
    steps_per_epoch: int
    epochs: int
    hold_epochs: int
    warmup_epochs: int = 0


@keras.saving.register_keras_serializable(package="uml_tf")
class HoldThenPolynomial(keras.optimizers.schedules.LearningRateSchedule):
    """base until ``hold_epochs``, then base (1 - n / (N + 1))^0.9, never below base / 10.

    n counts the steps after the hold from 1 and N is their number; with base 1e-4 and 100 epochs of which
    30 are held this is the published schedule number for number.

    Args:
        spec: the schedule (or its fields as a dict).
    """

    def __init__(self, spec: ScheduleSpec | dict[str, Any]) -> None:
        super().__init__()
        self.spec = ScheduleSpec(**spec) if isinstance(spec, dict) else spec

    def __call__(self, step: Any) -> Any:
        """The rate of an optimizer step, counted from 0."""
        spec = self.spec
        step = ops.cast(step, "float32")
        decaying = (spec.epochs - spec.hold_epochs) * spec.steps_per_epoch + 1
        after = step - spec.hold_epochs * spec.steps_per_epoch + 1.0
        progress = ops.clip(after / decaying, 0.0, 1.0)
        rate = spec.base * ops.power(1.0 - progress, POWER)
        rate = ops.where(after <= 0, spec.base, ops.maximum(rate, spec.base * FLOOR))
        warmup = spec.warmup_epochs * spec.steps_per_epoch
        return rate * ops.minimum((step + 1.0) / warmup, 1.0) if warmup else rate

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor, as Keras saves them."""
        return {"spec": asdict(self.spec)}
