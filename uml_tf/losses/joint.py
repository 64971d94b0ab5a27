"""The joint loss: 0.5 L_cls + 0.4 L_seg + 0.1 L_mut (UML, equation 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from keras import ops

from uml_tf.losses.cup_to_disc import cup_to_disc_loss
from uml_tf.losses.dice import image_dice_loss, soft_dice_loss
from uml_tf.losses.dirichlet import evidential_loss, kl_of_all_evidence, softmax_loss, squared_loss
from uml_tf.losses.distillation import distillation_loss
from uml_tf.losses.pixel_truth import PixelTruth, pixel_truth
from uml_tf.losses.replicas import ratio_over_replicas
from uml_tf.runtime.contract import fused
from uml_tf.runtime.evidence import opinion_from_concentration

TERMS = ("cls", "seg", "mut", "total")


@dataclass(frozen=True)
class LossSpec:
    """Weights and variant of the joint loss.

    Attributes:
        cls, seg, mut: weights of the three terms.
        annealing_epochs: lambda_t = kl min(1, epoch / annealing_epochs), epoch counted from 0.
        kl: largest weight of the KL term, 1 in the paper.
        segmentation: "dice" over the softmax of every decoder level (paper) or "dice+ce" of the top
            level (released); see ``segmentation_loss``.
        evidential: Dirichlet terms, or cross-entropy in their place (the ablation).
        class_weights: weight per image class, or None for equal weights.
        skip_absent: leave a class that no mask of the batch shows out of the Dice; see
            ``soft_dice_loss``.
        ratio: weight of the error of the cup-to-disc ratio within L_seg, see ``cup_to_disc_loss``.
        cup_and_rim: indices of the two pixel classes; None without them.
        taught: weight of what trained networks teach in L_cls and in L_seg; the truth has the rest.
        fused_mask: the taught mask is the one with the evidence of both heads, see
            ``uml_tf.networks.spec.NetworkSpec``; without teachers each head learns by itself.
        dice_over: Dice over the whole "batch" (paper), or of each "image", see ``image_dice_loss``.
        objective: what a Dirichlet head learns: "expected", the expected cross-entropy and the KL term;
            "squared", the squared error of the mean alone, see ``squared_loss``.
        prior_weight: of the Dirichlet heads, see ``uml_tf.networks.spec.NetworkSpec``.
        destroyed_weight: weight of the evidence found in destroyed images.
    """

    cls: float = 0.5
    seg: float = 0.4
    mut: float = 0.1
    annealing_epochs: float = 50
    segmentation: Literal["dice", "dice+ce"] = "dice+ce"
    evidential: bool = True
    class_weights: tuple[float, ...] | None = None
    skip_absent: bool = False
    dice_over: Literal["batch", "image"] = "batch"
    ratio: float = 0.0
    cup_and_rim: tuple[int, int] | None = None
    taught: float = 0.5
    fused_mask: bool = False
    kl: float = 1.0
    objective: Literal["expected", "squared"] = "expected"
    prior_weight: float = 1.0
    destroyed_weight: float = 1.0


def annealing(epoch: Any, spec: LossSpec) -> Any:
    """lambda_t, a float32 scalar in [0, ``spec.kl``]."""
    return spec.kl * ops.minimum(ops.cast(epoch, "float32") / max(spec.annealing_epochs, 1e-6), 1.0)


def _masked_mean(values: Any, weight: Any) -> Any:
    """Weighted mean over all replicas' images; 0 when every weight is 0."""
    return ratio_over_replicas(ops.sum(values * weight), ops.sum(weight))


def _levels(outputs: dict[str, Any], prefix: str) -> list[Any]:
    return [outputs[key] for key in sorted(outputs) if key.startswith(prefix)]


def _head_loss(target: Any, output: Any, lam: Any, spec: LossSpec) -> Any:
    """The loss of a head's output: a concentration, or the logits of a softmax head."""
    if not spec.evidential:
        return softmax_loss(target, output)
    if spec.objective == "squared":
        return squared_loss(target, output)
    return evidential_loss(target, output, lam)


