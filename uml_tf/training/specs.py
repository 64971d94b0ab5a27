"""The network and the loss of a config, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from uml_tf.losses import LossSpec
from uml_tf.networks import NetworkSpec, preset, without
from uml_tf.networks.encoders import resolve
from uml_tf.runtime.errors import UmlError
from uml_tf.training.config import TrainingConfig


def network_spec(config: TrainingConfig) -> NetworkSpec:
    """The config's preset, with the encoders that the config names and without the parts it switches off.

    Names of encoder presets are resolved here, when a training starts, and nowhere else.
    """
    spec = preset(config.preset)
    if config.class_encoder:
        spec = replace(spec, class_encoder=resolve(config.class_encoder, spec.class_encoder))
    if config.segmentation_encoder:
        named = resolve(config.segmentation_encoder, spec.segmentation_encoder)
        spec = replace(spec, segmentation_encoder=named)
    spec = without(spec, *config.without)
    if not config.fused_mask or not _weights(config)[2]:  # a head that learns nothing has no evidence to add
        spec = replace(spec, fused_mask=False)
    if config.loss.prior_weight != 1:
        spec = replace(spec, prior_weight=config.loss.prior_weight)
    if config.mask_alone is not None:
        spec = replace(spec, instructor=replace(spec.instructor, mask_alone=config.mask_alone))
    if config.tasks == "class":
        spec = replace(without(spec, "instructor"), instructor=replace(spec.instructor, read_mask=False))
    if config.bounded_instruction and spec.ablation.instructor:
        if spec.conv.activation != "relu6":
            raise UmlError(
                f"bounded_instruction: found preset '{spec.preset}' with the activation "
                f"'{spec.conv.activation}', expected one with 'relu6', which has a largest value"
            )
        spec = replace(spec, instructor=replace(spec.instructor, bounded=True))
    return spec


def _weights(config: TrainingConfig) -> tuple[float, float, float]:
    """Of the three terms of the loss; 0 for those of a task that is not trained."""
    loss = config.loss
    if config.tasks == "both":
        return loss.cls, loss.seg, loss.mut
    return (loss.cls, 0.0, 0.0) if config.tasks == "class" else (0.0, loss.seg, loss.mut)


def check_options(config: TrainingConfig) -> None:
    """Refuses, before anything is read, options that the network of a config cannot learn by.

    Raises:
        UmlError: one needs Dirichlet heads where there are softmax heads, or more images in a batch.
    """
    if config.masked_share is not None and config.batch_size == 1:
        raise UmlError(
            f"masked_share: found {config.masked_share:g} of batches of 1 image, expected batch_size 2 or "
            "more: an image with a mask and one without"
        )
    if config.augmentation.destroyed and config.batch_size == 1:
        raise UmlError("augmentation.destroyed: found batches of 1 image, expected 2 or more")
    if without(preset(config.preset), *config.without).ablation.evidential:
        return
    asked = {
        "augmentation.destroyed": config.augmentation.destroyed > 0,
        "loss.objective": config.loss.objective != "expected",
        "loss.prior_weight": config.loss.prior_weight != 1,
    }
    for field, found in asked.items():
        if found:
            raise UmlError(f"{field}: found a network with softmax heads, expected Dirichlet heads")


def loss_spec(
    config: TrainingConfig,
    spec: NetworkSpec,
    labels: np.ndarray,
    classes: int,
    pixel_classes: Sequence[str] = (),
) -> LossSpec:
    """The joint loss of a resolved config.

    Args:
        config: resolved.
        spec: the network.
        labels: ``(N,)`` class indices of the training images, -1 without a label, for the class weights.
        classes: number of image classes.
        pixel_classes: names, among which cup and rim are looked for.

    Raises:
        UmlError: the cup-to-disc ratio is to be learned and there is no cup or rim.
    """
    has_cup = {"cup", "rim"} <= set(pixel_classes)
    cup_and_rim = (pixel_classes.index("cup"), pixel_classes.index("rim")) if has_cup else None
    if config.loss.ratio and cup_and_rim is None:
        raise UmlError(
            f"loss.ratio: found pixel classes {', '.join(pixel_classes)}, expected 'cup' and 'rim'"
        )
    weights = None
    if config.loss.class_weights == "balanced":
        counts = np.bincount(labels[labels >= 0], minlength=classes)
        weights = tuple((counts.sum() / (classes * np.maximum(counts, 1))).tolist())
    return LossSpec(
        *_weights(config),
        config.loss.annealing_epochs,
        config.loss.segmentation or "dice+ce",
        spec.ablation.evidential,
        weights,
        config.loss.skip_absent,
        config.loss.dice_over,
        config.loss.ratio,
        cup_and_rim,
        config.loss.taught,
        spec.fuses_evidence,
        1.0 if config.loss.kl is None else config.loss.kl,  # None: a run begun before the field existed
        config.loss.objective,
        spec.prior_weight,
        config.loss.destroyed_weight,
    )
