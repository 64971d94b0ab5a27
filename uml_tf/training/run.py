"""The main job: data, network, training, referral threshold, evaluation, tracking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import keras
import mlflow
import numpy as np
import tensorflow as tf

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.phantom import PhantomOptions, generate_phantoms
from uml_tf.data.pipeline import Examples, epoch_order, load_examples
from uml_tf.errors import UmlError
from uml_tf.evaluation.answers import Answerer
from uml_tf.evaluation.evaluate import Evaluation, evaluate
from uml_tf.evaluation.report import write_evaluation
from uml_tf.figures.plots import training_curves
from uml_tf.figures.save import save_figure
from uml_tf.figures.sheets import sample_sheet
from uml_tf.files import replacing, write_text
from uml_tf.gradability import fit_gradability
from uml_tf.losses import LossSpec
from uml_tf.model_card import ModelCard
from uml_tf.networks import UML, NetworkSpec, preset, without
from uml_tf.networks.encoders import EncoderSpec
from uml_tf.networks.encoders.weights import load_encoder_weights
from uml_tf.tracking.models import log_model
from uml_tf.tracking.store import FINISHED_TAG, local_store, use_store
from uml_tf.training.averaging import WeightAverage
from uml_tf.training.config import TrainingConfig
from uml_tf.training.loop import Listener, Loop
from uml_tf.training.referral_threshold import RISK_TARGET, fit_refer_above
from uml_tf.training.report import EpochReport
from uml_tf.training.schedule import HoldThenPolynomial, ScheduleSpec
from uml_tf.training.step import StepSpec, TrainStep

MODEL_FILE = "model.keras"


class Display(Protocol):
    """Where a run's progress is shown."""

    def stage(self, name: str, total: int) -> Any:
        """A callable that takes the number done of ``total``."""

    def losses(self, epoch: int, step: int, terms: dict[str, float]) -> None:
        """Shows the running losses of an epoch."""

    def epoch(self, report: EpochReport) -> None:
        """Shows a finished epoch."""

    def begin_training(self, epochs: int, steps: int) -> None:
        """Told once, before the first step."""


@dataclass(frozen=True)
class RunResult:
    """Where a finished run is.

    Attributes:
        run_id: MLflow run.
        folder: model, metrics and figures on disk.
        tracking_uri: the MLflow store.
        test: what was measured on the test split.
    """

    run_id: str
    folder: Path
    tracking_uri: str
    test: Evaluation


def open_dataset(config: TrainingConfig, display: Display) -> PreparedDataset:
    """The config's data set; without one, phantoms, drawn once and kept beside the runs."""
    if config.data is not None:
        return PreparedDataset.open(config.data)
    p = config.phantoms
    folder = local_store() / "phantoms" / f"{p.images}-{p.size}-seed{p.seed}"
    if not folder.exists():
        options = PhantomOptions(images=p.images, seed=p.seed, size=p.size)
        generate_phantoms(folder, options, display.stage("drawing phantoms", p.images))
    return PreparedDataset.open(folder)


def network_spec(config: TrainingConfig) -> NetworkSpec:
    """The config's preset, with its own encoders and its ablated parts off."""
    spec = preset(config.preset)
    if config.class_encoder:
        spec = replace(spec, class_encoder=EncoderSpec(config.class_encoder))
    if config.segmentation_encoder:
        spec = replace(spec, segmentation_encoder=EncoderSpec(config.segmentation_encoder))
    return without(spec, *config.without)


def loss_spec(config: TrainingConfig, spec: NetworkSpec, labels: np.ndarray, classes: int) -> LossSpec:
    """The joint loss of a resolved config; class weights from the training labels."""
    weights = None
    if config.loss.class_weights == "balanced":
        counts = np.bincount(labels[labels >= 0], minlength=classes)
        weights = tuple((counts.sum() / (classes * np.maximum(counts, 1))).tolist())
    return LossSpec(
        config.loss.cls,
        config.loss.seg,
        config.loss.mut,
        config.loss.annealing_epochs,
        config.loss.segmentation or "dice+ce",
        spec.ablation.evidential,
        weights,
        config.loss.skip_absent,
    )


