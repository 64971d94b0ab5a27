"""The configuration of a training run: one object, read from YAML and logged to MLflow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError

from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.validation_error import describe_validation_error
from uml_tf.networks.presets import PRESETS, preset
from uml_tf.networks.spec import Ablation
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text
from uml_tf.runtime.placement import Fit
from uml_tf.training.nested_fields import flat_names, holds, merged, nested
from uml_tf.training.sections import (
    LARGEST_SEED,
    LossConfig,
    PhantomConfig,
    RoiConfig,
    Section,
    Tasks,
    TeachingConfig,
)

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
ABLATION_PARTS = tuple(Ablation.__dataclass_fields__)


def _one_of(known: Iterable[str]) -> Callable[[str], str]:
    """A validator that accepts the known names."""

    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return value

    return check


class TrainingConfig(Section):
    """Everything that determines a training run.

    Attributes:
        data: folder of a prepared data set, or None for phantoms.
        phantoms: the phantoms that are drawn then.
        preset: a name of ``uml_tf.networks.presets.PRESETS``.
        without: parts of the method that are switched off (ablation).
        tasks: "both"; or "class" or "mask" to learn and choose the epoch by that one alone, as the rival of
            learning both. A class alone is learned without the instructor and reads no mask. What is returned
            for the other task means nothing then.
        mask_alone: share of the training images whose class is learned from the measures of the mask alone,
            see ``uml_tf.networks.block_specs.InstructorSpec``; None for the preset's default.
        bounded_instruction: whether the instruction at most doubles a feature of the class, see
            ``uml_tf.networks.block_specs.InstructorSpec``. It is for presets whose activation is ReLU6.
        fused_mask: whether the mask of ``edge`` and ``edge-pretrained`` has the evidence of both decoders, or
            that of the navigator alone.
        teachers: trained MODELs of which this network learns mean and spread as one Dirichlet, see
            ``uml_tf.training.distillation``; of images without label or mask too.
        class_encoder, segmentation_encoder: names of other encoders than the preset's; see
            ``uml_tf.networks.encoders``.
        encoder_weights: "imagenet" for the published weights of an encoder that has some, a local file (see
            ``uml_tf.networks.encoder_weights``), "none" for random weights, or None for the preset's default.
        encoder_rate: learning rate of the encoders, as a multiple of the network's; below 1 for pretrained
            encoders, 0 to keep them as they are, None for the preset's default.
        encoder_decay: learning rate of a stage of the encoders, as a multiple of the next stage's: below 1
            the first layers, which see edges and colours, change the least. The last stage, which computes
            the coarsest feature, has ``encoder_rate``.
        frozen_norms: keep the encoders' batch norms as loaded, scale and statistics; for pretrained encoders
            and small batches.
        image_size: side of the square input, pixels.
        fit: how a picture becomes that square; see ``uml_tf.runtime.placement``.
        roi: see ``RoiConfig``.
        epochs: number of epochs.
        batch_size: images per step, over all devices together.
        learning_rate: None for the preset's default.
        weight_decay: L2 decay added to the gradient.
        hold_epochs: epochs at the full rate, before the polynomial decay; None for 3 tenths of the epochs.
        warmup_epochs: epochs of linear rise, counted within the held ones; None for the preset's default.
        averaging: decay per step of the moving average of the weights, which is validated and kept; 0 to
            validate and keep the weights themselves.
        gradient_clip: largest global norm of the gradient; None for no limit.
        patience: epochs without a better validation score after which training stops; None for never.
        seed: seed of weights, order and augmentation, below 2^32.
        precision: "float32", "mixed_bfloat16" or "mixed_float16" (with loss scaling).
        jit: compile the step with XLA.
        masked_share: share of each batch that has a mask, for data sets where only some images have one.
        batch_statistics: "masked" for batch norms on the mask's way that take their statistics from the
            images with a mask, where others have none; "all" for those of all images. See
            ``uml_tf.networks.counted_images``.
        batch_norm: where several devices share a batch, "global" for batch norms that take their statistics
            from all of it, so that the result does not depend on the number of devices, or "device" for
            those of each device's own images, which need no exchange between the layers.
        without_masks: what images without a mask add beside their label: "ignore" for nothing, "teach" for
            the pixels that the averaged network holds for sure. It needs ``averaging``.
        teaching: see ``TeachingConfig``.
        risk_target: largest share of wrong classes among the images that the trained network accepts.
        confidence: with which the validation images are to show that.
        loss: see ``LossConfig``.
        augmentation: see ``uml_tf.data.augmentation_spec.AugmentationSpec``.
    """

    data: Path | None = None
    phantoms: PhantomConfig = PhantomConfig()
    preset: Annotated[str, AfterValidator(_one_of(PRESETS))] = "edge"
    without: tuple[Annotated[str, AfterValidator(_one_of(ABLATION_PARTS))], ...] = ()
    tasks: Tasks = "both"
    mask_alone: float | None = Field(default=None, ge=0, lt=1)
    bounded_instruction: bool = False
    fused_mask: bool = True
    teachers: tuple[str, ...] = ()
    class_encoder: str | None = None
    segmentation_encoder: str | None = None
    encoder_weights: str | None = None
    encoder_rate: float | None = Field(default=None, ge=0)
    encoder_decay: float = Field(default=1.0, gt=0, le=1)
    frozen_norms: bool = False
    image_size: int = Field(default=128, ge=32)
    fit: Fit = "stretch"
    roi: RoiConfig = RoiConfig()
    epochs: int = Field(default=14, ge=1)
    batch_size: int = Field(default=8, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float = Field(default=1e-5, ge=0)
    hold_epochs: int | None = Field(default=None, ge=0)
    warmup_epochs: int | None = Field(default=None, ge=0)
    averaging: float = Field(default=0.99, ge=0, lt=1)
    gradient_clip: float | None = Field(default=None, gt=0)
    patience: int | None = Field(default=None, ge=1)
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    precision: Precision = "float32"
    jit: bool = False
    masked_share: float | None = Field(default=None, gt=0, lt=1)
    batch_statistics: Literal["masked", "all"] = "masked"
    batch_norm: Literal["global", "device"] = "global"
    without_masks: Literal["ignore", "teach"] = "ignore"
    teaching: TeachingConfig = TeachingConfig()
    risk_target: float = Field(default=0.05, gt=0, lt=1)
    confidence: float = Field(default=0.9, gt=0, lt=1)
    loss: LossConfig = LossConfig()
    augmentation: AugmentationSpec = AugmentationSpec()

    def resolved(self) -> TrainingConfig:
        """A copy in which every default that depends on the preset or the epochs is filled in."""
        defaults = preset(self.preset).training
        update: dict[str, Any] = {}
        if self.data is not None:
            update["data"] = self.data.resolve()  # so that the config is valid in any working folder
        for name in ("learning_rate", "encoder_weights", "encoder_rate", "warmup_epochs"):
            if getattr(self, name) is None:
                update[name] = getattr(defaults, name)
        if self.hold_epochs is None:
            update["hold_epochs"] = round(0.3 * self.epochs)
        of_loss = {name: getattr(defaults, name) for name in ("segmentation", "kl")}
        missing = {name: value for name, value in of_loss.items() if getattr(self.loss, name) is None}
        if missing:
            update["loss"] = self.loss.model_copy(update=missing)
        files = {model: str(Path(model).resolve()) for model in self.models if Path(model).is_file()}
        return self.with_models(files).model_copy(update=update)

    @property
    def models(self) -> tuple[str, ...]:
        """The trained models that it names: the locator, and the teachers."""
        return tuple(model for model in (self.roi.model, *self.teachers) if model is not None)

    def with_models(self, names: Mapping[str, str]) -> TrainingConfig:
        """A copy in which these ``models`` are called otherwise."""
        roi = self.roi.model_copy(update={"model": names.get(self.roi.model or "", self.roi.model)})
        teachers = tuple(names.get(model, model) for model in self.teachers)
        return self.model_copy(update={"roi": roi, "teachers": teachers})

    def flat(self) -> dict[str, Any]:
        """Dotted name -> value, for MLflow's parameters."""
        return flat_names(self.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """The config as YAML, as ``--config`` reads it."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)


def _describe(error: ValidationError) -> str:
    """The first problem as "field: found ..., expected ..."; an unknown field with the known ones."""
    first = error.errors()[0]
    if first["type"] != "extra_forbidden":
        return describe_validation_error(error)
    section: Any = TrainingConfig
    for part in first["loc"][:-1]:
        section = section.model_fields[part].annotation
    name, known = ".".join(map(str, first["loc"])), ", ".join(section.model_fields)
    close = get_close_matches(str(first["loc"][-1]), section.model_fields, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{name}: found {first['input']!r} for an unknown field, expected one of {known}{hint}"


def _validated(values: dict[str, Any], name: str, overrides: dict[str, Any]) -> TrainingConfig:
    try:
        return TrainingConfig(**merged(values, overrides))
    except ValidationError as error:
        source = "options" if holds(overrides, error.errors()[0]["loc"]) else name
        raise UmlError(f"{source}: {_describe(error)}") from error


def parse_assignment(text: str) -> tuple[str, Any]:
    """Field and value of ``FIELD=VALUE``, as ``--set`` takes it; the value is YAML.

    Example:
        >>> parse_assignment("loss.cls=0.3")
        ('loss.cls', 0.3)

    Raises:
        UmlError: there is no "=", or the value is not YAML.
    """
    field, equals, value = text.partition("=")
    if not equals or not field.strip():
        raise UmlError(f"--set: found '{text}', expected FIELD=VALUE, e.g. loss.cls=0.3")
    try:
        return field.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UmlError(f"--set {field}: found '{value}', expected a YAML value") from error


def with_fields(config: TrainingConfig, fields: Mapping[str, Any]) -> TrainingConfig:
    """A copy of a config with some fields replaced.

    Example:
        >>> with_fields(TrainingConfig(), {"loss.cls": 0.3, "augmentation.noise": 0})

    Args:
        config: the config.
        fields: dotted name -> value.

    Raises:
        UmlError: a field is unknown or its value is out of range; the field is named.
    """
    return _validated(config.model_dump(), "config", nested(fields))


def parse_config(text: str, name: str, overrides: Mapping[str, Any]) -> TrainingConfig:
    """A config from YAML, with some fields replaced.

    Args:
        text: the YAML, "" for the defaults.
        name: of the YAML, for messages.
        overrides: dotted name -> value; they replace the YAML's.

    Raises:
        UmlError: it is not YAML, or a field is unknown or out of range; the source and the field are named.
    """
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UmlError(f"{name}: not valid YAML ({' '.join(str(error).split())})") from error
    if not isinstance(values, dict):
        raise UmlError(f"{name}: found {type(values).__name__}, expected a mapping of fields")
    return _validated(values, name, nested(overrides))


def load_config(path: Path | None, overrides: Mapping[str, Any]) -> TrainingConfig:
    """``parse_config`` of a YAML file; without a file, of the defaults.

    Raises:
        UmlError: the file cannot be read, or as ``parse_config``.
    """
    return parse_config("" if path is None else read_text(path), str(path or "options"), overrides)
