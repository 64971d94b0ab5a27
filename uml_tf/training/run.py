"""The main job: train, fit the thresholds, evaluate, track; and going on with it after a stop."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
from matplotlib.figure import Figure
from mlflow.exceptions import MlflowException

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import Examples, load_examples
from uml_tf.evaluation.evaluate import Evaluation, evaluate
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.report import write_evaluation
from uml_tf.evaluation.samples import draw_samples
from uml_tf.evaluation.seen_images import TRAINING_IMAGES_FILE, training_image_hashes
from uml_tf.figures.plots import training_curves
from uml_tf.figures.save import save_figure
from uml_tf.networks import UML
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text, replacing, write_text
from uml_tf.runtime.gradability import fit_gradability
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.environment import environment
from uml_tf.tracking.exports import ROOT_PARAM
from uml_tf.tracking.models import log_model
from uml_tf.tracking.store import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    FINISHED_TAG,
    run_folder,
    unfinished_run_id,
    use_store,
)
from uml_tf.training.build import build_loop, open_same_dataset
from uml_tf.training.cluster import Cluster, WorkerLostError
from uml_tf.training.config import TrainingConfig, parse_config
from uml_tf.training.display import Display
from uml_tf.training.interruption import StoppedError, stop_requests
from uml_tf.training.loop import Listener, Loop
from uml_tf.training.referral_threshold import RISK_TARGET, fit_refer_above
from uml_tf.training.report import EpochReport

MODEL_FILE = "model.keras"


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

    @property
    def model(self) -> Path:
        """The trained network."""
        return self.folder / MODEL_FILE


def _listener(display: Display, pixel_classes: tuple[str, ...], keeps: bool) -> Listener:
    def keep(report: EpochReport) -> None:
        metrics = {f"train/{name}": value for name, value in report.losses.items()}
        metrics |= report.validation.named(pixel_classes)
        metrics |= {"learning_rate": report.learning_rate, "seconds": report.seconds}
        mlflow.log_metrics(metrics, step=report.epoch)

    def epoch(report: EpochReport) -> None:
        if keeps:
            keep(report)
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


def train(config: TrainingConfig, display: Display) -> RunResult | None:
    """Trains, evaluates on the test split, and keeps everything in MLflow and in a folder.

    Several workers (see ``Cluster.join``) train one network with the chief's config, but for the place of
    the data, which is each worker's own.

    Args:
        config: the run; unresolved defaults are resolved here.
        display: where progress is shown.

    Returns:
        The run; None on a worker that is not the chief, which keeps nothing.

    Raises:
        UmlError: bad data or options, a loss that is not finite, a worker that was lost, or a stop that
            was asked for.
    """
    cluster = Cluster.join()
    own = config.resolved()
    said = cluster.from_chief(lambda: own.to_yaml().encode()).decode()
    config = own if cluster.is_chief else parse_config(said, "the chief's config", {"data": own.data})
    dataset = open_same_dataset(config, display, cluster)
    if cluster.is_chief:
        use_store()
    loop = _build(config, dataset, display, cluster)
    if not cluster.is_chief:
        _help_to_train(loop)
        return None
    name = f"{config.preset} {dataset.info.name}"
    with _started(mlflow.start_run(run_name=name)) as run:
        _log_start(config, dataset, loop)
        return _finish(loop, dataset, run.info.run_id, display)


def resume(reference: str, display: Display) -> RunResult | None:
    """Goes on with a training that was stopped or killed, in the same run, as if it had not been.

    Args:
        reference: its run id, or "last" for the newest that is not finished; on a cluster the chief's
            counts. The number of workers may be another than before.
        display: where progress is shown.

    Returns:
        As ``train``.

    Raises:
        UmlError: there is nothing to go on with, its data changed, or as ``train``.
    """
    cluster = Cluster.join()
    run_id, said = json.loads(cluster.from_chief(lambda: json.dumps(_unfinished(reference)).encode()))
    config = parse_config(said, CONFIG_FILE, {})
    dataset = open_same_dataset(config, display, cluster)
    if cluster.is_chief:
        _check_unchanged(dataset, run_id)
    loop = _build(config, dataset, display, cluster)
    loop.restore(run_folder(run_id) / CHECKPOINT_FILE)
    if not cluster.is_chief:
        _help_to_train(loop)
        return None
    with _started(mlflow.start_run(run_id=run_id)):
        return _finish(loop, dataset, run_id, display)


def _unfinished(reference: str) -> tuple[str, str]:
    """(run id, config as YAML) of a training to go on with."""
    use_store()
    run_id = unfinished_run_id(reference)
    return run_id, read_text(run_folder(run_id) / CONFIG_FILE)


def _check_unchanged(dataset: PreparedDataset, run_id: str) -> None:
    expected = mlflow.get_run(run_id).data.params["dataset.fingerprint"]
    if dataset.fingerprint != expected:
        raise UmlError(
            f"{dataset.root}: fingerprint: found {dataset.fingerprint[:12]}, expected the run's "
            f"{expected[:12]}: the data were changed"
        )


def _help_to_train(loop: Loop) -> None:
    """Trains as a worker that is not the chief; ends when the chief has kept everything."""
    with stop_requests() as loop.stop:
        loop.run()
    loop.cluster.from_chief(bytes)


def _build(config: TrainingConfig, dataset: PreparedDataset, display: Display, cluster: Cluster) -> Loop:
    size = (config.image_size, config.image_size)
    splits = {
        name: load_examples(dataset, name, size, display.stage(f"reading {name}", len(dataset.split(name))))
        for name in ("train", "val")
    }
    loop = build_loop(config, dataset, splits, display, cluster)
    loop.listener = _listener(display, dataset.info.pixel_classes, cluster.is_chief)
    return loop


@contextmanager
def _started(run: mlflow.ActiveRun) -> Iterator[mlflow.ActiveRun]:
    """The run; at the end its status says whether it finished, failed or was stopped."""
    try:
        with run:
            yield run
    except (StoppedError, WorkerLostError) as error:
        mlflow.MlflowClient().set_terminated(run.info.run_id, "KILLED")
        raise type(error)(f"{error}; go on with: uml-tf train --resume {run.info.run_id}") from None
    except (MlflowException, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UmlError(f"run {run.info.run_id}: cannot be kept ({reason}); what was kept stays") from error


def _finish(loop: Loop, dataset: PreparedDataset, run_id: str, display: Display) -> RunResult:
    """Trains to the end, measures, keeps."""
    folder = run_folder(run_id)
    loop.checkpoint = folder / CHECKPOINT_FILE
    display.begin_run(run_id)
    with stop_requests() as loop.stop:
        reports = loop.run()
    model = _finish_model(loop, dataset, run_id)
    answerer = loop.answerer if model is loop.step.model else KerasPredictor(model)
    done = display.stage("evaluating test", len(dataset.split("test")))
    test = evaluate(answerer, dataset, "test", done)
    _write_run(folder, loop.config, dataset, model, reports, answerer, loop.val, test)
    mlflow.log_metrics({f"test/{n}": e.value for n, e in test.metrics.items() if e.value is not None})
    log_model(folder / MODEL_FILE, loop.val.images[0], answerer(loop.val.images[:1]))
    loop.checkpoint.unlink(missing_ok=True)
    mlflow.log_artifacts(str(folder))
    mlflow.set_tag(FINISHED_TAG, "train")
    loop.cluster.from_chief(bytes)
    return RunResult(run_id, folder, mlflow.get_tracking_uri(), test)


def _log_start(config: TrainingConfig, dataset: PreparedDataset, loop: Loop) -> None:
    active = mlflow.active_run()
    assert active is not None
    mlflow.log_params(config.flat())
    mlflow.log_params(
        {
            "dataset.name": dataset.info.name,
            "dataset.fingerprint": dataset.fingerprint,
            ROOT_PARAM: str(dataset.root.resolve()),
            "network.parameters": loop.step.model.count_params(),
            "machine.workers": loop.cluster.workers,
            "machine.devices": loop.cluster.replicas,
            **environment(),
        }
    )
    write_text(run_folder(active.info.run_id) / CONFIG_FILE, config.to_yaml())
    mlflow.log_text(config.to_yaml(), CONFIG_FILE)


def _write_run(
    folder: Path,
    config: TrainingConfig,
    dataset: PreparedDataset,
    model: UML,
    reports: list[EpochReport],
    answerer: KerasPredictor,
    val: Examples,
    test: Evaluation,
) -> None:
    with replacing(folder / MODEL_FILE) as temporary:
        model.save(temporary)
    assert model.card is not None
    write_evaluation(folder, test, model.card)
    write_text(folder / TRAINING_IMAGES_FILE, "\n".join(training_image_hashes(dataset)) + "\n")
    figures = folder / "figures"
    save_figure(_curves(reports, dataset.info.pixel_classes), figures / "training_curves.png")
    save_figure(draw_samples(answerer, val, dataset.info), figures / "sample_sheet.png")


def _curves(reports: list[EpochReport], pixel_classes: Sequence[str]) -> Figure:
    losses = {term: [r.losses[term] for r in reports] for term in reports[0].losses}
    scores = {"balanced accuracy": [r.validation.balanced_accuracy for r in reports]}
    for i, name in enumerate(pixel_classes[1:]):
        scores[f"Dice {name}"] = [r.validation.dice[i] for r in reports]
    kept = max(r.epoch for r in reports if r.is_best)
    return training_curves(losses, scores, kept + 1)
