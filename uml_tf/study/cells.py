"""The cells of a study: one training each, of an arm, with a seed, on a fold."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from uml_tf.data.dataset import MANIFEST_NAME, YAML_NAME, PreparedDataset
from uml_tf.evaluation.selection import check_names, default_names
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.study.fewer_subjects import with_fewer_subjects
from uml_tf.study.folds import Division, fold_datasets
from uml_tf.study.other_models import by_content, check_tested_unseen, digest_once, with_fixed_models
from uml_tf.study.spec import StudySpec, arm_configs, read_study
from uml_tf.tracking.store import local_store
from uml_tf.training.config import TrainingConfig
from uml_tf.training.dataset import StageDisplay, open_dataset


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        arm: name.
        seed: of the training.
        fold: number from 1.
        folds: number of all folds.
        config: resolved.
        dataset: with the splits of the fold.
        key: SHA-256 of everything that decides the result: config, data, and the files of encoder weights,
            locator and teachers.
    """

    arm: str
    seed: int
    fold: int
    folds: int
    config: TrainingConfig
    dataset: PreparedDataset
    key: str

    @property
    def name(self) -> str:
        """For people."""
        fold = f", fold {self.fold} of {self.folds}" if self.folds > 1 else ""
        return f"{self.arm}, seed {self.seed}{fold}"

    @property
    def file_name(self) -> str:
        """A name for files, that no other cell of the study has."""
        return re.sub(r"[^\w.-]", "_", f"{self.arm}-seed{self.seed}-fold{self.fold}-{self.key[:6]}")


@dataclass(frozen=True)
class Study:
    """A study that can be run.

    Attributes:
        name: of its file.
        spec: the content of its YAML.
        cells: all trainings: of each seed and fold the arms one after the other, so that a study that is
            stopped early has something to compare.
        metrics: reported names.
        text: its YAML as it was read, with the common config in it.
    """

    name: str
    spec: StudySpec
    cells: tuple[Cell, ...]
    metrics: tuple[str, ...]
    text: str

    @property
    def identity(self) -> str:
        """SHA-256 of what the cells are; equal where form, metrics or combinations alone differ."""
        content = [(cell.arm, cell.seed, cell.fold, cell.folds, cell.key) for cell in self.cells]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def of_arm(self, arm: str) -> list[Cell]:
        """The cells of an arm, by seed and fold."""
        return [cell for cell in self.cells if cell.arm == arm]

    def training_images(self, arm: str) -> float:
        """Number of training images of an arm, the mean of its folds."""
        counts = [len(cell.dataset.split("train")) for cell in self.of_arm(arm)]
        return sum(counts) / len(counts)


@dataclass(frozen=True)
class _Fold:
    """A data set with its splits, and what tells it from others."""

    dataset: PreparedDataset
    digest: str


def _folds(dataset: PreparedDataset, spec: StudySpec, share: float) -> list[_Fold]:
    """The folds of a data set, or itself, with a share of the training subjects."""
    parent, divided = local_store() / "folds", [dataset]
    if spec.folds > 1:
        division = Division(spec.folds, spec.split_seed, spec.validation_share)
        divided = fold_datasets(dataset, division, parent)
    found = []
    for number, whole in enumerate(divided, start=1):
        part = f"fold{number}of{spec.folds}-" if spec.folds > 1 else ""
        fold = with_fewer_subjects(whole, share, spec.split_seed, parent, f"{part}share{share:g}")
        digest = dataset.fingerprint
        if fold is not dataset:
            # The images are those of the data set, which are read once.
            texts = [read_bytes(fold.root / name) for name in (YAML_NAME, MANIFEST_NAME)]
            digest = hashlib.sha256(b"\n".join([digest.encode(), *texts])).hexdigest()
        found.append(_Fold(fold, digest))
    return found


def _key(config: TrainingConfig, fold: _Fold, digest: Callable[[Path], str]) -> str:
    content: dict[str, Any] = by_content(config, digest).model_dump(mode="json", exclude={"data"})
    weights = Path(config.encoder_weights or "")
    if weights.is_file():
        content["encoder_weights"] = digest(weights)
    return hashlib.sha256(json.dumps([content, fold.digest], sort_keys=True).encode()).hexdigest()


