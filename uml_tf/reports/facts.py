"""What was trained on what, and what threshold and confidence stand for, as labelled sentences."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from uml_tf.data.dataset import MANIFEST_NAME, SPLITS, PreparedDataset
from uml_tf.data.pixel_size import PIXELS
from uml_tf.evaluation.summary import DISTANCES
from uml_tf.reports.material import Material
from uml_tf.reports.words import listed
from uml_tf.runtime.confidence import FEWEST_LABELS, FEWEST_MASKS, SCORES, Confidence
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.exports import ROOT_PARAM

Facts = dict[str, str]
"""Label -> sentence."""


def _counts(dataset: PreparedDataset, split: str) -> str:
    classes = dataset.class_counts(split)
    rows = [row for row in dataset.rows if row.split == split]
    named = [f"{count} {name or 'without a label'}" for name, count in sorted(classes.items())]
    masks = sum(bool(row.mask) for row in rows)
    subjects = len({row.subject or row.image for row in rows})
    return f"{len(rows)} images of {subjects} subjects ({listed(named)}; {masks} with an outline)"


def _unchanged(root: Path, fingerprint: str) -> PreparedDataset | None:
    """The data set in a folder; None where it is no longer there, or no longer what it was."""
    if not (root / MANIFEST_NAME).is_file():
        return None
    dataset = PreparedDataset.open(root)
    return dataset if dataset.fingerprint == fingerprint else None


def split_counts(root: Path, fingerprint: str) -> dict[str, str]:
    """Split -> how many images of what, of a data set that is still what it was; else nothing."""
    dataset = _unchanged(root, fingerprint)
    if dataset is None:
        return {}
    return {name: _counts(dataset, name) for name in SPLITS if any(r.split == name for r in dataset.rows)}


def promise(card: ModelCard) -> str:
    """What the threshold of acceptance stands for, in one sentence or two."""
    if card.accept_above is None:
        why = card.accept_reason or "no threshold was fitted"
        return f"No answer is accepted, and every picture is referred: {why}."
    text = f"An answer is accepted from a confidence of {card.accept_above:.3f} on."
    if card.risk_target is None or card.risk_confidence is None:
        return text
    return (
        f"{text} On validation images this threshold was shown, with {100 * card.risk_confidence:g} % "
        f"confidence, to leave at most {100 * card.risk_target:g} % wrong classes among the accepted. This "
        "holds for images like those."
    )


def decided(material: Material) -> str:
    """``promise`` of what was measured, which may be a mean of several predictions."""
    if material.mean_of:
        return (
            f"No decision is made: the answers are the mean of {material.averaged}, and thresholds are "
            "fitted for a single prediction of one network."
        )
    return promise(material.card)


def _behind(confidence: Confidence) -> str:
    """What a fitted confidence follows from: the name of its score, as the card has it, and its parts."""
    parts = ", ".join(SCORES.get(name, name) for name in confidence.weights)
    return f"follows from the score '{confidence.name}' ({parts}), fitted on validation images"


def _not_fitted(found: int | None, what: str, fewest: int) -> str:
    """Why a confidence is not fitted, as far as that is known, and what stands in its place."""
    why = f": {found} {what}, {fewest} wanted" if found is not None and found < fewest else ""
    return f"not fitted{why}; the largest mean probability stands in its place"


def confidence_facts(card: ModelCard, params: Mapping[str, str]) -> Facts:
    """What the confidence of the class, and that of the pixels, follows from; or why it was not fitted.

    Args:
        card: of the model.
        params: what its training run recorded, by which the validation images are counted; may be empty.
    """
    of_class, of_pixels = card.trust.class_confidence, card.trust.mask_confidence
    labels = masks = None
    if of_class is None or of_pixels is None:
        dataset = _unchanged(Path(params.get(ROOT_PARAM, "")), card.fingerprint)
        if dataset is not None:
            rows = dataset.split("val")
            labels, masks = sum(bool(row.label) for row in rows), sum(bool(row.mask) for row in rows)
    return {
        "Confidence of the class": _behind(of_class)
        if of_class
        else _not_fitted(labels, "labelled validation images", FEWEST_LABELS),
        "Confidence of the pixels": _behind(of_pixels)
        if of_pixels
        else _not_fitted(masks, "validation images with a mask", FEWEST_MASKS),
    }


def measured_confidence(material: Material) -> Facts:
    """``confidence_facts`` of what was measured, which may be a mean of several predictions."""
    if material.mean_of:
        text = "the largest mean probability: nothing is fitted for a mean of several predictions"
        return {"Confidence of class and pixels": text}
    return confidence_facts(material.card, material.params)


def _with_what(card: ModelCard, params: Mapping[str, str]) -> Facts:
    reads = "the whole picture" if card.roi is None else f"the part around the {card.roi.name}"
    weights = params.get("encoder_weights", "")
    begun = "" if weights in ("", "none", "None") else f", from the weights '{Path(weights).name}'"
    size = params.get("image_size", "")
    facts = {
        "Network": f"preset {params['preset']}{begun}" if "preset" in params else "",
        "It reads": f"{reads}, {size} x {size} pixels ({card.fit})" if size else reads,
        "Epochs": params.get("epochs", ""),
        "Seed": params.get("seed", ""),
        "Training run": card.run_id,
        "Code": params.get("git.commit", ""),
    }
    return {label: text for label, text in facts.items() if text}


def training_facts(material: Material) -> Facts:
    """What the model was trained on, and how."""
    card, params = material.card, material.params
    counts = split_counts(Path(params.get(ROOT_PARAM, "")), card.fingerprint) if params else {}
    facts = {
        "One of several": f"what follows is of the first of {material.averaged}"
        if material.of_models
        else "",
        "Answers": f"which of {listed(card.image_classes)}; where {listed(card.pixel_classes[1:])} "
        + ("are" if len(card.pixel_classes) > 2 else "is"),
        "Trained on": card.dataset or "unnamed data",
        "Source": card.source,
        "Terms": card.licence,
        "Training images": counts.get("train", ""),
        "Validation images": counts.get("val", ""),
        "Data, SHA-256": card.fingerprint,
    }
    return {label: text for label, text in facts.items() if text} | _with_what(card, params)


def _distances(material: Material) -> str:
    """In which unit they are; "" where it is not known, or none was measured."""
    if not material.unit or not any(name.startswith(DISTANCES) for name in material.metrics):
        return ""
    if material.unit == PIXELS:
        return "in pixels of the pictures, of which the size in mm is not known"
    return f"in {material.unit}"


def _use_in_training(material: Material) -> str:
    """What the training used the measured images for, where they are of the data set that it had."""
    if material.fingerprint != material.card.fingerprint:
        return "another data set"
    who = "the first model" if material.of_models else "the model"
    chosen = f"the epoch of {who} was chosen" if material.mean_of else "its thresholds were fitted"
    used = {
        "train": f"{who} was trained on these images: its figures are too good",
        "val": f"{chosen} on these images: its figures are too good",
        "test": "none of them was used in training"
        + (f" {who}; of the others it is not known" if material.of_models else ""),
    }
    return used.get(material.split, "")


def measured_facts(material: Material) -> Facts:
    """On which images it was measured."""
    measures = material.measures
    subjects = len({m.resampled_with for m in measures})
    facts = {
        "Measured on": f"{len(measures)} images of {subjects} subjects, split '{material.split}' of "
        f"{material.dataset}; {_use_in_training(material)}",
        "With a class that is known": str(sum(m.label >= 0 for m in measures)),
        "With an expert's outline": str(sum(m.masked for m in measures)),
        "Distances": _distances(material),
        "Averaged": material.averaged,
        "Not checked": "" if material.fingerprint else "that its data set is still the one that was measured",
    }
    return {label: text for label, text in facts.items() if text}
