"""The epochs: train, validate, keep the best, stop early."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.pipeline import Examples, epoch_order, training_batches
from uml_tf.errors import UmlError
from uml_tf.evaluation.answers import Answerer
from uml_tf.losses import TERMS
from uml_tf.training.config import TrainingConfig
from uml_tf.training.report import EpochReport
from uml_tf.training.step import TrainStep
from uml_tf.training.validation import Validation, validate


@dataclass
class Listener:
    """What is told of the progress: ``step(epoch, step, losses)`` and ``epoch(report)``."""

    step: Callable[[int, int, dict[str, float]], None] = lambda epoch, step, losses: None
    epoch: Callable[[EpochReport], None] = lambda report: None


@dataclass
class Loop:
    """Trains until the epochs or the patience end; leaves the best epoch's weights in the model.

    Attributes:
        config: the resolved config.
        step: the compiled step.
        answerer: the compiled model, for validation.
        train, val: the two splits.
        augmentation: or None.
        listener: told of every step and epoch.
    """

    config: TrainingConfig
    step: TrainStep
    answerer: Answerer
    train: Examples
    val: Examples
    augmentation: Augmentation | None
    listener: Listener = field(default_factory=Listener)
    best_score: float = -math.inf
    best_epoch: int = -1
    _best_weights: list[Any] = field(default_factory=list)

    def run(self) -> list[EpochReport]:
        """All epochs' reports, in order."""
        reports: list[EpochReport] = []
        for epoch in range(self.config.epochs):
            reports.append(self._run_epoch(epoch))
            self.listener.epoch(reports[-1])
            patience = self.config.patience
            if patience is not None and epoch - self.best_epoch >= patience:
                break
        self.step.model.set_weights(self._best_weights)
        return reports

    def _run_epoch(self, epoch: int) -> EpochReport:
        start = time.perf_counter()
        losses = self._train_epoch(epoch)
        if self.step.average is None:
            validation, is_best = self._validate(epoch)
        else:
            with self.step.average.applied():
                validation, is_best = self._validate(epoch)
        rate = float(np.asarray(self.step.optimizer.learning_rate))
        return EpochReport(epoch, losses, validation, rate, time.perf_counter() - start, is_best)

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        config = self.config
        order = epoch_order(self.train, config.batch_size, config.seed, epoch, config.masked_share)
        if self.augmentation is not None:
            self.augmentation.start_epoch(epoch)
        totals = dict.fromkeys(TERMS, 0.0)
        stream = training_batches(self.train, order, config.batch_size, self.augmentation)
        for index, batch in enumerate(stream, start=1):
            terms = {name: float(value) for name, value in self.step(batch, epoch).items()}
            if not math.isfinite(terms["total"]):
                raise UmlError(
                    f"training: the loss is {terms['total']} at epoch {epoch + 1}, step {index}; "
                    "try a lower --learning-rate or --precision float32"
                )
            for name, value in terms.items():
                totals[name] += value
            self.listener.step(epoch, index, {name: total / index for name, total in totals.items()})
        return {name: total / index for name, total in totals.items()}

    def _validate(self, epoch: int) -> tuple[Validation, bool]:
        """Scores the weights that the model has now, and keeps them if they are the best."""
        validation = validate(self.answerer, self.val)
        is_best = validation.score > self.best_score or not self._best_weights
        if is_best:
            self.best_score, self.best_epoch = validation.score, epoch
            self._best_weights = self.step.model.get_weights()
        return validation, is_best
