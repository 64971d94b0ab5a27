"""What a trained model says of itself, carried inside its file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelCard:
    """Names, origin and referral threshold of a trained model.

    Attributes:
        image_classes, pixel_classes: names, in the order of the outputs.
        unions: region -> the pixel classes it unites.
        refer_above: class uncertainty above which an image is referred to a specialist, or None when
            nothing was fitted.
        risk_target: the selective risk on the validation split that the threshold was fitted for.
        run_id: MLflow run that trained it.
        dataset: name of the data set.
        fingerprint: SHA-256 of the data set.
    """

    image_classes: tuple[str, ...]
    pixel_classes: tuple[str, ...]
    unions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refer_above: float | None = None
    risk_target: float | None = None
    run_id: str = ""
    dataset: str = ""
    fingerprint: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a model's config."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelCard:
        """The inverse of ``to_dict``, tuples restored after a trip through JSON."""
        values = dict(data)
        for key in ("image_classes", "pixel_classes"):
            values[key] = tuple(values[key])
        values["unions"] = {name: tuple(parts) for name, parts in values.get("unions", {}).items()}
        return cls(**values)
