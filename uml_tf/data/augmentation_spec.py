"""The settings of augmentation. Importing this imports no TensorFlow."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
