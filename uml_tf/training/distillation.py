"""Trained networks that teach another: their mean and spread, as one Dirichlet for image and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from uml_tf.data.dataset import DatasetInfo
from uml_tf.losses.distillation import mixture_concentration
from uml_tf.networks import UML
from uml_tf.networks.spec import NetworkSpec
from uml_tf.runtime.contract import softmax
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.placement import Fit
from uml_tf.runtime.roi import Roi
from uml_tf.tracking.models import load_model


class TeacherNetworks:
    """Gives every image of a batch what trained networks say of it, before all that was fitted.

    They read the same augmented image as the network that learns from them, at their own size.

    Args:
        networks: at least one; a single one must have Dirichlet heads, since a single softmax has no spread.
        size: (H, W) of the network that learns.

    Source: a patient and consistent teacher (Beyer et al., CVPR 2022); for the mixture see
        ``uml_tf.losses.distillation.mixture_concentration``.
    """

    def __init__(self, networks: Sequence[UML], size: tuple[int, int]) -> None:
        if len(networks) == 1 and not networks[0].spec.ablation.evidential:
            raise UmlError(
                "teachers: found one network with softmax heads, expected several or Dirichlet heads: "
                "a single softmax has no spread to learn"
            )
        self._networks, self._size = tuple(networks), size

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The batch with ``taught_class`` (B, K) and ``taught_mask`` (B, H, W, C), concentrations."""
        found = [self._opinions(network, batch["image"]) for network in self._networks]
        taught = {}
        for place, name in enumerate(("taught_class", "taught_mask")):
            means, spreads = zip(*(opinions[place] for opinions in found), strict=True)
            taught[name] = tf.stop_gradient(mixture_concentration(means, spreads))
        return {**batch, **taught}

    def _resized(self, maps: Any, size: tuple[int, int]) -> Any:
        same = tuple(maps.shape[1:3]) == size
        return maps if same else tf.image.resize(maps, size, antialias=maps.shape[1] > size[0])

    def _opinions(self, network: UML, images: Any) -> list[tuple[Any, Any]]:
        """(mean, 1 / (S + 1)) of the class, and of every pixel."""
        heads = network.heads_model()(self._resized(images, network.image_size), training=False)
        if not network.spec.ablation.evidential:
            of_class = softmax(heads["class_head"], tf.nn), tf.zeros((tf.shape(images)[0], 1))
            drawn = self._resized(softmax(heads["mask_head"], tf.nn), self._size)
            return [of_class, (drawn, tf.zeros_like(drawn[..., :1]))]
        of_class = _moments(heads["class_head"])
        if network.spec.draws_by_evidence:
            mean, spread = _moments(heads["mask_head"])
        else:  # the mask is a softmax, and its evidence that of the mutual head
            mean, spread = softmax(heads["mask_head"], tf.nn), _moments(heads["mutual_head"])[1]
        return [of_class, (self._resized(mean, self._size), self._resized(spread, self._size))]


def _moments(concentration: Any) -> tuple[Any, Any]:
    strength = tf.reduce_sum(concentration, axis=-1, keepdims=True)
    return concentration / strength, 1.0 / (strength + 1.0)


def open_teachers(
    references: Sequence[str],
    spec: NetworkSpec,
    info: DatasetInfo,
    size: tuple[int, int],
    fit: Fit,
    roi: Roi | None,
) -> TeacherNetworks | None:
    """The teachers of a config; None where it names none.

    Args:
        references: MODELs.
        spec: of the network that learns.
        info: of the data set.
        size: (H, W) of the network that learns.
        fit: how it reads a picture.
        roi: the part of it that it reads.

    Raises:
        UmlError: a model does not exist, has other classes, reads another part of the pictures, or the
            network that learns has no Dirichlet heads.
    """
    if not references:
        return None
    if not spec.draws_by_evidence:
        raise UmlError(
            f"teachers: found preset '{spec.preset}', expected one whose class and mask are drawn by "
            "Dirichlet heads: it learns the teachers' spread as evidence"
        )
    networks = [load_model(reference) for reference in references]
    for reference, network in zip(references, networks, strict=True):
        card = network.card
        if card is None:
            raise UmlError(f"teachers: model '{reference}': found no card in it, expected a trained model")
        for field, found, expected in (
            ("image_classes", card.image_classes, tuple(info.image_classes)),
            ("pixel_classes", card.pixel_classes, tuple(info.pixel_classes)),
            ("fit", card.fit, fit),
            ("roi", card.roi, roi),
        ):
            if found != expected:
                raise UmlError(f"teachers: model '{reference}': {field}: found {found}, expected {expected}")
    return TeacherNetworks(networks, size)
