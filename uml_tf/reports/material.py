"""What a report is made of: a training run or an evaluation, opened and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from uml_tf.data.dataset import MANIFEST_NAME, PreparedDataset
from uml_tf.data.pixel_size import distance_unit
from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.measures_file import MEASURES_FILE, load_measures
from uml_tf.evaluation.origin import is_of_models, load_origin
from uml_tf.evaluation.robustness import ROBUSTNESS_FILE, Robustness, read_robustness
from uml_tf.evaluation.summary import Metrics
from uml_tf.metrics.bootstrap import Estimate
from uml_tf.runtime.errors import UmlError, first_line
from uml_tf.runtime.files import read_text
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.card import read_stated
from uml_tf.tracking.exports import EXPORT_METRIC, ROOT_PARAM
from uml_tf.tracking.models import MODEL_NAME, fetch
from uml_tf.tracking.store import FINISHED_TAG, last_run_id, store_exists, use_store

METRICS_FILE = "metrics.json"
FIDELITY_FILE = "fidelity.json"


@dataclass(frozen=True)
class Material:
    """A model, the images that it was measured on, and what was found.

    Attributes:
        model: the MODEL.
        card: of the model.
        split: of the images.
        dataset, root: name and folder of the data set of these images; the folder may be gone.
        fingerprint: SHA-256 of that data set.
        measures: of the images.
        metrics: of these measures.
        mean_of: how several predictions were averaged, e.g. "flips"; "" for one prediction an image.
        robustness: what was measured on corrupted images; None where nothing was.
        params: what the training run recorded; empty where the run is not in the store.
        exports: kind -> content of ``fidelity.json``, of the exports that the run recorded; none for a mean,
            which no file gives.
    """

    model: str
    card: ModelCard
    split: str
    dataset: str
    root: Path
    fingerprint: str
    measures: list[ImageMeasure]
    metrics: Metrics
    mean_of: str = ""
    robustness: Robustness | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    exports: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def averaged(self) -> str:
        """What the mean of several predictions is of, for people; "" for one prediction an image."""
        return {"flips": "each picture and its mirror image"}.get(self.mean_of, self.mean_of)

    @property
    def of_models(self) -> bool:
        """Whether it is the mean of several models; ``model`` and ``card`` are those of the first."""
        return is_of_models(self.mean_of)

    def images(self) -> PreparedDataset | None:
        """The data set of the images; None where it is no longer there."""
        return PreparedDataset.open(self.root) if (self.root / MANIFEST_NAME).is_file() else None

    @cached_property
    def unit(self) -> str:
        """Of distances, see ``uml_tf.data.pixel_size``; "" where the data set is no longer there."""
        dataset = self.images()
        return "" if dataset is None else distance_unit(dataset, self.split)

    def is_measured_on(self, dataset: PreparedDataset) -> bool:
        """Whether a data set is the one whose images were measured; True where that was not recorded."""
        return not self.fingerprint or dataset.fingerprint == self.fingerprint


def _metrics(path: Path) -> Metrics:
    try:
        found = json.loads(read_text(path))
        return {name: Estimate(**numbers, resamples=0) for name, numbers in found.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise UmlError(f"{path}: cannot be read as metrics ({error})") from error


def _run(run_id: str) -> Run | None:
    """The training run; None where this store does not have it."""
    if not run_id or not store_exists():
        return None
    use_store()
    try:
        return mlflow.get_run(run_id)
    except MlflowException:
        return None


def _artifact(run_id: str, name: str) -> Path | None:
    """The local path of an artifact; None where the run has none of this name."""
    try:
        return fetch(f"runs:/{run_id}/{name}")
    except UmlError:
        return None


def _exports(run: Run | None) -> dict[str, Mapping[str, Any]]:
    """Kind -> fidelity, of every export that the run has recorded."""
    if run is None:
        return {}
    kinds = {
        n.removeprefix(EXPORT_METRIC).split("/")[0] for n in run.data.metrics if n.startswith(EXPORT_METRIC)
    }
    found = {}
    for kind in sorted(kinds):
        path = _artifact(run.info.run_id, f"exports/{kind}/{FIDELITY_FILE}")
        if path is not None:
            found[kind] = json.loads(read_text(path))
    return found


def _of_run(reference: str) -> Material:
    run_id = last_run_id() if reference == "last" else reference
    run = _run(run_id)
    if run is None:
        raise UmlError(
            f"'{reference}': found neither the folder of an evaluation nor a run of this MLflow store, "
            "expected a run id, last, or a folder that `uml-tf evaluate` wrote"
        )
    if FINISHED_TAG not in run.data.tags:
        raise UmlError(f"run '{run_id}': found a training that is not finished, expected a finished one")
    files = [_artifact(run_id, name) for name in (MEASURES_FILE, METRICS_FILE)]
    if files[0] is None or files[1] is None:
        raise UmlError(f"run '{run_id}': found no {MEASURES_FILE}, expected the run of a training")
    model = f"runs:/{run_id}/{MODEL_NAME}"
    card = read_stated(model).card
    return Material(
        model=model,
        card=card,
        split="test",
        dataset=card.dataset,
        root=Path(run.data.params.get(ROOT_PARAM, "")),
        fingerprint=card.fingerprint,
        measures=load_measures(files[0]),
        metrics=_metrics(files[1]),
        params=run.data.params,
        exports=_exports(run),
    )


def _of_evaluation(folder: Path) -> Material:
    origin = load_origin(folder)
    corrupted = folder / ROBUSTNESS_FILE
    run = _run(origin.card.run_id)
    return Material(
        model=origin.model,
        card=origin.card,
        split=origin.split,
        dataset=origin.dataset,
        root=Path(origin.root),
        fingerprint=origin.fingerprint,
        measures=load_measures(folder / MEASURES_FILE),
        metrics=_metrics(folder / METRICS_FILE),
        mean_of=origin.mean_of,
        robustness=read_robustness(corrupted) if corrupted.is_file() else None,
        params={} if run is None else run.data.params,
        exports={} if origin.mean_of else _exports(run),
    )


def open_material(reference: str) -> Material:
    """Opens a RUN (its id, or "last") or an EVALUATION (the folder that ``uml-tf evaluate`` wrote).

    Raises:
        UmlError: it does not exist, is not finished, or lacks a file.
    """
    if Path(reference).is_dir():
        return _of_evaluation(Path(reference))
    try:
        return _of_run(reference)
    except MlflowException as error:
        raise UmlError(
            f"'{reference}': cannot be read from the MLflow store ({first_line(error)})"
        ) from error
