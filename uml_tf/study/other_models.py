"""The trained models that a study's arms name: locators and teachers."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.seen_images import check_unseen
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.tracking.card import read_stated
from uml_tf.tracking.models import fixed_reference
from uml_tf.tracking.training_images import trained_on
from uml_tf.training.config import TrainingConfig


def with_fixed_models(configs: Mapping[str, TrainingConfig]) -> dict[str, TrainingConfig]:
    """Arm -> its config, with the run or version that "last" or an alias names now, for all cells alike.

    Raises:
        UmlError: there is no such model.
    """
    names = {model for config in configs.values() for model in config.models}
    fixed = {name: fixed_reference(name) for name in names}
    return {arm: config.with_models(fixed) for arm, config in configs.items()}


def digest_once() -> Callable[[Path], str]:
    """A function that returns the SHA-256 of a file, and reads each file once: cells have many in common."""
    return cache(lambda path: hashlib.sha256(read_bytes(path)).hexdigest())


def by_content(config: TrainingConfig, digest: Callable[[Path], str]) -> TrainingConfig:
    """The config with the SHA-256 of its models' files, as ``digest`` tells it, in place of their paths."""
    files = [model for model in config.models if Path(model).is_file()]
    return config.with_models({file: digest(Path(file)) for file in files})


def check_tested_unseen(
    configs: Mapping[str, TrainingConfig],
    folds: Mapping[str, Sequence[PreparedDataset]],
    warn: Callable[[str], None],
) -> None:
    """Refuses a locator or teacher that was trained on test images: what it knows of them flatters the arm.

    Args:
        configs: arm -> its config.
        folds: arm -> its data sets, one a fold.
        warn: is told of a model of which it is not known what it was trained on.

    Raises:
        UmlError: at least one test image was seen in training, or a model cannot be read.
    """
    known: dict[str, frozenset[str] | None] = {}
    for arm, config in configs.items():
        for model in config.models:
            if model not in known:
                known[model] = _seen(model, warn)
            seen = known[model]
            if seen is None:
                continue
            for dataset in folds[arm]:
                check_unseen(dataset, "test", {f"the model '{model}' of arm '{arm}'": seen})


def _seen(model: str, warn: Callable[[str], None]) -> frozenset[str] | None:
    card = read_stated(model).card
    try:
        return trained_on(card)
    except UmlError as error:
        warn(f"study: model '{model}': it is not known whether it was trained on test images ({error})")
        return None
