"""The sections of the training config."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

LARGEST_SEED = 2**32 - 1
"""NumPy's legacy generator, which Keras seeds too, accepts no larger one."""


Tasks = Literal["both", "class", "mask"]
"""What a network is trained for."""


class Section(BaseModel):
    """Fields that cannot be changed, and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LossConfig(Section):
    """Weights of the joint loss; see ``uml_tf.losses.LossSpec``.

    Attributes:
        cls, seg, mut: weights of the three terms.
        kl: full weight of the KL term, which takes back evidence for wrong classes; None for the preset's
            default. With the paper's 1 a network that is often wrong ends with hardly any evidence.
        annealing_epochs: epochs until the KL term has its full weight.
        segmentation: "dice+ce", "dice", or None for the preset's default.
        class_weights: "none", or "balanced" for weights inverse to the class counts of the training split.
        skip_absent: see ``uml_tf.losses.dice.soft_dice_loss``; for data with many empty masks.
        ratio: weight of the error of the cup-to-disc ratio within L_seg, for images whose manifest tells it
            (column ``vertical_cup_to_disc_ratio``), also without a mask; see ``uml_tf.losses.cup_to_disc``.
        taught: weight of what ``teachers`` teach, against the truth.
        objective: what a Dirichlet head learns: "expected", the expected cross-entropy and the KL term, or
            "squared", the squared error of the mean, without ``kl``; see ``uml_tf.losses``.
        prior_weight: of the Dirichlet heads; below 1 a network needs less evidence to be sure. See
            ``uml_tf.networks.spec.NetworkSpec``.
        destroyed_weight: weight of the evidence found in the images that ``augmentation.destroyed`` destroys.
        dice_over: "batch", or "image" where regions differ much in size or are often missed; see
            ``uml_tf.losses.dice.image_dice_loss``.
    """

    cls: float = Field(default=0.5, ge=0)
    seg: float = Field(default=0.4, ge=0)
    mut: float = Field(default=0.1, ge=0)
    kl: float | None = Field(default=None, ge=0)
    annealing_epochs: float = Field(default=50, gt=0)
    segmentation: Literal["dice", "dice+ce"] | None = None
    class_weights: Literal["none", "balanced"] = "none"
    skip_absent: bool = False
    dice_over: Literal["batch", "image"] = "batch"
    ratio: float = Field(default=0.0, ge=0)
    taught: float = Field(default=0.5, gt=0, le=1)
    objective: Literal["expected", "squared"] = "expected"
    prior_weight: float = Field(default=1.0, gt=0)
    destroyed_weight: float = Field(default=1.0, gt=0)


class TeachingConfig(Section):
    """How images without a mask are taught; see ``uml_tf.training.teaching.Teacher``.

    Attributes:
        weight: of a taught image against one with a mask.
        start: share of the epochs before which nothing is taught.
        ramp: share of the epochs over which the weight then rises from 0.
        spread: standard deviations of vacuity above its mean up to which a pixel is taught.
    """

    weight: float = Field(default=1.0, gt=0, le=1)
    start: float = Field(default=0.2, ge=0, lt=1)
    ramp: float = Field(default=0.2, ge=0, le=1)
    spread: float = Field(default=0.0, ge=-5, le=5)


class PhantomConfig(Section):
    """The synthetic data set that is used when no ``data`` is given.

    Attributes:
        images, seed, size: see ``uml_tf.data.converters.phantom.PhantomOptions``.
    """

    images: int = Field(default=1000, ge=10)
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED)
    size: int = Field(default=192, ge=64)


class RoiConfig(Section):
    """The part of every image that the network reads; see ``uml_tf.runtime.roi``.

    Attributes:
        model: the locator, a MODEL that reads whole images; None to read all of every image.
        region: a pixel class or union of the locator; "" for everything that is not background.
        margin: around the region, as a share of its longer side, on each side.
    """

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
