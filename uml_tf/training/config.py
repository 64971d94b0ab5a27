"""One object that says a whole training run; what YAML holds and MLflow logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.validation_error import describe_validation_error
from uml_tf.networks.presets import PRESETS, preset
from uml_tf.networks.spec import Ablation
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
ABLATION_PARTS = tuple(Ablation.__dataclass_fields__)


def _one_of(known: Iterable[str]) -> Callable[[str], str]:
    """A validator that accepts the known names."""

    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return value

    return check


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LossConfig(_Section):
    """Weights of the joint loss; see ``uml_tf.losses.LossSpec``.

    Attributes:
        cls, seg, mut: weights of the three terms.
        annealing_epochs: epochs until the KL term counts in full.
        segmentation: "dice+ce", "dice", or None for the preset's own.
        class_weights: "none", or "balanced" for weights inverse to the training counts.
        skip_absent: see ``uml_tf.losses.dice.soft_dice_loss``; for data with many empty masks.
    """

    cls: float = Field(default=0.5, ge=0)
    seg: float = Field(default=0.4, ge=0)
    mut: float = Field(default=0.1, ge=0)
    annealing_epochs: float = Field(default=50, gt=0)
    segmentation: Literal["dice", "dice+ce"] | None = None
    class_weights: Literal["none", "balanced"] = "none"
    skip_absent: bool = False


class PhantomConfig(_Section):
    """The embedded data set, drawn when no ``data`` is given.

    Attributes:
        images, seed, size: see ``uml_tf.data.converters.phantom.PhantomOptions``.
    """

    images: int = Field(default=1000, ge=10)
    seed: int = Field(default=0, ge=0)
    size: int = Field(default=192, ge=64)


class TrainingConfig(_Section):
    """Everything that decides a training run.

    Attributes:
        data: folder of a prepared data set, or None for phantoms.
        phantoms: what is drawn then.
        preset: "edge", "released" or "paper".
        without: parts of the method that are switched off (ablation).
        class_encoder, segmentation_encoder: other encoders than the preset's, by name; see
            ``uml_tf.networks.encoders``.
        encoder_weights: "imagenet" for keras-cv presets with published weights, a local file (see
            ``uml_tf.networks.encoder_weights``), or None to start from scratch.
        image_size: side of the square input, pixels.
        epochs, batch_size: the batch size is the global one.
        learning_rate: None for the preset's own (edge 2e-3, published networks 1e-4).
        weight_decay: L2 decay added to the gradient.
        hold_epochs: epochs at the full rate, then polynomial decay; None for 3 tenths of the epochs.
        warmup_epochs: epochs of linear rise before that.
        averaging: decay of the weights' moving average that is validated and kept; 0 for none.
        gradient_clip: largest global norm of the gradient; None for no limit.
        patience: epochs without a better joint score until training stops; None for never.
        seed: seed of weights, order and augmentation.
        precision: "float32", "mixed_bfloat16" or "mixed_float16" (with loss scaling).
        jit: compile the step with XLA.
        masked_share: share of each batch that has a mask, for data sets where only some have.
        loss, augmentation: sections of their own.
    """

    data: Path | None = None
    phantoms: PhantomConfig = PhantomConfig()
    preset: Annotated[str, AfterValidator(_one_of(PRESETS))] = "edge"
    without: tuple[Annotated[str, AfterValidator(_one_of(ABLATION_PARTS))], ...] = ()
    class_encoder: str | None = None
    segmentation_encoder: str | None = None
    encoder_weights: str | None = None
    image_size: int = Field(default=128, ge=32)
    epochs: int = Field(default=14, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=1e-5, ge=0)
    hold_epochs: int | None = Field(default=None, ge=0)
    warmup_epochs: int = Field(default=0, ge=0)
    averaging: float = Field(default=0.99, ge=0, lt=1)
    gradient_clip: float | None = Field(default=None, gt=0)
    patience: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0)
    precision: Precision = "float32"
    jit: bool = False
    masked_share: float | None = Field(default=None, gt=0, lt=1)
    loss: LossConfig = LossConfig()
    augmentation: AugmentationSpec = AugmentationSpec()

    def resolved(self) -> TrainingConfig:
        """The same run with every preset-dependent default written out."""
        defaults = preset(self.preset).training
        update: dict[str, Any] = {}
        if self.data is not None:
            update["data"] = self.data.resolve()  # the run's config holds from any working folder
        if self.learning_rate is None:
            update["learning_rate"] = defaults.learning_rate
        if self.hold_epochs is None:
            update["hold_epochs"] = round(0.3 * self.epochs)
        if self.loss.segmentation is None:
            update["loss"] = self.loss.model_copy(update={"segmentation": defaults.segmentation})
        return self.model_copy(update=update)

    def flat(self) -> dict[str, Any]:
        """Dotted name -> value, as MLflow parameters take them."""
        return _flatten(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """The YAML that ``--config`` takes."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def _flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def _merge(base: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in update.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def parse_config(text: str, name: str, overrides: dict[str, Any]) -> TrainingConfig:
    """A config from YAML, with overrides on top.

    Args:
        text: the YAML, "" for the defaults.
        name: where it comes from, for messages.
        overrides: fields that win over it; nested dicts for sections.

    Raises:
        UmlError: not YAML, or a field is unknown or out of range; source and field named.
    """
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UmlError(f"{name}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise UmlError(f"{name}: found {type(values).__name__}, expected a mapping of fields")
    try:
        return TrainingConfig(**_merge(values, overrides))
    except ValidationError as error:
        raise UmlError(f"{name}: {describe_validation_error(error)}") from error


def load_config(path: Path | None, overrides: dict[str, Any]) -> TrainingConfig:
    """``parse_config`` of a YAML file; of the options alone without one.

    Raises:
        UmlError: the file cannot be read, or as ``parse_config``.
    """
    return parse_config("" if path is None else read_text(path), str(path or "options"), overrides)
