"""What a study is: ways to train (arms), seeds and folds, read from YAML."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from uml_tf.data.validation_error import describe_validation_error
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text
from uml_tf.training.config import LARGEST_SEED, TrainingConfig, parse_config

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Share = Annotated[float, Field(gt=0, le=1)]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]*")


class Combination(BaseModel):
    """How the networks of an arm give the mean of several predictions as one answer; nothing is trained.

    Attributes:
        of: the arm.
        passes: of each network, with dropout (Monte Carlo dropout); None for none.
        flips: whether each network is asked for an image and for its mirror image.
        ensemble: whether the networks of all seeds answer together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    of: str
    passes: int | None = Field(default=None, ge=2)
    flips: bool = False
    ensemble: bool = False

    @model_validator(mode="before")
    @classmethod
    def _mapping(cls, fields: Any) -> Any:
        """YAML reads some names as numbers or truth values, and an empty combination as None."""
        if isinstance(fields, dict):
            of = fields.get("of")
            return fields | {"of": str(of)} if isinstance(of, (int, float)) else fields
        raise ValueError("expected a mapping with 'of' and one of passes, flips and ensemble")

    @property
    def asked(self) -> tuple[str, ...]:
        """Which of "passes", "flips" and "ensemble" it is; exactly one in a study that was read."""
        found = {"passes": self.passes is not None, "flips": self.flips, "ensemble": self.ensemble}
        return tuple(name for name, is_asked in found.items() if is_asked)

    def networks(self, seeds: int) -> int:
        """How many networks an answer takes, of an arm with that many seeds."""
        return seeds if self.ensemble else 1

    def predictions(self, seeds: int) -> int:
        """How many predictions of a network an answer takes, of an arm with that many seeds."""
        return self.networks(seeds) * (self.passes or (2 if self.flips else 1))


class StudySpec(BaseModel):
    """The content of a study's YAML.

    Attributes:
        config: the config that all arms have in common: a YAML file as ``uml-tf train --config`` takes it, or
            the fields themselves.
        arms: name -> dotted field -> value, as ``uml-tf train --set`` takes them. The others are compared
            with the first.
        training_share: arm -> share of the training subjects that it learns from, in (0, 1]; 1 for an arm
            that is not named. See ``uml_tf.study.fewer_subjects``.
        combined: name -> how networks of an arm are asked several times; compared with the first arm too.
        seeds: each arm is trained with each of them.
        folds: 1 for the data set's own splits. N > 1 divides all images, those of its test split too, into N
            parts by subject; each is the test split of one training.
        split_seed: seed of that division, and of the choice of ``training_share``.
        validation_share: share of the images outside the test part that are the validation split then.
        metrics: reported names, e.g. "dice_lesion"; empty for the headline and decisive metrics.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Path | dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, dict[str, Any]] = Field(min_length=1)
    training_share: dict[str, Share] = Field(default_factory=dict)
    combined: dict[str, Combination] = Field(default_factory=dict)
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

    @field_validator("combined", "training_share", mode="before")
    @classmethod
    def _named_by_text(cls, named: Any) -> Any:
        """YAML reads a name of digits as a number."""
        return {str(k): v for k, v in named.items()} if isinstance(named, dict) else named

    @model_validator(mode="after")
    def _consistent(self) -> StudySpec:
        for field, names in (("arms", self.arms), ("combined", self.combined)):
            for name in names:
                if not _NAME.fullmatch(name):
                    raise ValueError(
                        f"{field}: found '{name}', expected names of letters, digits, blanks, _ . and -"
                    )
        self._check_combined()
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds: found {list(self.seeds)}, expected each seed once")
        for arm in self.training_share:
            if arm not in self.arms:
                raise ValueError(
                    f"training_share: found '{arm}', expected an arm, one of {', '.join(self.arms)}"
                )
        for field in ("split_seed", "validation_share"):
            chooses = field == "split_seed" and self.has_shares
            if self.folds == 1 and field in self.model_fields_set and not chooses:
                raise ValueError(f"{field}: found it with 1 fold, expected more folds: it divides the images")
        return self

    @property
    def has_shares(self) -> bool:
        """Whether an arm learns from fewer than all training subjects."""
        return any(share < 1 for share in self.training_share.values())

    def share_of(self, arm: str) -> float:
        """Share of the training subjects that an arm learns from, in (0, 1]."""
        return self.training_share.get(arm, 1.0)

    def _check_combined(self) -> None:
        known: dict[Combination, str] = {}
        for name, one in self.combined.items():
            problem = self._combined_problem(name, one)
            if not problem and one in known:
                problem = f": found the same as '{known[one]}', expected another one"
            if problem:
                raise ValueError(f"combined.{name}{problem}")
            known[one] = name

    def _combined_problem(self, name: str, one: Combination) -> str:
        """What is wrong with it, behind its name; "" where nothing is."""
        if name in self.arms:
            return ": found the name of an arm, expected another one"
        if one.of not in self.arms:
            return f".of: found '{one.of}', expected an arm, one of {', '.join(self.arms)}"
        if len(one.asked) != 1:
            return f": found {' and '.join(one.asked) or 'none'}, expected one of passes, flips and ensemble"
        if one.ensemble and len(self.seeds) < 2:
            return f".ensemble: found {len(self.seeds)} seed, expected at least 2: it is of all seeds"
        return ""


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


def _check_common_seed(
    common: TrainingConfig, spec: StudySpec, path: Path, warn: Callable[[str], None]
) -> None:
    """Refuses a seed in the study's own YAML; warns of another in a file, which may be that of a training."""
    if "seed" not in common.model_fields_set:
        return
    if not isinstance(spec.config, Path):
        raise UmlError(f"{path}: config: seed: found it in the config, expected it in 'seeds' alone")
    if common.seed not in spec.seeds:
        seeds = ", ".join(map(str, spec.seeds))
        warn(f"study: {spec.config}: seed: {common.seed} is not used, the study's 'seeds' are {seeds}")


def arm_configs(
    spec: StudySpec, path: Path, warn: Callable[[str], None] = lambda line: None
) -> dict[str, TrainingConfig]:
    """Arm -> its resolved config, with the config's own seed.

    Args:
        spec: the study.
        path: of its YAML, for messages.
        warn: is told of a seed in the common config's file that is none of the study's.

    Raises:
        UmlError: a field is unknown or out of range, sets what the study sets, or two arms are equal.
    """
    if isinstance(spec.config, Path):
        text, source = read_text(spec.config), str(spec.config)
    else:
        text, source = yaml.safe_dump(spec.config), f"{path}: config"
    _check_common_seed(parse_config(text, source, {}), spec, path, warn)
    configs: dict[str, TrainingConfig] = {}
    for arm, fields in spec.arms.items():
        if _set_field(fields, "seed"):
            raise UmlError(f"{path}: arms.{arm}: seed: found it in an arm, expected it in 'seeds' alone")
        try:
            config = parse_config(text, source, fields).resolved()
        except UmlError as error:
            raise UmlError(f"{path}: arms.{arm}: {str(error).removeprefix('options: ')}") from error
        for other, known in configs.items():
            if known == config and spec.share_of(other) == spec.share_of(arm):
                raise UmlError(f"{path}: arms.{arm}: found the config of arm '{other}', expected another one")
        configs[arm] = config
    return configs
