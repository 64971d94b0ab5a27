"""What a network is built from, as plain data: importing it imports neither Keras nor TensorFlow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

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
class ConvStyle:
    """How the 3x3 convolutions outside the encoders are made.

    Attributes:
        separable: depthwise 3x3 and pointwise 1x1, without biases, in place of a full convolution.
        activation: Keras activation name.
        dropout: spatial dropout rate, in [0, 1).
        dropout_after_each: dropout after every activation (paper) or once at the block's end.
    """

    separable: bool = False
    activation: str = "relu"
    dropout: float = 0.1
    dropout_after_each: bool = False


@dataclass(frozen=True)
class UpStyle:
    """How one decoder step joins the coarse feature with its skip.

    Attributes:
        align_corners: corner convention of the upsampling.
        conv_before: double convolution of the upsampled feature, before the skip joins.
        conv_after: double convolution of the joined feature.
        skip_first: channel order of the joined feature, [skip, up] or [up, skip].
    """

    align_corners: bool = True
    conv_before: bool = True
    conv_after: bool = True
    skip_first: bool = False


@dataclass(frozen=True)
class MixerSpec:
    """Widths of the feature mixer; see ``LevelMixer``.

    Attributes:
        widths: channels per level that each feature is brought to, finest first.
        filters: output channels per level; None leaves out that level's last convolution.
        integer_safe: see ``PolarizedSelfAttention``.
    """

    widths: tuple[int, ...]
    filters: tuple[int | None, ...]
    integer_safe: bool = False


@dataclass(frozen=True)
class MutualDecoderSpec:
    """Widths and style of the mutual decoder.

    Attributes:
        adjust: channels that the mutual features of levels 4, 3, 2 are brought to by a 1x1 convolution
            without bias, or None for no such step.
        widths: channels of the decoder steps that reach levels 3, 2, 1.
        head_widths: hidden channels of the heads of levels 1, 2, ...; as many levels are supervised.
    """

    adjust: tuple[int, int, int] | None
    widths: tuple[int, int, int]
    head_widths: tuple[int, ...]


@dataclass(frozen=True)
class NavigatorSpec:
    """Kind and widths of the navigator.

    Attributes:
        kind: "attention" gates the skips of levels 3, 2, 1 (released, edge); "concat" joins a reliable
            mask into the coarsest and the finest feature (paper).
        adjust: see ``MutualDecoderSpec``.
        widths: channels of the decoder steps that reach levels 3, 2, 1.
        reduce_average: how maps are made smaller: block mean (edge) or aligned bilinear.
        tile: attention only: repeat the reduced mutual feature to the skip's width, as the released
            network does. A 1x1 convolution follows, so this adds parameters and no new functions.
        bottom: concat only: channels of the coarsest junction.
    """

    kind: Literal["attention", "concat"]
    adjust: tuple[int, int, int] | None
    widths: tuple[int, int, int]
    reduce_average: bool = False
    tile: bool = False
    bottom: int = 0


@dataclass(frozen=True)
class InstructorSpec:
    """Widths of the classification head.

    Attributes:
        widths: channels of the separable convolutions (dilation 2).
        join_mutual: they read the classification feature and the mutual feature m4 together (paper).
        dropout: spatial dropout after each of them.
        dropout_dense: dropout before the last dense layer.
        read_mask: the class also reads how much of each region the final mask shows, where it shows it most,
            and the feature there.
        mask_alone: share of training images whose class is learned from the measures of the mask alone (how
            much of each region, and where it is most), which are batch-normalised then. Without it a network
            that can learn a few hundred labels by heart never needs them.
        detached: the class learns from the segmentation's feature and does not change it. Else images that
            have a label and no mask make of the decoder whatever suits their label.
    """

    widths: tuple[int, ...]
    join_mutual: bool = False
    dropout: float = 0.1
    dropout_dense: float = 0.0
    read_mask: bool = False
    mask_alone: float = 0.0
    detached: bool = False


@dataclass(frozen=True)
class UnetSpec:
    """A plain U-Net with softmax heads, for comparison; see ``uml_tf.networks.unet``.

    Attributes:
        widths: channels of the decoder steps, coarsest first: three reach the encoder's finest feature, a
            fourth goes to twice its size, without a skip.
        dropout: before the class head's dense layer.
    """

    widths: tuple[int, ...]
    dropout: float = 0.2


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
