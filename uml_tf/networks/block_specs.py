"""What the network's blocks are built from, as plain data; ``uml_tf.networks.spec`` joins them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
        bounded: the instruction at most doubles a feature: it is a sixth of the double convolution on eta,
            whose activation is ReLU6. Without it, up to sevenfold, some networks of few images become sure of
            those that they have learned by heart.
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
    bounded: bool = False


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
