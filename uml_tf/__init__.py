"""uml-tf: joint classification and segmentation of medical images that says how far to trust it.

The public Python API. Importing it imports no TensorFlow; each function imports what it needs.
``docs/python.md`` shows all of it at work.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uml_tf.runtime.version import VERSION

if TYPE_CHECKING:
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.evaluation.evaluate import Evaluation
    from uml_tf.export.job import ExportResult
    from uml_tf.runtime.device_model import DeviceModel
    from uml_tf.runtime.errors import UmlError
    from uml_tf.runtime.prediction import Model
    from uml_tf.training.config import TrainingConfig
    from uml_tf.training.display import Display
    from uml_tf.training.run import RunResult

__version__ = VERSION

__all__ = [
    "DeviceModel",
    "PreparedDataset",
    "TrainingConfig",
    "UmlError",
    "__version__",
    "evaluate",
    "export_model",
    "load",
    "resume",
    "train",
]

_CLASSES = {
    "DeviceModel": "uml_tf.runtime.device_model",
    "PreparedDataset": "uml_tf.data.dataset",
    "TrainingConfig": "uml_tf.training.config",
    "UmlError": "uml_tf.runtime.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_CLASSES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load(model: str | Path, batch_size: int = 1) -> Model:
    """Opens a model for prediction.

    Example:
        >>> model = uml_tf.load("last")
        >>> prediction = model.predict("eye.jpg")
        >>> prediction.class_name, prediction.class_uncertainty, prediction.decision.action

    Args:
        model: a ``.keras`` or exported ``.tflite`` file, ``runs:/ID/model``, ``models:/NAME/VERSION``,
            ``models:/NAME@ALIAS``, or ``last`` for the newest finished training.
        batch_size: images at a time when the model is called with an array; an exported file has its own.

    Returns:
        The model: ``predict(image)`` reads one image of any size; a call with ``(N, H, W, 3)`` RGB in
        [0, 255] at ``image_size``, N at most ``batch_size``, returns the arrays of the output contract;
        ``card`` holds the class names and thresholds.

    Raises:
        UmlError: it does not exist, cannot be read, or was not trained.
    """
    from uml_tf.tracking.opening import open_model

    return open_model(str(model), batch_size)


def train(
    config: TrainingConfig | str | Path | Mapping[str, Any] | None = None, display: Display | None = None
) -> RunResult | None:
    """Trains a network, evaluates it on the test split and keeps both in MLflow, as ``uml-tf train`` does.

    Example:
        >>> run = uml_tf.train({"data": "prepared/", "epochs": 60, "loss.cls": 0.3})
        >>> run.test.metrics["accuracy"].value, run.model

    Args:
        config: a ``TrainingConfig``, a YAML file, or fields by name, dotted for those of a section; None
            for the defaults, which train on synthetic photographs.
        display: shows the progress; None for a silent one.

    Returns:
        The finished run: ``run_id``, ``folder``, ``model`` and ``test``, the measures of the test split.
        None on a worker that is not the chief, which keeps nothing.

    Raises:
        UmlError: the config, the data or the training is at fault; the message says how.
    """
    from uml_tf.training.display import SILENT
    from uml_tf.training.run import train as run_training

    return run_training(_config(config), display or SILENT)


def resume(run: str = "last", display: Display | None = None) -> RunResult | None:
    """Resumes a training that was stopped or killed, in the same run.

    Args:
        run: its run id, or "last" for the newest that is not finished.
        display: shows the progress; None for a silent one.

    Raises:
        UmlError: there is no such run, it is still running, or as ``train``.
    """
    from uml_tf.training.display import SILENT
    from uml_tf.training.run import resume as resume_training

    return resume_training(run, display or SILENT)


def evaluate(
    model: Model | str | Path,
    data: PreparedDataset | str | Path,
    split: str = "test",
    out: str | Path | None = None,
) -> Evaluation:
    """Measures a model on a split of a prepared data set, each metric with a 95 % interval.

    Example:
        >>> found = uml_tf.evaluate("last", "prepared/")
        >>> found.metrics["class_failure_auroc_confidence"]

    Args:
        model: what ``load`` returned, or anything that it takes.
        data: a prepared data set or its folder.
        split: "train", "val" or "test".
        out: a folder for the numbers, the table of the images and the figures that ``uml-tf evaluate``
            writes; None to write nothing.

    Raises:
        UmlError: model or data cannot be read, or their classes differ.
    """
    from uml_tf.data.dataset import PreparedDataset
    from uml_tf.evaluation.evaluate import check_classes
    from uml_tf.evaluation.evaluate import evaluate as measure
    from uml_tf.evaluation.report import write_evaluation

    opened = load(model, batch_size=16) if isinstance(model, str | Path) else model
    dataset = PreparedDataset.open(Path(data)) if isinstance(data, str | Path) else data
    check_classes(opened.card, dataset)
    evaluation = measure(opened, dataset, split)
    if out is not None:
        write_evaluation(Path(out), evaluation, opened.card)
    return evaluation


def export_model(
    model: str | Path, out: str | Path, kind: str = "tflite-int8", **options: Any
) -> ExportResult:
    """Writes a trained network for a device and compares the written file with it, as ``uml-tf export`` does.

    Example:
        >>> result = uml_tf.export_model("last", "bundle", kind="tflite-int8")
        >>> result.numbers["class_agreement"], result.broken

    Args:
        model: a MODEL that names a network.
        out: a new folder.
        kind: name of an export kind (``uml_tf.export.kinds.KINDS``), e.g. "tflite-float16".
        **options: further fields of ``uml_tf.export.job.ExportJob``.

    Returns:
        What was written. Where ``broken`` is not empty only the fidelity report is, unless ``force=True``.

    Raises:
        UmlError: the model, an option or the conversion is at fault.
    """
    from uml_tf.export.job import ExportJob
    from uml_tf.export.run import export
    from uml_tf.tracking.models import fixed_reference, load_pair

    reference = fixed_reference(str(model))  # a training that ends meanwhile is another "last"
    network, locator = load_pair(reference)
    job = ExportJob(out=Path(out), model=reference, kind=kind, **options)
    return export(network, job, lambda name, total: lambda done: None, locator)


def _config(config: TrainingConfig | str | Path | Mapping[str, Any] | None) -> TrainingConfig:
    from uml_tf.training.config import TrainingConfig, load_config, with_fields

    if isinstance(config, TrainingConfig):
        return config
    if config is None or isinstance(config, str | Path):
        return load_config(None if config is None else Path(config), {})
    return with_fields(TrainingConfig(), config)
