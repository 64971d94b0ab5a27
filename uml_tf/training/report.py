"""What an epoch reports."""

from __future__ import annotations

from dataclasses import dataclass

from uml_tf.training.validation import Validation


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch.

    Attributes:
        epoch: number from 0.
        losses: mean of each loss term over the epoch's steps.
        validation: what was reached on the validation split.
        learning_rate: at the epoch's end.
        seconds: wall time, validation included.
        is_best: whether this is the best joint score so far.
    """

    epoch: int
    losses: dict[str, float]
    validation: Validation
    learning_rate: float
    seconds: float
    is_best: bool
