"""The settings of augmentation. Importing this imports no TensorFlow."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class StyleSpec(BaseModel):
    """How strongly what tells one camera from another is varied; 0 turns a part off.

    The images vary after the geometric and photometric parts of ``AugmentationSpec``; where a network teaches
    itself on images without a mask, it learns from the varied image what it holds of the unvaried one.

    Attributes:
        exchange: share of the images that take over part of another image's colour statistics.
        fourier: share of the images that take over part of the amplitude of another image's low frequencies,
            see ``uml_tf.data.style.with_amplitude``.
        gamma: largest logarithm of the exponent of the tone curve, e.g. 0.4 for 0.67 to 1.5.
        colour: how much of that each colour channel varies by itself, in [0, 1]; 0 for grey images.
        blur: largest standard deviation of a Gaussian blur, share of the side; half of the images stay sharp.
        noise: largest standard deviation of added Gaussian noise, share of the range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    exchange: float = Field(default=0.0, ge=0, le=1)
    fourier: float = Field(default=0.0, ge=0, le=1)
    gamma: float = Field(default=0.0, ge=0, le=2)
    colour: float = Field(default=0.5, ge=0, le=1)
    blur: float = Field(default=0.0, ge=0, le=0.1)
    noise: float = Field(default=0.0, ge=0, lt=1)


class AugmentationSpec(BaseModel):
    """How strongly training images are varied; 0 or "none" turns a part off.

    Attributes:
        flip: axes of random mirroring.
        rotation: largest angle, degrees.
        zoom: largest change of scale, e.g. 0.15 for 85 to 115 %; both sides alike.
        stretch: largest change of one side against the other, e.g. 0.1.
        translation: largest shift, share of the side.
        brightness: largest shift, share of the range.
        contrast: largest relative change of contrast.
        saturation: largest relative change of colour saturation.
        noise: largest standard deviation of added Gaussian noise, share of the range.
        style: see ``StyleSpec``.
        destroyed: share of the images of every batch that are destroyed, by shuffled tiles or heavy noise.
            They have no label and no mask; what is learned from them is to find no evidence. See
            ``uml_tf.data.destruction``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    flip: Literal["none", "horizontal", "vertical", "horizontal_and_vertical"] = "horizontal"
    rotation: float = Field(default=15.0, ge=0, le=180)
    zoom: float = Field(default=0.15, ge=0, lt=1)
    stretch: float = Field(default=0.0, ge=0, lt=1)
    translation: float = Field(default=0.08, ge=0, lt=1)
    brightness: float = Field(default=0.12, ge=0, le=1)
    contrast: float = Field(default=0.2, ge=0, lt=1)
    saturation: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0, lt=1)
    style: StyleSpec = StyleSpec()
    destroyed: float = Field(default=0.0, ge=0, le=0.5)
