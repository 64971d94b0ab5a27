"""The part of the training config that says which part of every image is read."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class RoiConfig(BaseModel):
    """The part of every image that the network reads; see ``uml_tf.runtime.roi``.

    Attributes:
        model: the locator, a MODEL that reads whole images; None to read all of every image.
        region: a pixel class or union of the locator; "" for everything that is not background.
        margin: around the region, as a share of its longer side, on each side.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    region: str = ""
    margin: float = Field(default=0.5, ge=0, le=4)


def parse_roi(text: str) -> dict[str, Any]:
    """The fields of ``LOCATOR[:REGION]``, as ``--roi`` takes it.

    Example:
        >>> parse_roi("models:/discs@champion:disc")
        {'roi.model': 'models:/discs@champion', 'roi.region': 'disc'}
    """
    model, colon, region = text.rpartition(":")
    if not colon or "/" in region:  # the colon of models:/NAME or of runs:/ID
        return {"roi.model": text}
    return {"roi.model": model, "roi.region": region}
