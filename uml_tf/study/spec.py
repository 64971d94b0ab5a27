"""What a study is: ways to train (arms), seeds and folds, read from YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from uml_tf.data.validation_error import describe_validation_error
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text
from uml_tf.training.config import LARGEST_SEED, TrainingConfig, parse_config

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]*")


class StudySpec(BaseModel):
    """The content of a study's YAML.

    Attributes:
        config: the config that all arms have in common: a YAML file as ``uml-tf train --config`` takes it, or
            the fields themselves.
        arms: name -> dotted field -> value, as ``uml-tf train --set`` takes them. The others are compared
            with the first.
        seeds: each arm is trained with each of them.
        folds: 1 for the data set's own splits. N > 1 divides all images, those of its test split too, into N
            parts by subject; each is the test split of one training.
        split_seed: seed of that division.
        validation_share: share of the images outside the test part that are the validation split then.
        metrics: reported names, e.g. "dice_lesion"; empty for the headline and decisive metrics.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Path | dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    seeds: tuple[Seed, ...] = Field(default=(0, 1, 2), min_length=1)
    folds: int = Field(default=1, ge=1)
    split_seed: Seed = 0
    validation_share: float = Field(default=0.15, gt=0, lt=1)
    metrics: tuple[str, ...] = ()

    @field_validator("arms", mode="before")
    @classmethod
    def _empty_arms(cls, arms: Any) -> Any:
        """An arm that is named without fields changes nothing."""
        if not isinstance(arms, dict):
            return arms
        return {str(name): {} if fields is None else fields for name, fields in arms.items()}

    @model_validator(mode="after")
    def _consistent(self) -> StudySpec:
        for name in self.arms:
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"arms: found '{name}', expected names of letters, digits, blanks, _ . and -"
                )
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: found {list(self.seeds)}, expected each seed once")
        for field in ("split_seed", "validation_share"):
            if self.folds == 1 and field in self.model_fields_set:
                raise ValueError(f"{field}: found it with 1 fold, expected more folds: it divides the images")
        return self


def read_study(path: Path) -> StudySpec:
    """Reads a study's YAML.

    Raises:
        UmlError: it cannot be read, or a field is missing, unknown or out of range.
    """
    try:
        values = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise UmlError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise UmlError(f"{path}: found {type(values).__name__}, expected a mapping with 'arms'")
    try:
        return StudySpec(**values)
    except (ValidationError, TypeError) as error:
        raise UmlError(f"{path}: {describe_validation_error(error)}") from error


def _set_field(fields: Mapping[str, Any], name: str) -> bool:
    return any(field == name or field.startswith(f"{name}.") for field in fields)


def arm_configs(spec: StudySpec, path: Path) -> dict[str, TrainingConfig]:
    """Arm -> its resolved config, with the config's own seed.

    Args:
        spec: the study.
        path: of its YAML, for messages.

    Raises:
        UmlError: a field is unknown or out of range, sets what the study sets, or two arms are equal.
    """
    if isinstance(spec.config, Path):
        text, source = read_text(spec.config), str(spec.config)
    else:
        text, source = yaml.safe_dump(spec.config), f"{path}: config"
    parse_config(text, source, {})
    configs: dict[str, TrainingConfig] = {}
    for arm, fields in spec.arms.items():
        if _set_field(fields, "seed"):
            raise UmlError(f"{path}: arms.{arm}: seed: found it in an arm, expected it in 'seeds' alone")
        try:
            config = parse_config(text, source, fields).resolved()
        except UmlError as error:
            raise UmlError(f"{path}: arms.{arm}: {str(error).removeprefix('options: ')}") from error
        for other, known in configs.items():
            if known == config:
                raise UmlError(f"{path}: arms.{arm}: found the config of arm '{other}', expected another one")
        configs[arm] = config
    return configs