def classification_loss(outputs: dict[str, Any], batch: dict[str, Any], lam: Any, spec: LossSpec) -> Any:
    """L_cls over the images that have a label."""
    head = outputs["class_head"]
    labelled = ops.cast(batch["label"] >= 0, "float32")
    label = ops.maximum(batch["label"], 0)
    loss = _head_loss(ops.one_hot(label, head.shape[-1]), head, lam, spec)
    if spec.class_weights is not None:
        loss = loss * ops.take(ops.convert_to_tensor(spec.class_weights, dtype="float32"), label)
    return _masked_mean(loss, labelled)


def _pixel_mean(loss: Any, weight: Any) -> Any:
    """Weighted mean of ``(B, H, W)`` over all replicas' pixels; 0 when every weight is 0."""
    # First by image: in float32 a sum over the pixels of a whole batch would lose digits.
    of_images = [ops.sum(ops.mean(values, axis=(1, 2))) for values in (loss * weight, weight)]
    return ratio_over_replicas(*of_images)


def _dice_loss(truth: PixelTruth, probability: Any, spec: LossSpec) -> Any:
    if spec.dice_over == "image":
        return image_dice_loss(truth.target, probability, truth.dice_weight)
    return soft_dice_loss(truth.target, probability, truth.dice_weight, spec.skip_absent)


def mutual_loss(outputs: dict[str, Any], truth: PixelTruth, lam: Any, spec: LossSpec) -> Any:
    """L_mut: per level the two evidential terms over pixels + soft Dice of softmax(evidence).

    Softmax is the same of any constant more: of alpha = e / lambda + 1, times lambda, it is softmax(e).
    """
    total = ops.zeros(())
    for head in _levels(outputs, "mutual_head_"):
        pixels = _head_loss(truth.target, head, lam, spec)
        scores = head if spec.prior_weight == 1.0 else head * spec.prior_weight
        dice = _dice_loss(truth, ops.softmax(scores, axis=-1), spec)
        total = total + _pixel_mean(pixels, truth.weight) + dice
    return total


def _drawn_probability(outputs: dict[str, Any]) -> Any:
    """``(B, H, W, C)`` of the final mask, as float32: of its Dirichlet head's mean, or of the softmax."""
    head = outputs.get("mask_head")
    if head is not None:
        return opinion_from_concentration(head, ops).probability
    return ops.softmax(ops.cast(outputs["segmentation_logits_1"], "float32"), axis=-1)


def segmentation_loss(outputs: dict[str, Any], truth: PixelTruth, lam: Any, spec: LossSpec) -> Any:
    """L_seg, in the paper's or the released network's form.

    Where a Dirichlet head draws the mask ("mask_head"), the Dice of the top level is that of its mean
    alpha / S, and the evidential loss stands in place of the cross-entropy.
    """
    levels = [ops.cast(z, "float32") for z in _levels(outputs, "segmentation_logits_")]
    probabilities = [_drawn_probability(outputs), *(ops.softmax(z, axis=-1) for z in levels[1:])]
    head = outputs.get("mask_head")
    if spec.segmentation == "dice":
        dices = [_dice_loss(truth, probability, spec) for probability in probabilities]
        return sum(dices[1:], dices[0]) / len(dices)
    dice = _dice_loss(truth, probabilities[0], spec)
    target = truth.target
    pixels = softmax_loss(target, levels[0]) if head is None else _head_loss(target, head, lam, spec)
    return dice + _pixel_mean(pixels, truth.weight)


def _ratio_loss(outputs: dict[str, Any], batch: dict[str, Any], cup: int, rim: int) -> Any:
    """The error of the cup-to-disc ratio over the images of which it is known."""
    ratio = ops.cast(batch["ratio"], "float32")
    known = ops.cast(ops.logical_not(ops.isnan(ratio)), "float32")
    error = cup_to_disc_loss(ops.where(known > 0, ratio, 0.0), _drawn_probability(outputs), cup, rim)
    return _masked_mean(error, known)


