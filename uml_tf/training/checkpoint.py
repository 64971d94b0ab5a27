"""The whole state of a training in one file, from which it resumes exactly."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.losses import TERMS
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import replacing
from uml_tf.training.checkpoint_format import FORMAT
from uml_tf.training.epoch_choice import EpochChoice
from uml_tf.training.report import EpochReport
from uml_tf.training.step import TrainStep
from uml_tf.training.validation import Validation

Array = NDArray[Any]


@dataclass
class Progress:
    """The state of a training, apart from the variables.

    Attributes:
        epoch: the current epoch, from 0.
        step: steps of it that are done.
        totals: sums of each loss term over these steps.
        reports: of the finished epochs.
        choice: of the finished epochs.
        kept_weights: the model's weights after the epoch that is kept so far.
    """

    epoch: int = 0
    step: int = 0
    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(TERMS, 0.0))
    reports: list[EpochReport] = field(default_factory=list)
    choice: EpochChoice = field(default_factory=EpochChoice)
    kept_weights: list[Array] = field(default_factory=list)

    def finish_epoch(self, report: EpochReport) -> None:
        """Adds the report of the current epoch and begins the next one."""
        self.reports.append(report)
        self.epoch, self.step = self.epoch + 1, 0
        self.totals = dict.fromkeys(TERMS, 0.0)


def _variables(step: TrainStep) -> dict[str, list[Any]]:
    """All variables: weights, random states of dropout, moments of the optimizer, moving average."""
    average = step.average
    return {
        "model": list(step.model.variables),
        "optimizer": list(step.optimizer.variables),
        "average": [average.shadow, average.steps] if average is not None else [],
    }


def save_checkpoint(path: Path, step: TrainStep, progress: Progress) -> None:
    """Writes the whole state of a training, atomically.

    Raises:
        UmlError: the disk is full or cannot be written to; an existing checkpoint is kept.
    """
    values = {**_variables(step), "kept": progress.kept_weights}
    arrays: dict[str, Any] = {
        f"{part}/{index}": np.asarray(variable)
        for part, variables in values.items()
        for index, variable in enumerate(variables)
    }
    rest = asdict(progress)
    del rest["kept_weights"]
    arrays["progress"] = np.frombuffer(json.dumps({"format": FORMAT, **rest}).encode(), np.uint8)
    with replacing(path) as temporary:
        np.savez(temporary, **arrays)


def _progress(data: dict[str, Any], kept: list[Array]) -> Progress:
    reports = []
    for report in data.pop("reports"):
        validation = Validation.from_dict(report.pop("validation"))
        reports.append(EpochReport(**report, validation=validation))
    choice = EpochChoice.from_dict(data.pop("choice"))
    return Progress(**data, reports=reports, choice=choice, kept_weights=kept)


def read_checkpoint(path: Path) -> bytes:
    """The content of a checkpoint.

    Raises:
        UmlError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UmlError(f"{path}: cannot be read as a checkpoint ({error.strerror or error})") from error


def load_checkpoint(content: bytes, path: Path, step: TrainStep) -> Progress:
    """Restores the variables of a newly built step; returns the rest of the state.

    Args:
        content: of the checkpoint.
        path: of the checkpoint, for messages.
        step: built from the same config.

    Raises:
        UmlError: the checkpoint is damaged, of another format, or of another network.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        data = json.loads(arrays.pop("progress").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UmlError(f"{path}: cannot be read as a checkpoint ({error})") from error
    if data.pop("format") != FORMAT:
        raise UmlError(f"{path}: format: found another one, expected {FORMAT}: use the uml-tf that wrote it")
    for part, variables in _variables(step).items():
        found = sum(name.startswith(f"{part}/") for name in arrays)
        if found != len(variables):
            raise UmlError(f"{path}: {part}: found {found} arrays, expected {len(variables)}")
        for index, variable in enumerate(variables):
            variable.assign(arrays[f"{part}/{index}"])
    kept = [arrays[f"kept/{index}"] for index in range(sum(n.startswith("kept/") for n in arrays))]
    return _progress(data, kept)
