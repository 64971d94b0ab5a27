"""Several predictions of one picture as one model: an ensemble, passes with dropout, or flips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.evaluation.doubt import MEMBERS_DICE
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.evidence import opinion_from_probability
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.prediction import Model, Prediction, predict_image
from uml_tf.runtime.predictor import Outputs
from uml_tf.runtime.trust import NO_TRUST

Array = NDArray[Any]
Member = Callable[[Array], Outputs]


def members_dice(masks: Array, classes: int) -> Array:
    """Mean Dice between the masks of each two members over the foreground classes that either shows.

    Args:
        masks: ``(M, B, H, W)`` class indices of M members.
        classes: number of pixel classes.

    Returns:
        ``(B, 1)`` float32 in [0, 1]; 1 where no member shows any region.
    """
    first, second = np.triu_indices(len(masks), 1)
    total, count = (np.zeros(masks.shape[1]) for _ in range(2))
    for index in range(1, classes):
        member = (masks == index).reshape(*masks.shape[:2], -1).astype(np.float32)
        common = np.einsum("mbp,nbp->bmn", member, member, optimize=True)
        area = np.einsum("bmm->bm", common)
        both = area[:, first] + area[:, second]
        dice = 2 * common[:, first, second] / np.maximum(both, 1)
        total += dice.sum(axis=1)
        count += (both > 0).sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), 1.0)
    return mean[:, None].astype(np.float32)


def mean_outputs(outputs: Sequence[Outputs]) -> Outputs:
    """The outputs of several predictions of the same images as those of one model.

    Probabilities are averaged; belief and uncertainty follow from the mean as for a softmax network, and the
    confidence, where the members tell one, is the largest mean probability. Familiarity is averaged.

    Args:
        outputs: of each member.
    """
    found: Outputs = {}
    for part in ("class", "mask"):
        mean = np.mean([one[f"{part}_probability"] for one in outputs], axis=0)
        probability, belief, uncertainty = opinion_from_probability(mean)
        found |= {
            f"{part}_probability": probability,
            f"{part}_belief": belief,
            f"{part}_uncertainty": uncertainty,
        }
        if f"{part}_confidence" in outputs[0]:
            found[f"{part}_confidence"] = mean.max(axis=-1, keepdims=True)
    if "familiarity" in outputs[0]:
        found["familiarity"] = np.mean([one["familiarity"] for one in outputs], axis=0)
    masks = np.stack([one["mask_probability"].argmax(axis=-1) for one in outputs])
    found[MEMBERS_DICE] = members_dice(masks, found["mask_probability"].shape[-1])
    return found


class MeanModel:
    """A model whose answer is the mean of several predictions.

    It makes no decisions: the card's thresholds were fitted for a single prediction of one network.

    Args:
        first: tells how a picture becomes an input, and the card.
        members: each returns outputs for ``(N, h, w, 3)``, N at most the batch size.
        batch_size: the smallest of the members; None for the first's.
        way: how the models are asked, e.g. "flips".
        others: the models that answer beside the first.
    """

    def __init__(
        self,
        first: Model,
        members: Sequence[Member],
        batch_size: int | None = None,
        *,
        way: str = "ensemble",
        others: Sequence[Model] = (),
    ) -> None:
        self._first, self._members = first, tuple(members)
        self._way, self._others = way, tuple(others)
        self.image_size, self.batch_size = first.image_size, batch_size or first.batch_size

    @property
    def card(self) -> ModelCard:
        """The first's names and origin, without what was fitted: that holds for a single prediction."""
        return replace(
            self._first.card,
            accept_above=None,
            accept_reason="nothing is fitted for a mean of several predictions",
            trust=NO_TRUST,
            mask_quality={},
            intervals={},
        )

    @property
    def identity(self) -> str:
        """Of all models and the way they are asked; see ``uml_tf.runtime.prediction.Model``."""
        models = " ".join(model.identity for model in (self._first, *self._others))
        return sha256(f"mean of {len(self._members)}, {self._way}: {models}".encode()).hexdigest()

    def __call__(self, images: Array) -> Outputs:
        """The outputs for ``(N, h, w, 3)`` images in [0, 255], N at most ``batch_size``."""
        return mean_outputs([member(images) for member in self._members])

    def place(self, image: Array) -> Placement:
        """Where an image ``(H, W, 3)`` lies in the input."""
        return self._first.place(image)

    def predict(self, image: Path | str | Array) -> Prediction:
        """Reads one image; see ``uml_tf.runtime.prediction.predict_image``."""
        return predict_image(self, image)


def ensemble(models: Sequence[Model]) -> MeanModel:
    """The mean of several models.

    Raises:
        UmlError: they have other classes, read pictures in another way, or inputs of another size.
    """
    first = models[0]
    for model in models[1:]:
        for name in ("image_classes", "pixel_classes", "fit", "roi"):
            expected, found = getattr(first.card, name), getattr(model.card, name)
            if expected != found:
                raise UmlError(f"ensemble: {name}: found {found}, expected the first model's {expected}")
        if model.image_size != first.image_size:
            raise UmlError(
                f"ensemble: image size: found {model.image_size}, expected the first's {first.image_size}"
            )
    return MeanModel(first, models, min(model.batch_size for model in models), others=models[1:])


def with_flips(model: Model) -> MeanModel:
    """The mean of a model's answers for a picture and for its mirror image, whose maps are mirrored back."""

    def mirrored(images: Array) -> Outputs:
        outputs = model(np.ascontiguousarray(images[:, :, ::-1]))
        return {name: value[:, :, ::-1] if value.ndim == 4 else value for name, value in outputs.items()}

    return MeanModel(model, [model, mirrored], way="flips")