def _with_taught(
    terms: dict[str, Any], outputs: dict[str, Any], batch: dict[str, Any], told: Any, spec: LossSpec
) -> dict[str, Any]:
    """L_cls and L_seg of which a part is the divergence from what trained networks teach."""
    of_class = distillation_loss(batch["taught_class"], outputs["class_head"])
    drawn = outputs["mask_head"]
    if spec.fused_mask:
        drawn = fused(drawn, outputs["mutual_head_1"])
    of_pixels = distillation_loss(batch["taught_mask"], drawn)
    read = 1.0 - batch["destroyed"] if "destroyed" in batch else ops.ones_like(of_class)
    taught = {
        "cls": _masked_mean(of_class, read),
        "seg": _pixel_mean(of_pixels, told),
    }
    return {name: (1 - spec.taught) * terms[name] + spec.taught * loss for name, loss in taught.items()}


def _with_destroyed(
    terms: dict[str, Any], outputs: dict[str, Any], destroyed: Any, spec: LossSpec
) -> dict[str, Any]:
    """The terms with KL(Dir(alpha) || Dir(1)) of destroyed images: there is nothing in them to be sure of.

    Source: Malinin and Gales, "Predictive Uncertainty Estimation via Prior Networks", NeurIPS 2018.
    """
    of_pixels = ops.reshape(destroyed, (-1, 1, 1))
    evidence = {"cls": _masked_mean(kl_of_all_evidence(outputs["class_head"]), destroyed)}
    if "mask_head" in outputs:
        evidence["seg"] = _pixel_mean(kl_of_all_evidence(outputs["mask_head"]), of_pixels)
    evidence["mut"] = sum(
        _pixel_mean(kl_of_all_evidence(head), of_pixels) for head in _levels(outputs, "mutual_head_")
    )
    return terms | {name: terms[name] + spec.destroyed_weight * loss for name, loss in evidence.items()}


def joint_loss(outputs: dict[str, Any], batch: dict[str, Any], epoch: Any, spec: LossSpec) -> dict[str, Any]:
    """The three terms and their weighted total.

    Args:
        outputs: what ``UML.training_model`` returns.
        batch: ``label`` (B,) int, -1 without one; ``mask`` (B, H, W) int; ``has_mask`` (B,) 0 or 1. An
            image without a mask adds only to L_cls, one without a label only to L_seg and L_mut. Where
            ``spec.ratio`` is set, ``ratio`` (B,) in [0, 1], nan where it is not known. A pixel of
            the mask that is ``UNKNOWN_PIXEL`` adds nothing, as if the image did not have it; one that is
            ``ANY_REGION_PIXEL`` adds to the losses of pixels, and not to the Dice, that it is no background.
            Where trained networks teach, also ``taught_class`` (B, K) and ``taught_mask`` (B, H, W, C),
            concentrations: of images without label or mask too. Where images are destroyed, ``destroyed``
            (B,), 1 for them: they have neither label nor ratio nor mask, and all their pixels are
            ``UNKNOWN_PIXEL``.
        epoch: epoch number from 0, for the annealing.
        spec: weights and variant.

    Returns:
        "cls", "seg", "mut" and "total": float32 scalars.
    """
    lam = annealing(epoch, spec)
    classes = outputs["mutual_head_1"].shape[-1]
    truth = pixel_truth(batch["mask"], batch["has_mask"], classes)
    terms = {
        "cls": classification_loss(outputs, batch, lam, spec),
        "seg": segmentation_loss(outputs, truth, lam, spec),
        "mut": mutual_loss(outputs, truth, lam, spec),
    }
    if spec.ratio and spec.cup_and_rim is not None:
        terms["seg"] = terms["seg"] + spec.ratio * _ratio_loss(outputs, batch, *spec.cup_and_rim)
    if "taught_class" in batch:
        terms |= _with_taught(terms, outputs, batch, truth.told, spec)
    if "destroyed" in batch:
        terms = _with_destroyed(terms, outputs, batch["destroyed"], spec)
    total = spec.cls * terms["cls"] + spec.seg * terms["seg"] + spec.mut * terms["mut"]
    return {**terms, "total": total}
