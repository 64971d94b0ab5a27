"""The card of a trained model: names, origin and thresholds, stored in its file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.intervals import Interval
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.placement import FITS, Fit, Placement, place
from uml_tf.runtime.roi import Roi
from uml_tf.runtime.trust import NO_TRUST, Trust

_OLDER = ("refer_above", "gradability")


@dataclass(frozen=True)
class ModelCard:
    """Names, origin and thresholds of a trained model.

    Attributes:
        image_classes, pixel_classes: names, in the order of the outputs.
        unions: region -> the pixel classes it unites.
        fit: how a picture, or the part of it that is read, becomes the network's input; see
            ``uml_tf.runtime.placement``.
        roi: the part of a picture that is read, which a locator finds; None for all of it.
        accept_above: class confidence from which on an answer is accepted; None where none may be.
        risk_target: largest share of wrong classes among the accepted images, with ``risk_confidence``.
        risk_confidence: the confidence with which the validation images show that.
        accept_reason: why no answer may be accepted, where that is so.
        trust: what was fitted on training and validation images.
        mask_quality: region -> how its estimated Dice follows from what is said of the pixels.
        intervals: name of a measurement (``uml_tf.runtime.intervals``) -> its interval.
        run_id: MLflow run of the training.
        dataset, source, licence: name, origin and terms of the data set.
        fingerprint: SHA-256 of the data set.
        intensity: how grey values of more than 8 bits, and those of DICOM, became 0 to 255; None for a data
            set without any, where such a picture is mapped by ``Intensity()``.
    """

    image_classes: tuple[str, ...]
    pixel_classes: tuple[str, ...]
    unions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    fit: Fit = "stretch"
    roi: Roi | None = None
    accept_above: float | None = None
    risk_target: float | None = None
    risk_confidence: float | None = None
    accept_reason: str = ""
    trust: Trust = NO_TRUST
    mask_quality: dict[str, DiceFit] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    run_id: str = ""
    dataset: str = ""
    source: str = ""
    licence: str = ""
    fingerprint: str = ""
    intensity: Intensity | None = None

    def to_dict(self) -> dict[str, Any]:
        """The card as plain data, for the config of a model.

        Without a mapping of intensities there is no field for it: an older runtime reads such a card too.
        """
        data = asdict(self)
        if self.intensity is None:
            del data["intensity"]
        return data

    @property
    def mapping(self) -> Intensity:
        """How grey values of more than 8 bits are mapped for this model."""
        return self.intensity or Intensity()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelCard:
        """The inverse of ``to_dict``; lists, which JSON makes of tuples, become tuples again.

        Raises:
            UmlError: the fit is not known, as in a card of a newer uml-tf.
        """
        values = dict(data)
        if values.get("fit", "stretch") not in FITS:
            raise UmlError(f"model card: fit: found {values['fit']!r}, expected one of {', '.join(FITS)}")
        for key in ("image_classes", "pixel_classes"):
            values[key] = tuple(values[key])
        values["unions"] = {name: tuple(parts) for name, parts in values.get("unions", {}).items()}
        if any([values.pop(name, None) is not None for name in _OLDER]):
            values["accept_reason"] = "its thresholds are those of an older uml-tf"
        if "trust" in values:
            values["trust"] = Trust.from_dict(values["trust"])
        for key, kind in (("mask_quality", DiceFit), ("intervals", Interval)):
            values[key] = {name: kind(**fields) for name, fields in values.get(key, {}).items()}
        if values.get("roi") is not None:
            values["roi"] = Roi(**values["roi"])
        if values.get("intensity") is not None:
            values["intensity"] = Intensity.from_dict(values["intensity"])
        return cls(**values)

    def place(self, image: NDArray[Any], size: tuple[int, int]) -> Placement:
        """Where an image ``(H, W, 3)`` lies in an input of ``size`` = (height, width).

        Raises:
            UmlError: a locator must find the part that is read.
        """
        if self.roi is not None:
            raise UmlError(
                f"model: found a network that reads the part of a picture around its {self.roi.name}, "
                "expected its locator beside it"
            )
        return place(self.fit, (image.shape[0], image.shape[1]), size)
