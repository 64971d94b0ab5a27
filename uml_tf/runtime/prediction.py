"""The prediction for one image, as a doctor reads it: numbers, mask and maps at original size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.images import read_picture
from uml_tf.runtime.intervals import RATIO, Bounds, area_name, intervals_around
from uml_tf.runtime.mask_quality import MAPS, mask_quality
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.picture import Picture
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.predictor import Predictor
from uml_tf.runtime.referral import Decision, decide
from uml_tf.runtime.regions import region_members

Array = NDArray[Any]


@dataclass(frozen=True)
class Region:
    """A pixel class or union, as predicted.

    Attributes:
        area: in pixels of the original image.
        box: bounding box (left, top, width, height) in pixels; None for an empty region.
    """

    area: int
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Prediction:
    """What a model predicts for one image.

    Attributes:
        class_name: the most probable class.
        class_probability, class_belief: name -> number in [0, 1].
        class_uncertainty: in (0, 1]; a relative score of how little evidence there is.
        class_confidence: in [0, 1]; the chance that the class is right, for images like those of validation.
        familiarity: in (0, 1]; how like the training images the image is.
        decision: "accept", "refer" or "ungradable", with the reason (``uml_tf.runtime.referral.Decision``).
        mask: ``(H, W)`` uint8 class indices at original size.
        mask_uncertainty, mask_confidence: ``(H, W)`` float32 in [0, 1] at original size.
        regions: name -> area and bounding box.
        cup_to_disc: vertical cup-to-disc ratio in [0, 1]; None without a disc or without these classes.
        mask_quality: region -> the Dice that its mask is estimated to get, None where it is empty; only
            regions for which the validation images could be used.
        intervals: name of a measurement (``uml_tf.runtime.intervals``) -> its 90 % interval, None where the
            validation images were too few or nothing was found; empty for a model of an earlier version.
        roi: the part of the image that was read, where a locator chose it: its "region", and its "box" as
            (left, top, width, height) in pixels, or None where nothing was found and the whole was read.
        spacing: (row, column) size of a pixel of the image in millimetres, where it is known.
        mapped: how the image's values became 0 to 255; "" for 8-bit values that are taken as they are.
    """

    class_name: str
    class_probability: dict[str, float]
    class_belief: dict[str, float]
    class_uncertainty: float
    class_confidence: float
    familiarity: float
    decision: Decision
    mask: Array
    mask_uncertainty: Array
    mask_confidence: Array
    regions: dict[str, Region]
    cup_to_disc: float | None
    mask_quality: dict[str, float | None] = field(default_factory=dict)
    intervals: dict[str, Bounds] = field(default_factory=dict)
    roi: dict[str, Any] | None = None
    spacing: tuple[float, float] | None = None
    mapped: str = ""

    def to_dict(self, image: str) -> dict[str, Any]:
        """The JSON of the output contract."""
        data: dict[str, Any] = {
            "image": image,
            "class": self.class_name,
            "class_probability": self.class_probability,
            "class_belief": self.class_belief,
            "class_uncertainty": self.class_uncertainty,
            "class_confidence": self.class_confidence,
            "familiarity": self.familiarity,
            "decision": self.decision.action,
            "reason": self.decision.reason,
            "mask_uncertainty": float(self.mask_uncertainty.mean()),
            "mask_confidence": float(self.mask_confidence.mean()),
            "pixels": {name: self._region(name) for name in self.regions},
        }
        if self.spacing is not None:
            data["spacing_mm"] = list(self.spacing)
        if self.mapped:
            data["intensity"] = self.mapped
        if self.mask_quality:
            data["mask_quality"] = self.mask_quality
        if self.cup_to_disc is not None:
            data[RATIO] = self.cup_to_disc
            if RATIO in self.intervals:
                data[f"{RATIO}_interval"] = self.intervals[RATIO]
        if self.roi is not None:
            data["roi"] = self.roi
        return data

    def _region(self, name: str) -> dict[str, Any]:
        """Area and box of a region, its interval where it has one; with a spacing also in mm2 and mm."""
        region, measured = self.regions[name], area_name(name)
        data: dict[str, Any] = {"area": region.area, "box": region.box}
        if measured in self.intervals:
            data["area_interval"] = self.intervals[measured]
        if self.spacing is not None:
            row, column = self.spacing
            data["area_mm2"] = region.area * row * column
            if region.box is not None:
                data["width_mm"], data["height_mm"] = region.box[2] * column, region.box[3] * row
        return data


def _largest(maps: Array) -> Array:
    """The index of the largest of ``(H, W, C)``, ``(H, W)`` uint8; of equal ones the first, as by argmax.

    NumPy's argmax takes several times as long where the axis is as short as this.
    """
    largest, *others = (np.ascontiguousarray(maps[..., channel]) for channel in range(maps.shape[-1]))
    index = np.zeros(maps.shape[:2], np.uint8)
    for channel, values in enumerate(others, 1):
        is_larger = (values > largest).view(np.uint8)
        np.maximum(index, is_larger * np.uint8(channel), out=index)  # the channels come in rising order
        np.maximum(largest, values, out=largest)
    return index


def _members_of(mask: Array, indices: Sequence[int]) -> Array:
    """``(H, W)`` uint8, not 0 where an ``(H, W)`` uint8 mask has one of the indices."""
    is_member = np.zeros(256, np.uint8)
    is_member[list(indices)] = 1
    return cv2.LUT(mask, is_member)


def _region(members: Array) -> Region:
    area = cv2.countNonZero(members)
    left, top, width, height = cv2.boundingRect(members)
    return Region(area, (left, top, width, height) if area else None)


def _roi(placement: Placement) -> dict[str, Any] | None:
    if placement.around is None:
        return None
    box = placement.around.box
    found = None if box is None else (box.left, box.top, box.width, box.height)
    return {"region": placement.around.region, "box": found}


def interpret(outputs: dict[str, Array], placement: Placement, card: ModelCard) -> Prediction:
    """The prediction that the contract's arrays of one image stand for.

    Args:
        outputs: name of the output contract -> array without the batch axis.
        placement: of the original image in the network's input.
        card: names and thresholds of the model.
    """
    mask = _largest(placement.restored(outputs, "mask_probability"))
    members = region_members(card.pixel_classes, card.unions)
    regions = {name: _region(_members_of(mask, indices)) for name, indices in members.items()}
    ratio = vertical_cup_to_disc_ratio(mask, card.pixel_classes)
    shown = {name: placement.shown(outputs[name]) for name in MAPS}
    quality = mask_quality(shown, members, card.mask_quality)
    areas = {name: region.area for name, region in regions.items()}

    def named(key: str) -> dict[str, float]:
        return {n: float(v) for n, v in zip(card.image_classes, outputs[key], strict=True)}

    return Prediction(
        class_name=card.image_classes[int(outputs["class_probability"].argmax())],
        class_probability=named("class_probability"),
        class_belief=named("class_belief"),
        class_uncertainty=float(outputs["class_uncertainty"][0]),
        class_confidence=float(outputs["class_confidence"][0]),
        familiarity=float(outputs["familiarity"][0]),
        decision=decide(outputs, card, placement.missing),
        mask=mask,
        mask_uncertainty=placement.restored(outputs, "mask_uncertainty")[..., 0],
        mask_confidence=placement.restored_confidence(outputs, mask),
        regions=regions,
        cup_to_disc=ratio,
        mask_quality=quality,
        intervals=intervals_around(card.intervals, quality, areas, ratio, mask.size),
        roi=_roi(placement),
    )


def of_picture(prediction: Prediction, picture: Picture) -> Prediction:
    """The prediction with what the file of its picture tells."""
    return replace(prediction, spacing=picture.spacing, mapped=picture.mapped)


class Model(Predictor, Protocol):
    """A predictor with its card: a trained network or an exported file.

    Attributes:
        card: names of the classes, and thresholds.
    """

    @property
    def card(self) -> ModelCard:
        """Names of the classes, and thresholds."""

    @property
    def identity(self) -> str:
        """A SHA-256 of what decides the model's answers: two models with the same one give the same."""

    def place(self, image: Array) -> Placement:
        """Where an image ``(H, W, 3)`` lies in the input, by the card's fit."""

    def predict(self, image: Path | str | Array) -> Prediction:
        """Reads one image; see ``predict_image``."""


def predict_image(model: Model, image: Path | str | Array | Picture) -> Prediction:
    """Reads one image with a model.

    Args:
        model: in any form.
        image: a file (any usual format, grey or colour, EXIF orientation applied), RGB ``(H, W, 3)`` uint8,
            or a picture that was read.

    Raises:
        UmlError: the file cannot be read.
    """
    if isinstance(image, Path | str):
        image = read_picture(Path(image), model.card.mapping)
    picture = image if isinstance(image, Picture) else Picture(image)
    placement = model.place(picture.pixels)
    seen = placement.image(picture.pixels)
    outputs = {name: value[0] for name, value in model(seen[None]).items()}
    return of_picture(interpret(outputs, placement, model.card), picture)
