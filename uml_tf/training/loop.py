"""The training loop: train and validate every epoch, keep one, stop early, resume after a stop."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.pipeline import Examples, epoch_order, training_batches
from uml_tf.data.share import WHOLE, Share
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.runtime.errors import UmlError
from uml_tf.training.checkpoint import Progress, load_checkpoint, read_checkpoint, save_checkpoint
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import TrainingConfig
from uml_tf.training.epoch_choice import EpochScore
from uml_tf.training.interruption import StoppedError
from uml_tf.training.report import EpochReport
from uml_tf.training.step import TrainStep
from uml_tf.training.validation import Validation, validate

AGREED_STEPS = 8
"""Steps after which several workers ask each other whether one was told to stop, which costs a sum."""


@dataclass
class Listener:
    """Callbacks of the loop.

    Attributes:
        step: called after every step with (epoch, step, mean losses of the epoch so far).
        epoch: called after every epoch with its report.
        warn: called with a line about something that the user may want to change.
    """

    step: Callable[[int, int, dict[str, float]], None] = lambda epoch, step, losses: None
    epoch: Callable[[EpochReport], None] = lambda report: None
    warn: Callable[[str], None] = lambda message: None


@dataclass
class Loop:
    """Trains until the epochs or the patience are used up, then puts the kept epoch's weights into the model.

    Attributes:
        config: the resolved config.
        step: the compiled step.
        predictor: the compiled model, for validation.
        train, val: the two splits.
        augmentation: or None; made with the same ``share``.
        cluster: the devices that share every batch.
        share: this worker's part of every batch.
        listener: called after every step and epoch.
        checkpoint: file in which the state is saved after every epoch, or None; set on the chief only.
        stop: setting it stops the training after the current step; with several workers after up to
            ``AGREED_STEPS``.
        progress: the state of the training.
    """

    config: TrainingConfig
    step: TrainStep
    predictor: KerasPredictor
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
        """Loads the chief's checkpoint on every worker; their number may differ from the one that wrote it.

        Raises:
            UmlError: it cannot be read, or is of another network.
        """
        content = self.cluster.from_chief(lambda: read_checkpoint(path))
        self.progress = load_checkpoint(content, path, self.step)

    def run(self) -> list[EpochReport]:
        """Trains; returns the reports of all epochs, in order.

        Raises:
            StoppedError: ``stop`` was set, on any worker; the checkpoint holds the whole state.
            UmlError: the loss is not finite, or another worker ended.
        """
        self._save()  # a training that is killed in its first epoch can be resumed
        while self.progress.epoch < self.config.epochs and not self._out_of_patience():
            report = self._run_epoch()
            self.listener.epoch(report)
            self.progress.finish_epoch(report)
            self._save()
            if self._stop_requested():
                self._raise_stopped()
        self.step.model.set_weights(self.progress.kept_weights)
        return self.progress.reports

    def _out_of_patience(self) -> bool:
        patience = self.config.patience
        last = self.progress.epoch - 1
        return patience is not None and last - self.progress.choice.best_epoch >= patience and last >= 0

    def _save(self) -> None:
        if self.checkpoint is not None:
            save_checkpoint(self.checkpoint, self.step, self.progress)

    def _stop_requested(self) -> bool:
        return self.cluster.any_worker(self.stop.is_set())

    def _raise_stopped(self) -> None:
        epoch, step = self.progress.epoch, self.progress.step
        raise StoppedError(f"training: stopped in epoch {epoch + 1} after step {step}, all saved")

    def _run_epoch(self) -> EpochReport:
        start, epoch = time.perf_counter(), self.progress.epoch
        losses = self._train_epoch(epoch)
        if self.step.average is None:
            validation, score, is_kept = self._validate(epoch)
        else:
            with self.step.average.applied():
                validation, score, is_kept = self._validate(epoch)
        rate = float(np.asarray(self.step.optimizer.learning_rate))
        return EpochReport(epoch, losses, validation, score, rate, time.perf_counter() - start, is_kept)

    def _batches(self, epoch: int) -> Any:
        """The batches of the epoch that have not been trained on yet."""
        config = self.config
        order = epoch_order(self.train, config.batch_size, config.seed, epoch, config.masked_share)
        if self.augmentation is not None:
            self.augmentation.start_epoch(epoch)
        stream = training_batches(self.train, order, config.batch_size, self.augmentation, self.share)
        # Skipped batches are augmented too, so that the random state advances as it did before the stop.
        return self.cluster.spread(stream.skip(self.progress.step))

    def _read(self, batches: Iterable[Any]) -> Iterator[Any]:
        """The batches.

        Raises:
            UmlError: a file of one cannot be read.
        """
        try:
            yield from batches
        except tf.errors.OpError:
            if self.train.failures:
                raise self.train.failures[0] from None
            raise

    def _train_epoch(self, epoch: int) -> dict[str, float]:
        progress = self.progress
        for batch in self._read(self._batches(epoch)):
            with self.cluster.one_line_errors():
                terms = {name: float(value) for name, value in self.step(batch, epoch).items()}
            if not math.isfinite(terms["total"]):
                raise UmlError(
                    f"training: the loss is {terms['total']} at epoch {epoch + 1}, step {progress.step + 1}; "
                    "the epochs before are saved; try a lower --learning-rate or --precision float32"
                )
            progress.step += 1
            for name, value in terms.items():
                progress.totals[name] += value
            means = {name: total / progress.step for name, total in progress.totals.items()}
            self.listener.step(epoch, progress.step, means)
            alone = self.cluster.workers == 1
            if (alone or progress.step % AGREED_STEPS == 0) and self._stop_requested():
                self._save()
                self._raise_stopped()
        return {name: total / progress.step for name, total in progress.totals.items()}

    def _validate(self, epoch: int) -> tuple[Validation, float, bool]:
        """Validates the model's present weights.

        Returns the results, the smoothed score, and whether this epoch is kept. The chief validates for all
        workers, because they must agree on the epoch that is kept and on when to stop.
        """
        tasks = self.config.tasks
        content = self.cluster.from_chief(
            lambda: json.dumps(asdict(validate(self.predictor, self.val, tasks))).encode()
        )
        validation = Validation.from_dict(json.loads(content))
        progress = self.progress
        found = EpochScore(validation.score_of(tasks), validation.influence)
        score, is_kept = progress.choice.add(epoch, found)
        if math.isnan(score) and epoch == 0:
            self.listener.warn(
                "split 'val' has neither labels nor regions: no epoch can be preferred, the last one is kept"
            )
        if is_kept:
            progress.kept_weights = self.step.model.get_weights()
        # The reports of all epochs are in each checkpoint.
        return replace(validation, influence=()), score, is_kept
