"""The epochs: train, validate, keep the best, stop early, go on after a stop."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.pipeline import Examples, epoch_order, training_batches
from uml_tf.data.share import WHOLE, Share
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.runtime.errors import UmlError
from uml_tf.training.checkpoint import Progress, load_checkpoint, read_checkpoint, save_checkpoint
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import TrainingConfig
from uml_tf.training.interruption import StoppedError
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
        augmentation: or None; with the cluster's share.
        cluster: the devices that share every batch.
        share: this worker's part of it.
        listener: told of every step and epoch.
        checkpoint: where the state is kept after every epoch, or None; of the chief alone.
        stop: set by whoever wants the training to stop after the step that goes on.
        progress: how far the training is.
    """

    config: TrainingConfig
    step: TrainStep
    answerer: KerasPredictor
    train: Examples
    val: Examples
    augmentation: Augmentation | None
    cluster: Cluster = field(default_factory=Cluster.alone)
    share: Share = WHOLE
    listener: Listener = field(default_factory=Listener)
    checkpoint: Path | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    progress: Progress = field(default_factory=Progress)

    def restore(self, path: Path) -> None:
        """Goes back to where the chief's checkpoint was written, on however many workers.

        Raises:
            UmlError: it cannot be read, or it does not fit.
        """
        content = self.cluster.from_chief(lambda: read_checkpoint(path))
        self.progress = load_checkpoint(content, path, self.step)

    def run(self) -> list[EpochReport]:
        """All epochs' reports, in order.

        Raises:
            StoppedError: ``stop`` was set, on any worker; the checkpoint holds everything.
            UmlError: the loss is not finite, or another worker ended.
        """
        self._keep()  # killed in its first epoch, a training can still be gone on with
        while self.progress.epoch < self.config.epochs and not self._out_of_patience():
            report = self._run_epoch()
            self.listener.epoch(report)
            self.progress.finish_epoch(report)
            self._keep()
            if self._asked_to_stop():
                self._stop()
        self.step.model.set_weights(self.progress.best_weights)
        return self.progress.reports

    def _out_of_patience(self) -> bool:
        patience = self.config.patience
        last = self.progress.epoch - 1
        return patience is not None and last - self.progress.best_epoch >= patience and last >= 0

    def _keep(self) -> None:
        if self.checkpoint is not None:
            save_checkpoint(self.checkpoint, self.step, self.progress)

    def _asked_to_stop(self) -> bool:
        return self.cluster.any_worker(self.stop.is_set())

    def _stop(self) -> None:
        epoch, step = self.progress.epoch, self.progress.step
        raise StoppedError(f"training: stopped after {epoch} epochs and {step} steps of the next, all saved")

    def _run_epoch(self) -> EpochReport:
        start, epoch = time.perf_counter(), self.progress.epoch
        losses = self._train_epoch(epoch)
        if self.step.average is None:
            validation, is_best = self._validate(epoch)
        else:
            with self.step.average.applied():
                validation, is_best = self._validate(epoch)
        rate = float(np.asarray(self.step.optimizer.learning_rate))
        return EpochReport(epoch, losses, validation, rate, time.perf_counter() - start, is_best)

    def _batches(self, epoch: int) -> Any:
        """The epoch's batches that are still to be trained on."""
        config = self.config
        order = epoch_order(self.train, config.batch_size, config.seed, epoch, config.masked_share)
        if self.augmentation is not None:
            self.augmentation.start_epoch(epoch)
        stream = training_batches(self.train, order, config.batch_size, self.augmentation, self.share)
        # Skipped batches are still augmented: the random state must advance as it did.
        return self.cluster.spread(stream.skip(self.progress.step))

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        progress = self.progress
        for batch in self._batches(epoch):
            with self.cluster.watched():
                terms = {name: float(value) for name, value in self.step(batch, epoch).items()}
            if not math.isfinite(terms["total"]):
                raise UmlError(
                    f"training: the loss is {terms['total']} at epoch {epoch + 1}, step {progress.step + 1}; "
                    f"{epoch} epochs are kept; try a lower --learning-rate or --precision float32"
                )
            progress.step += 1
            for name, value in terms.items():
                progress.totals[name] += value
            means = {name: total / progress.step for name, total in progress.totals.items()}
            self.listener.step(epoch, progress.step, means)
            if self._asked_to_stop():
                self._keep()
                self._stop()
        return {name: total / progress.step for name, total in progress.totals.items()}

    def _validate(self, epoch: int) -> tuple[Validation, bool]:
        """Scores the weights that the model has now, and keeps them if they are the best.

        The chief scores for all workers: what follows from the score must be the same on each.
        """
        scored = self.cluster.from_chief(
            lambda: json.dumps(asdict(validate(self.answerer, self.val))).encode()
        )
        validation = Validation.from_dict(json.loads(scored))
        progress = self.progress
        is_best = validation.score > progress.best_score or not progress.best_weights
        if is_best:
            progress.best_score, progress.best_epoch = validation.score, epoch
            progress.best_weights = self.step.model.get_weights()
        return validation, is_best
