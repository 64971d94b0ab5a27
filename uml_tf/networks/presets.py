"""The networks, as data: what ``UML`` is built from."""

from __future__ import annotations

from dataclasses import replace

from uml_tf.networks.block_specs import (
    ConvStyle,
    InstructorSpec,
    MixerSpec,
    MutualDecoderSpec,
    NavigatorSpec,
    UnetSpec,
    UpStyle,
)
from uml_tf.networks.spec import Ablation, EncoderSpec, NetworkSpec, TrainingDefaults
from uml_tf.runtime.errors import UmlError

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
    training=TrainingDefaults(1e-4, "dice"),
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
    average_eta=True,
    stride=2,
    training=TrainingDefaults(2e-3, "dice+ce"),
    evidential_mask=True,
    fused_mask=True,
)

_MOBILENET = EncoderSpec("mobilenet_v2", {"alpha": 0.35, "context": True})

EDGE_PRETRAINED = replace(
    EDGE,
    preset="edge-pretrained",
    class_encoder=_MOBILENET,
    segmentation_encoder=_MOBILENET,
    instructor=replace(EDGE.instructor, read_mask=True, detached=True),
    training=TrainingDefaults(7e-4, "dice+ce", "imagenet", 0.7, 2, kl=0.1),
)

# What segmentation_models.pytorch builds of a MobileNetV2; around the encoder of edge-pretrained; and with a
# decoder so wide that it has the arithmetic of edge-pretrained.
UNET = replace(
    EDGE,
    preset="unet",
    class_encoder=EncoderSpec("mobilenet_v2", {"context": True}),
    segmentation_encoder=EncoderSpec("mobilenet_v2", {"context": True}),
    conv=ConvStyle(dropout=0.0),
    ablation=Ablation(False, False, False, False),
    training=TrainingDefaults(1e-3, "dice+ce"),
    evidential_mask=False,
    fused_mask=False,
    unet=UnetSpec((128, 64, 32, 16)),
)
UNET_EDGE = replace(
    UNET,
    preset="unet-edge",
    class_encoder=_MOBILENET,
    segmentation_encoder=_MOBILENET,
    conv=ConvStyle(separable=True, activation="relu6", dropout=0.0),
    training=EDGE_PRETRAINED.training,
    unet=UnetSpec((96, 48, 32)),
)
UNET_WIDE = replace(UNET_EDGE, preset="unet-wide", unet=UnetSpec((152, 80, 48)))

PRESETS = {spec.preset: spec for spec in (EDGE, EDGE_PRETRAINED, RELEASED, PAPER, UNET, UNET_EDGE, UNET_WIDE)}


def preset(name: str) -> NetworkSpec:
    """The preset of that name.

    Raises:
        UmlError: there is no such preset.
    """
    if name not in PRESETS:
        raise UmlError(f"preset: found '{name}', expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
