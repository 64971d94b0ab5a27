"""The three networks, as data: what ``UML`` is built from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from uml_tf.errors import UmlError
from uml_tf.networks.convolution import ConvStyle
from uml_tf.networks.decoder import UpStyle
from uml_tf.networks.encoders import EncoderSpec
from uml_tf.networks.instructor import InstructorSpec
from uml_tf.networks.mutual_decoder import MutualDecoderSpec
from uml_tf.networks.navigator import NavigatorSpec


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
class NetworkSpec:
    """Everything that defines a network but its class counts and input size.

    Attributes:
        preset: name of the preset it started from.
        class_encoder, segmentation_encoder: the two encoders.
        mixer, mutual_decoder, navigator, instructor: the blocks' specs.
        conv, up: style of the 3x3 convolutions and of the decoder steps.
        normalisation: (scale, offset); the network reads image * scale + offset of RGB 0 to 255.
        average_eta: eta is reduced by block means (edge) or aligned bilinear sampling.
        stride: the finest level's stride; final maps are resized by it to the input size.
        ablation: the parts that are on.
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
    normalisation: tuple[float, float]
    average_eta: bool = False
    stride: int = 1
    ablation: Ablation = field(default_factory=Ablation)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model's config."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> NetworkSpec:
        """The inverse of ``to_dict``, tuples restored after a trip through JSON."""
        parts: dict[str, Any] = {
            "class_encoder": EncoderSpec,
            "segmentation_encoder": EncoderSpec,
            "mixer": MixerSpec,
            "mutual_decoder": MutualDecoderSpec,
            "navigator": NavigatorSpec,
            "instructor": InstructorSpec,
            "conv": ConvStyle,
            "up": UpStyle,
            "ablation": Ablation,
        }
        values = {key: parts[key](**_tuples(value)) if key in parts else value for key, value in data.items()}
        return cls(**_tuples(values))


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


_RES2NET = EncoderSpec("res2net50_v1b_26w_4s")

RELEASED = NetworkSpec(
    preset="released",
    class_encoder=_RES2NET,
    segmentation_encoder=_RES2NET,
    mixer=MixerSpec(widths=(256,) * 4, filters=(64, 256, 512, 1024)),
    mutual_decoder=MutualDecoderSpec(
        adjust=(512, 256, 128), widths=(256, 128, 64), head_widths=(32, 64, 128, 256)
    ),
    navigator=NavigatorSpec("attention", adjust=(512, 256, 128), widths=(256, 128, 64), tile=True),
    instructor=InstructorSpec(widths=(1024, 512, 512, 1024)),
    conv=ConvStyle(),
    up=UpStyle(),
    normalisation=(1 / 255, 0.0),
)

PAPER = NetworkSpec(
    preset="paper",
    class_encoder=_RES2NET,
    segmentation_encoder=EncoderSpec("vgg16_bn"),
    mixer=MixerSpec(widths=(256,) * 4, filters=(64, 128, 256, None)),
    mutual_decoder=MutualDecoderSpec(adjust=None, widths=(256, 128, 64), head_widths=(32,)),
    navigator=NavigatorSpec("concat", adjust=None, widths=(256, 128, 64), bottom=512),
    instructor=InstructorSpec(widths=(1024, 512, 512, 1024), join_mutual=True, dropout=0.0),
    conv=ConvStyle(dropout_after_each=True),
    up=UpStyle(conv_after=False, skip_first=True),
    normalisation=(1 / 255, 0.0),
)

# EfficientNet-Lite has ReLU6 and no squeeze-and-excite: made for integer arithmetic.
_LITE = EncoderSpec(
    "keras_cv:EfficientNetLiteBackbone",
    {"width_coefficient": 0.5, "depth_coefficient": 0.5, "dropout_rate": 0.0, "drop_connect_rate": 0.0},
)

EDGE = NetworkSpec(
    preset="edge",
    class_encoder=_LITE,
    segmentation_encoder=_LITE,
    mixer=MixerSpec(widths=(8, 16, 24, 32), filters=(16, 24, 32, 64), integer_safe=True),
    mutual_decoder=MutualDecoderSpec(adjust=None, widths=(48, 32, 24), head_widths=(16,)),
    navigator=NavigatorSpec("attention", adjust=None, widths=(48, 32, 24), reduce_average=True),
    instructor=InstructorSpec(widths=(96, 96), dropout=0.1, dropout_dense=0.2),
    conv=ConvStyle(separable=True, activation="relu6", dropout=0.0),
    up=UpStyle(align_corners=False, conv_before=False),
    normalisation=(1 / 127.5, -1.0),
    average_eta=True,
    stride=2,
)

PRESETS = {spec.preset: spec for spec in (EDGE, RELEASED, PAPER)}


def preset(name: str) -> NetworkSpec:
    """The preset of that name: "edge", "released" or "paper".

    Raises:
        UmlError: there is no such preset.
    """
    if name not in PRESETS:
        raise UmlError(f"preset: found '{name}', expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