def _arm_folds(
    configs: dict[str, TrainingConfig], spec: StudySpec, display: StageDisplay
) -> dict[str, list[_Fold]]:
    """Arm -> its folds; each data set is opened and read once."""
    datasets: dict[str, PreparedDataset] = {}
    divided: dict[tuple[str, float], list[_Fold]] = {}
    found = {}
    for arm, config in configs.items():
        which = str(config.data) if config.data is not None else config.phantoms.model_dump_json()
        if which not in datasets:
            datasets[which] = open_dataset(config, display)
        key = (which, spec.share_of(arm))
        if key not in divided:
            divided[key] = _folds(datasets[which], spec, key[1])
        found[arm] = divided[key]
    return found


def _cell(
    spec: StudySpec,
    arm: str,
    config: TrainingConfig,
    seed: int,
    number: int,
    fold: _Fold,
    digest: Callable[[Path], str],
) -> Cell:
    fields: dict[str, Any] = {"seed": seed}
    if config.data is not None or spec.folds > 1 or spec.share_of(arm) < 1:
        fields["data"] = fold.dataset.root.resolve()
    own = config.model_copy(update=fields)
    return Cell(arm, seed, number, spec.folds, own, fold.dataset, _key(own, fold, digest))


def _common_classes(folds: dict[str, list[_Fold]], path: Path) -> None:
    """Refuses arms whose data sets have other classes than the first arm's."""
    first = next(iter(folds.values()))[0].dataset
    for arm, own in folds.items():
        for field in ("image_classes", "pixel_classes"):
            expected, found = (getattr(d.info, field) for d in (first, own[0].dataset))
            if expected != found:
                raise UmlError(
                    f"{path}: arms.{arm}: {own[0].dataset.root}: {field}: found {', '.join(found)}, "
                    f"expected those of the first arm, {', '.join(expected)}"
                )


class OpeningDisplay(StageDisplay, Protocol):
    """Shows the progress while a study is opened."""

    def warn(self, message: str) -> None:
        """Shows a line about something that the user may want to change."""


def open_study(path: Path, display: OpeningDisplay) -> Study:
    """Reads a study, opens its data and lays out its cells; trains nothing.

    Args:
        path: of its YAML.
        display: shows the progress where phantoms are drawn.

    Raises:
        UmlError: the YAML, a config, the data or a metric is wrong, or a locator or teacher was trained on
            test images.
    """
    spec = read_study(path)
    configs = with_fixed_models(arm_configs(spec, path, display.warn))
    folds = _arm_folds(configs, spec, display)
    _common_classes(folds, path)
    tested = {arm: [fold.dataset for fold in own] for arm, own in folds.items()}
    check_tested_unseen(configs, tested, display.warn)
    info = next(iter(folds.values()))[0].dataset.info
    check_names(spec.metrics, info, f"{path}: metrics")
    digest = digest_once()
    cells = [
        _cell(spec, arm, configs[arm], seed, number + 1, folds[arm][number], digest)
        for seed in spec.seeds
        for number in range(spec.folds)
        for arm in spec.arms
    ]
    _check_other_trainings(cells, spec, path)
    return Study(path.stem, spec, tuple(cells), spec.metrics or tuple(default_names(info)), _whole_text(spec))


def _check_other_trainings(cells: Sequence[Cell], spec: StudySpec, path: Path) -> None:
    """Refuses arms that would have the same trainings, as two shares that keep the same subjects do."""
    owners: dict[str, str] = {}
    for cell in cells:
        other = owners.setdefault(cell.key, cell.arm)
        if other != cell.arm:
            field, what = "arms", "trainings"
            if spec.training_share.keys() & {other, cell.arm}:
                field, what = "training_share", "training images"
            raise UmlError(f"{path}: {field}.{cell.arm}: found the {what} of arm '{other}', expected others")


def _whole_text(spec: StudySpec) -> str:
    """The study's YAML, in which the common config stands in place of the name of its file.

    A seed in that file, which is not used, would be refused there.
    """
    data = spec.model_dump(mode="json", exclude_unset=True)
    if isinstance(spec.config, Path):
        common = yaml.safe_load(read_bytes(spec.config)) or {}
        data["config"] = {name: value for name, value in common.items() if name != "seed"}
    return yaml.safe_dump(data, sort_keys=False)


def cells_by_seed(cells: Sequence[Cell]) -> dict[int, list[Cell]]:
    """Seed -> its cells, one of each fold."""
    found: dict[int, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.seed, []).append(cell)
    return found
