"""A whole training run: train, fit the thresholds, evaluate, save; and its resumption after a stop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import mlflow

from uml_tf.data.cached_examples import open_splits
from uml_tf.data.dataset import SPLITS, PreparedDataset
from uml_tf.evaluation.evaluate import Evaluation, evaluate
from uml_tf.evaluation.opening import LOCATOR_FILE
from uml_tf.evaluation.sources import compared_groups, foreground_warnings
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text
from uml_tf.runtime.placement import Box
from uml_tf.runtime.two_pass import with_locator
from uml_tf.tracking.models import fixed_reference, log_model
from uml_tf.tracking.store import (
    CHECKPOINT_FILE,
    CONFIG_FILE,
    FINISHED_TAG,
    run_folder,
    saving,
    use_store,
)
from uml_tf.tracking.unfinished import resumable_run_ids, running, unfinished_run_id
from uml_tf.training.build import build_loop, open_same_dataset
from uml_tf.training.checkpoint_format import FORMAT, found_format
from uml_tf.training.cluster import Cluster
from uml_tf.training.config import TrainingConfig, parse_config
from uml_tf.training.display import SILENT, Display
from uml_tf.training.finish import MODEL_FILE, fit_card, shipped, write_files
from uml_tf.training.interruption import stop_requests
from uml_tf.training.locator import Locator, open_locator
from uml_tf.training.loop import Loop
from uml_tf.training.recording import log_files, log_start, recorded, recording_listener
from uml_tf.training.specs import check_options


@dataclass(frozen=True)
class RunResult:
    """The files and the test results of a finished run.

    Attributes:
        run_id: MLflow run.
        folder: model, metrics and figures on disk.
        tracking_uri: the MLflow store.
        test: the results on the test split.
    """

    run_id: str
    folder: Path
    tracking_uri: str
    test: Evaluation

    @property
    def model(self) -> Path:
        """The trained network."""
        return self.folder / MODEL_FILE


def train(
    config: TrainingConfig,
    display: Display = SILENT,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    restartable: bool = False,
) -> RunResult | None:
    """Trains, evaluates on the test split, and saves everything in MLflow and in a folder.

    Several workers (see ``Cluster.join``) train one network with the chief's config; only the path of the
    data set is each worker's own.

    Args:
        config: the run; defaults that depend on the preset are filled in here.
        display: shows the progress.
        name: of the run; None for preset and data set.
        tags: of the run.
        restartable: resume the unfinished run of the same config, where there is one; the chief decides. So
            a scheduler can repeat the command that it started with.

    Returns:
        The run; None on a worker that is not the chief, which saves nothing.

    Raises:
        UmlError: bad data or options, a loss that is not finite, a full disk, a worker that was lost, or a
            requested stop.
    """
    cluster = Cluster.join()
    own = config.resolved()
    check_options(own)
    text = cluster.from_chief(lambda: own.to_yaml().encode()).decode()
    config = own if cluster.is_chief else parse_config(text, "config of the chief", {"data": own.data})
    dataset = open_same_dataset(config, display, cluster)
    if cluster.is_chief:
        use_store()
    config = _with_named_models(config, cluster)
    unfinished = cluster.from_chief(lambda: (_unfinished(config) if restartable else "").encode()).decode()
    if unfinished:
        return _resume(unfinished, display, cluster, dataset)
    locator = open_locator(config.roi)
    loop = _build(config, dataset, display, cluster, locator)
    if not cluster.is_chief:
        _work(loop)
        return None
    with saving("new run"):
        title = name or f"{config.preset} {dataset.info.name}"
        run_id = mlflow.start_run(run_name=title, tags=dict(tags or {})).info.run_id
    with recorded(run_id), running(run_id):
        log_start(run_id, dataset, loop)
        if locator is not None:
            locator.keep(run_folder(run_id))
        return _finish(loop, dataset, run_id, display, locator)


def _unfinished(config: TrainingConfig) -> str:
    """The unfinished run of this config with the newest checkpoint; "" where there is none.

    Other runs are passed over: one that is deleted, that still runs, or that another version began with other
    fields or another form of checkpoint.
    """
    for run_id in resumable_run_ids():
        path = run_folder(run_id) / CONFIG_FILE
        try:
            is_same = parse_config(read_text(path), str(path), {}) == config
            if is_same and found_format(run_folder(run_id) / CHECKPOINT_FILE) in (FORMAT, None):
                return run_id
        except UmlError:
            continue
    return ""


def _with_named_models(config: TrainingConfig, cluster: Cluster) -> TrainingConfig:
    """The config with the run or version of a locator or teacher that is named "last" or by an alias.

    Raises:
        UmlError: there are several workers, which would each need the locator.
    """
    if config.roi.model is not None and cluster.workers > 1:
        raise UmlError(f"roi.model: found {cluster.workers} workers, expected one to train with a locator")
    if not config.models:
        return config
    # Every worker opens the models that the chief found.
    found = cluster.from_chief(lambda: json.dumps({m: fixed_reference(m) for m in config.models}).encode())
    return config.with_models(json.loads(found))


def resume(reference: str, display: Display = SILENT) -> RunResult | None:
    """Resumes a training that was stopped or killed, in the same run; the result is as if it had not been.

    Args:
        reference: its run id, or "last" for the newest that is not finished; on a cluster that of the chief
            counts. The number of workers may be another than before.
        display: shows the progress.

    Returns:
        As ``train``.

    Raises:
        UmlError: there is no such training, it still runs, its data changed, or as ``train``.
    """
    return _resume(reference, display, Cluster.join())


def _resume(
    reference: str, display: Display, cluster: Cluster, dataset: PreparedDataset | None = None
) -> RunResult | None:
    """``resume`` on a cluster; with the data set where it is open already."""
    with ExitStack() as held:

        def unfinished() -> bytes:
            use_store()
            run_id = unfinished_run_id(reference)
            held.enter_context(running(run_id))
            return json.dumps((run_id, read_text(run_folder(run_id) / CONFIG_FILE))).encode()

        run_id, text = json.loads(cluster.from_chief(unfinished))
        config = parse_config(text, CONFIG_FILE, {})
        dataset = dataset or open_same_dataset(config, display, cluster)
        if cluster.is_chief:
            _check_unchanged(dataset, run_id)
        locator = open_locator(config.roi, run_folder(run_id) / LOCATOR_FILE)
        # The checkpoint holds the encoders as well; the file that they began with may be gone.
        began = config.model_copy(update={"encoder_weights": "none"})
        loop = _build(began, dataset, display, cluster, locator)
        loop.restore(run_folder(run_id) / CHECKPOINT_FILE)
        if not cluster.is_chief:
            _work(loop)
            return None
        with saving(f"run {run_id}"):
            mlflow.start_run(run_id=run_id)
        with recorded(run_id):
            return _finish(loop, dataset, run_id, display, locator)


def _check_unchanged(dataset: PreparedDataset, run_id: str) -> None:
    expected = mlflow.get_run(run_id).data.params["dataset.fingerprint"]
    if dataset.fingerprint != expected:
        raise UmlError(
            f"{dataset.root}: fingerprint: found {dataset.fingerprint[:12]}, expected the run's "
            f"{expected[:12]}: the data were changed"
        )


def _work(loop: Loop) -> None:
    """Trains as a worker that is not the chief; returns when the chief has saved everything."""
    with stop_requests() as loop.stop:
        loop.run()
    loop.cluster.from_chief(bytes)


def _build(
    config: TrainingConfig,
    dataset: PreparedDataset,
    display: Display,
    cluster: Cluster,
    locator: Locator | None,
) -> Loop:
    size = (config.image_size, config.image_size)
    boxes: dict[str, Box] | None = None
    if locator is not None:
        boxes = {}
        for name in SPLITS[:2]:
            located = display.stage(f"locating {name}", len(dataset.split(name)))
            boxes |= locator.boxes(dataset, name, located, display.warn)
    # Only the chief reads all images: the others read their part of each batch, and do not validate.
    ahead = cluster.is_chief
    splits = open_splits(dataset, SPLITS[:2], size, display.stage, config.fit, boxes, display.warn, ahead)
    # The others wait here, where the chief's end is one line, and not in TensorFlow's first exchange.
    cluster.from_chief(bytes)
    roi = None if locator is None else locator.roi
    loop = build_loop(config, dataset, splits, display, cluster, roi)
    loop.listener = recording_listener(display, dataset.info.pixel_classes, cluster.is_chief)
    return loop


def _finish(
    loop: Loop, dataset: PreparedDataset, run_id: str, display: Display, locator: Locator | None
) -> RunResult:
    """Trains to the end, evaluates, and saves the run."""
    folder = run_folder(run_id)
    loop.checkpoint = folder / CHECKPOINT_FILE
    display.begin_run(run_id)
    with stop_requests() as loop.stop:
        reports = loop.run()
    predictor, val = shipped(loop.predictor), loop.val
    roi = None if locator is None else locator.roi
    config = loop.config
    promise = (config.risk_target, config.confidence)
    predictor.model.card = fit_card(predictor, loop.train, val, dataset, run_id, config.fit, roi, *promise)
    model = with_locator(predictor, None if locator is None else locator.model)
    progress = display.stage("evaluating test", len(dataset.split("test")))
    test = evaluate(model, dataset, "test", progress)
    for line in foreground_warnings(compared_groups(test.measures)):
        display.warn(line)
    write_files(folder, predictor, reports, val, dataset, test)
    with saving(f"run {run_id}"):
        mlflow.log_metrics({f"test/{n}": e.value for n, e in test.metrics.items() if e.value is not None})
        log_model(folder / MODEL_FILE, val.images[0], predictor(val.images[:1]))
        log_files(folder)
        mlflow.set_tag(FINISHED_TAG, "train")
    loop.checkpoint.unlink(missing_ok=True)
    loop.cluster.from_chief(bytes)
    return RunResult(run_id, folder, mlflow.get_tracking_uri(), test)
