"""The end of a training: the network that is shipped, its thresholds, and the files of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import Examples
from uml_tf.evaluation.evaluate import Evaluation
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.evaluation.measures_file import MEASURES_FILE, save_measures
from uml_tf.evaluation.report import write_evaluation
from uml_tf.evaluation.samples import draw_samples
from uml_tf.evaluation.seen_images import TRAINING_IMAGES_FILE, training_image_hashes
from uml_tf.figures.plots import training_curves
from uml_tf.figures.save import save_figure
from uml_tf.networks import UML
from uml_tf.runtime.files import replacing, write_text
from uml_tf.runtime.mask_quality import evidence_scale
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Fit
from uml_tf.runtime.referral import FAMILIAR
from uml_tf.runtime.roi import Roi
from uml_tf.training.accept_threshold import CONFIDENCE, RISK_TARGET, with_accept_above
from uml_tf.training.mask_fit import with_mask_fits
from uml_tf.training.report import EpochReport
from uml_tf.training.trust_fit import (
    Seen,
    class_confidence,
    fit_trust,
    look,
    masks_seen,
    vectors_of,
)

MODEL_FILE = "model.keras"


def shipped(predictor: KerasPredictor) -> KerasPredictor:
    """The trained network in the form that is shipped: in float32, whatever precision it was trained in."""
    model = predictor.model
    if model.dtype_policy.compute_dtype == "float32":
        return predictor
    copy = UML.from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return KerasPredictor(copy)


def fit_card(
    predictor: KerasPredictor,
    train: Examples,
    val: Examples,
    dataset: PreparedDataset,
    run_id: str,
    fit: Fit = "stretch",
    roi: Roi | None = None,
    risk_target: float = RISK_TARGET,
    confidence: float = CONFIDENCE,
) -> ModelCard:
    """The card of a network, with what is fitted on its own outputs.

    Args:
        predictor: the network as it is shipped.
        train: the training split, for the density of familiar images.
        val: the validation split, on which everything else is fitted.
        dataset: both splits' data set.
        run_id: MLflow run of the training.
        fit: how the pictures of both splits became inputs.
        roi: the part of them that a locator found.
        risk_target: largest share of wrong classes among the accepted images.
        confidence: with which the validation images are to show it.
    """
    info = dataset.info
    seen, training = look(predictor, val), vectors_of(predictor, train)
    card = ModelCard(
        image_classes=info.image_classes,
        pixel_classes=info.pixel_classes,
        unions=info.unions,
        fit=fit,
        roi=roi,
        trust=fit_trust(predictor.model, seen, training),
        run_id=run_id,
        dataset=info.name,
        source=info.source,
        licence=info.licence,
        fingerprint=dataset.fingerprint,
        intensity=info.intensity,
    )
    card = with_mask_fits_of(card, predictor, val)
    return with_threshold(card, predictor.model, seen, risk_target, confidence)


def with_mask_fits_of(card: ModelCard, predictor: KerasPredictor, examples: Examples) -> ModelCard:
    """``with_mask_fits`` of what a network says of the images that have a mask."""
    spec = predictor.model.spec
    scale = evidence_scale(spec.draws_by_evidence, spec.prior_weight)
    return with_mask_fits(card, masks_seen(predictor, examples, card.trust), scale)


def with_threshold(
    card: ModelCard, model: UML, seen: Seen, risk_target: float, confidence: float
) -> ModelCard:
    """The card with the threshold of acceptance that is fitted on what was seen of validation images.

    An image that is unlike the training images, or in which the locator found nothing, is never accepted, so
    it shows nothing.
    """
    found, correct, familiarity = class_confidence(model, seen, card.trust)
    acceptable = (familiarity >= FAMILIAR) & seen.found[seen.labels >= 0]
    return with_accept_above(card, found[acceptable], correct[acceptable], risk_target, confidence)


def write_files(
    folder: Path,
    predictor: KerasPredictor,
    reports: Sequence[EpochReport],
    val: Examples,
    dataset: PreparedDataset,
    test: Evaluation,
) -> None:
    """Writes network, metrics and figures into the folder of the run.

    Args:
        folder: of the run.
        predictor: the network as it is shipped, with its card.
        reports: of all epochs.
        val: the validation split, for the sheet of samples.
        dataset: of the training.
        test: the results on the test split.
    """
    with replacing(folder / MODEL_FILE) as temporary:
        predictor.model.save(temporary)
    card = predictor.model.card
    assert card is not None
    write_evaluation(folder, test, card)
    save_measures(folder / MEASURES_FILE, test.measures)
    write_text(folder / TRAINING_IMAGES_FILE, "\n".join(training_image_hashes(dataset)) + "\n")
    figures = folder / "figures"
    save_figure(_curves(reports, dataset.info.pixel_classes), figures / "training_curves.png")
    save_figure(draw_samples(predictor, val, dataset.info), figures / "sample_sheet.png")


def _curves(reports: Sequence[EpochReport], pixel_classes: Sequence[str]) -> Figure:
    losses = {term: [r.losses[term] for r in reports] for term in reports[0].losses}
    scores = {
        "smoothed score": [r.score for r in reports],
        "balanced accuracy": [r.validation.balanced_accuracy for r in reports],
    }
    for i, name in enumerate(pixel_classes[1:]):
        scores[f"Dice {name}"] = [r.validation.dice[i] for r in reports]
    kept = max(r.epoch for r in reports if r.is_kept)
    return training_curves(losses, scores, kept + 1)