def _optimizer(config: TrainingConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    schedule = HoldThenPolynomial(
        ScheduleSpec(
            config.learning_rate or 1e-4,
            steps_per_epoch,
            config.epochs,
            config.hold_epochs or 0,
            config.warmup_epochs,
        )
    )
    adam = keras.optimizers.Adam(schedule)
    if config.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def build_loop(
    config: TrainingConfig, dataset: PreparedDataset, splits: dict[str, Examples], display: Display
) -> Loop:
    """Network, step and loop of a resolved config."""
    keras.utils.set_random_seed(config.seed)
    spec, info = network_spec(config), dataset.info
    size = (config.image_size, config.image_size)
    train = splits["train"]
    if not (train.labels >= 0).any() and not train.has_mask.any():
        raise UmlError(f"{dataset.root}: split 'train' has neither labels nor masks")
    with _precision(config.precision):
        published = config.encoder_weights if config.encoder_weights == "imagenet" else None
        model = UML(spec, len(info.image_classes), len(info.pixel_classes), size, published)
    if config.encoder_weights and not published:
        load_encoder_weights(model, Path(config.encoder_weights))
    steps = len(epoch_order(train, config.batch_size, config.seed, 0, config.masked_share))
    steps //= config.batch_size
    average = WeightAverage(model.variables, config.averaging) if config.averaging else None
    step = TrainStep(
        model,
        _optimizer(config, steps),
        loss_spec(config, spec, train.labels, len(info.image_classes)),
        StepSpec(config.weight_decay, config.gradient_clip, config.jit),
        average,
    )
    display.begin_training(config.epochs, steps)
    augmentation = Augmentation(config.augmentation, config.seed)
    return Loop(config, step, Answerer(model), train, splits["val"], augmentation)


def _listener(display: Display, pixel_classes: tuple[str, ...]) -> Listener:
    def epoch(report: EpochReport) -> None:
        metrics = {f"train/{name}": value for name, value in report.losses.items()}
        metrics |= report.validation.named(pixel_classes)
        metrics |= {"learning_rate": report.learning_rate, "seconds": report.seconds}
        mlflow.log_metrics(metrics, step=report.epoch)
        display.epoch(report)

    return Listener(step=display.losses, epoch=epoch)


def _finish_model(loop: Loop, dataset: PreparedDataset, run_id: str) -> UML:
    """Fits the thresholds on the validation split and gives the model its card."""
    model, val, info = loop.step.model, loop.val, dataset.info
    answers = [answers for _, answers in loop.answerer.over(val)]
    probability, uncertainty = (
        np.concatenate([a[name] for a in answers]) for name in ("class_probability", "class_uncertainty")
    )
    labelled = val.labels >= 0
    correct = probability[labelled].argmax(axis=1) == val.labels[labelled]
    model.card = ModelCard(
        image_classes=info.image_classes,
        pixel_classes=info.pixel_classes,
        unions=info.unions,
        refer_above=fit_refer_above(uncertainty[labelled, 0], correct),
        risk_target=RISK_TARGET,
        gradability=fit_gradability(loop.train.images, val.images),
        run_id=run_id,
        dataset=info.name,
        source=info.source,
        licence=info.licence,
        fingerprint=dataset.fingerprint,
    )
    if model.dtype_policy.compute_dtype == "float32":
        return model
    # What is shipped computes in float32, whatever precision it was trained in.
    plain = UML.from_config(model.get_config())
    plain.set_weights(model.get_weights())
    return plain


def train(config: TrainingConfig, display: Display) -> RunResult:
    """Trains, evaluates on the test split, and keeps everything in MLflow and in a folder.

    Args:
        config: the run; unresolved defaults are resolved here.
        display: where progress is shown.

    Raises:
        UmlError: bad data or options, or a loss that is not finite.
    """
    config = config.resolved()
    dataset = open_dataset(config, display)
    size = (config.image_size, config.image_size)
    splits = {
        name: load_examples(dataset, name, size, display.stage(f"reading {name}", len(dataset.split(name))))
        for name in ("train", "val")
    }
    loop = build_loop(config, dataset, splits, display)
    uri = use_store()
    with mlflow.start_run(run_name=f"{config.preset} {dataset.info.name}") as run:
        folder = local_store() / "runs" / run.info.run_id
        _log_start(config, dataset, loop.step.model)
        loop.listener = _listener(display, dataset.info.pixel_classes)
        reports = loop.run()
        model = _finish_model(loop, dataset, run.info.run_id)
        answerer = loop.answerer if model is loop.step.model else Answerer(model)
        done = display.stage("evaluating test", len(dataset.split("test")))
        test = evaluate(answerer, dataset, "test", done)
        _write_run(folder, config, dataset, model, reports, answerer, splits["val"], test)
        mlflow.log_metrics({f"test/{n}": e.value for n, e in test.metrics.items() if e.value is not None})
        mlflow.log_artifacts(str(folder))
        log_model(model, splits["val"].images[:1].astype(np.float32))
        mlflow.set_tag(FINISHED_TAG, "train")
    return RunResult(run.info.run_id, folder, uri, test)


def _log_start(config: TrainingConfig, dataset: PreparedDataset, model: UML) -> None:
    mlflow.log_params(config.flat())
    mlflow.log_params(
        {
            "dataset.name": dataset.info.name,
            "dataset.fingerprint": dataset.fingerprint,
            "dataset.root": str(dataset.root.resolve()),
            "network.parameters": model.count_params(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        }
    )
    mlflow.log_text(config.to_yaml(), "config.yaml")


def _write_run(
    folder: Path,
    config: TrainingConfig,
    dataset: PreparedDataset,
    model: UML,
    reports: list[EpochReport],
    answerer: Answerer,
    val: Examples,
    test: Evaluation,
) -> None:
    write_text(folder / "config.yaml", config.to_yaml())
    with replacing(folder / MODEL_FILE) as temporary:
        model.save(temporary)
    assert model.card is not None
    write_evaluation(folder, test, model.card)
    figures = folder / "figures"
    save_figure(training_curves(reports, dataset.info.pixel_classes), figures / "training_curves.png")
    save_figure(sample_sheet(answerer, val, dataset.info), figures / "sample_sheet.png")
