"""The report of an epoch."""

from __future__ import annotations

from dataclasses import dataclass

from uml_tf.training.validation import Validation


@dataclass(frozen=True)
class EpochReport:
    """One finished epoch.

    Attributes:
        epoch: number from 0.
        losses: mean of each loss term over the steps of the epoch.
        validation: the results on the validation split.
        score: the validation score, smoothed over epochs; nan where the split has neither labels nor regions.
        learning_rate: at the end of the epoch.
        seconds: wall time, validation included.
        is_kept: whether its weights are kept so far, see ``uml_tf.training.epoch_choice``.
    """

    epoch: int
    losses: dict[str, float]
    validation: Validation
    score: float
    learning_rate: float
    seconds: float
    is_kept: bool
