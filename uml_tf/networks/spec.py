"""What a network is built from, as plain data: importing it imports neither Keras nor TensorFlow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from uml_tf.networks.block_specs import (
    ConvStyle,
    InstructorSpec,
    MixerSpec,
    MutualDecoderSpec,
    NavigatorSpec,
    UnetSpec,
    UpStyle,
)
from uml_tf.runtime.errors import UmlError

CLASS_ENCODER, SEGMENTATION_ENCODER = "class_encoder", "segmentation_encoder"
"""Fields of ``NetworkSpec``, and names of the encoders' models in the network."""


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder by name.

    Attributes:
        name: a name of ``uml_tf.networks.encoders.ENCODERS``, e.g. "vgg16_bn".
        arguments: constructor arguments that differ from the encoder's defaults.
        input_range: (low, high), the range of pixel values that it reads, None for the encoder's default;
            the network maps [0, 255] to it.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    input_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Ablation:
    """Which of the method's four parts are on, for the paper's ablation study.

    Attributes:
        mixer: shuffle and attention in the feature mixer; off: concatenation and 1x1 convolution.
        navigator: pixel uncertainty enters the decoder; off: a plain U-Net decoder.
        instructor: eta instructs the classification feature; off: classification alone.
        evidential: Dirichlet heads; off: softmax heads, with entropy / log K as uncertainty.
    """

    mixer: bool = True
    navigator: bool = True
    instructor: bool = True
    evidential: bool = True


@dataclass(frozen=True)
class TrainingDefaults:
    """What a preset is trained with where the config says nothing.

    Attributes:
        learning_rate: full rate of the schedule.
        segmentation: form of L_seg, "dice" or "dice+ce"; see ``uml_tf.losses.LossSpec``.
        encoder_weights: what the encoders start from, as ``--encoder-weights`` takes it, or None for random
            weights.
        encoder_rate: learning rate of the encoders, as a multiple of ``learning_rate``.
        warmup_epochs: epochs of linear rise.
        kl: full weight of the KL term, see ``uml_tf.losses.LossSpec``.
    """

    learning_rate: float
    segmentation: Literal["dice", "dice+ce"]
    encoder_weights: str | None = None
    encoder_rate: float = 1.0
    warmup_epochs: int = 0
    kl: float = 1.0


@dataclass(frozen=True)
class NetworkSpec:
    """Everything that defines a network but its class counts and input size.

    Attributes:
        preset: name of the preset it started from.
        class_encoder, segmentation_encoder: the two encoders.
        mixer, mutual_decoder, navigator, instructor: the blocks' specs.
        conv, up: style of the 3x3 convolutions and of the decoder steps.
        average_eta: eta is reduced by block means (edge) or aligned bilinear sampling.
        stride: the finest level's stride; final maps are resized by it to the input size.
        ablation: the parts that are on.
        training: what the preset is trained with by default.
        evidential_mask: the head that draws the mask is a Dirichlet head itself: mask, belief and uncertainty
            of a pixel come from one distribution. Else the mask is a softmax, and belief and uncertainty are
            those of the mutual head (as published).
        fused_mask: the evidence of the finest mutual head counts with that of the Dirichlet head that draws
            the mask, as if two witnesses spoke (cumulative fusion, Josang, 2016).
        prior_weight: what a Dirichlet's prior counts for each class against the evidence, lambda: the mean is
            (e + lambda) / (sum e + K lambda) and the uncertainty K lambda / (sum e + K lambda). These are
            those of the concentration e / lambda + 1, which the heads return.
        unet: a plain U-Net in place of the mutual network: it has the segmentation encoder alone, and mixer,
            mutual decoder, navigator and instructor are not built.
    """

    preset: str
    class_encoder: EncoderSpec
    segmentation_encoder: EncoderSpec
    mixer: MixerSpec
    mutual_decoder: MutualDecoderSpec
    navigator: NavigatorSpec
    instructor: InstructorSpec
    conv: ConvStyle
    up: UpStyle
    average_eta: bool = False
    stride: int = 1
    ablation: Ablation = field(default_factory=Ablation)
    training: TrainingDefaults = TrainingDefaults(1e-4, "dice+ce")
    evidential_mask: bool = False
    fused_mask: bool = False
    prior_weight: float = 1.0
    unet: UnetSpec | None = None

    @property
    def draws_by_evidence(self) -> bool:
        """Whether a Dirichlet head draws the mask; False in the ablation without evidential heads."""
        return self.evidential_mask and self.ablation.evidential and self.unet is None

    @property
    def fuses_evidence(self) -> bool:
        """Whether the mask's evidence is that of two heads; False where no Dirichlet head draws it."""
        return self.fused_mask and self.draws_by_evidence

    @property
    def encoders(self) -> tuple[str, ...]:
        """The fields of the encoders that the network has."""
        return (SEGMENTATION_ENCODER,) if self.unet else (CLASS_ENCODER, SEGMENTATION_ENCODER)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model's config."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkSpec:
        """The inverse of ``to_dict``, tuples restored after a trip through JSON.

        Raises:
            UmlError: a field is unknown or missing, or holds anything but numbers, text and lists of them.
        """
        try:
            return cls(**{name: _section(name, value) for name, value in data.items()})
        except TypeError as error:
            raise UmlError(f"network spec: {error}") from error


_SECTIONS: dict[str, Any] = {
    "class_encoder": EncoderSpec,
    "segmentation_encoder": EncoderSpec,
    "mixer": MixerSpec,
    "mutual_decoder": MutualDecoderSpec,
    "navigator": NavigatorSpec,
    "instructor": InstructorSpec,
    "conv": ConvStyle,
    "up": UpStyle,
    "ablation": Ablation,
    "training": TrainingDefaults,
    "unet": UnetSpec,
}


def _section(name: str, value: Any) -> Any:
    """One field of a spec: a section of its own, or a plain value."""
    if name not in _SECTIONS or not isinstance(value, dict):
        return _plain(name, value)
    fields = {}
    for key, part in value.items():
        if key == "arguments" and isinstance(part, dict):
            for argument, given in part.items():
                _plain(f"{name}.arguments.{argument}", given)
            fields[key] = part
        else:
            fields[key] = _plain(f"{name}.{key}", part)
    return _SECTIONS[name](**fields)


def _plain(path: str, value: Any) -> Any:
    """The value, a list as a tuple.

    Keras builds whatever object a dict describes, so a dict in a file from elsewhere could name a class that
    fetches something.

    Raises:
        UmlError: there is anything but numbers, text and lists of them in it.
    """
    if isinstance(value, list | tuple):
        return tuple(_plain(path, part) for part in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UmlError(f"network spec: {path}: found {type(value).__name__}, expected a number, text or a list")


def without(spec: NetworkSpec, *parts: str) -> NetworkSpec:
    """The spec with some of "mixer", "navigator", "instructor", "evidential" switched off."""
    known = spec.ablation.__dataclass_fields__
    for part in parts:
        if part not in known:
            raise UmlError(f"ablation: found '{part}', expected one of {', '.join(known)}")
    return replace(spec, ablation=replace(spec.ablation, **dict.fromkeys(parts, False)))
