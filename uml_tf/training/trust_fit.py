"""What is fitted once the weights are fixed: density, temperatures, confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.pipeline import Examples, PixelArray
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.networks import UML
from uml_tf.runtime.confidence import FEWEST_LABELS, FEWEST_MASKS, OF_PIXELS, SCORES, Confidence, score
from uml_tf.runtime.contract import (
    Heads,
    beside_pixels,
    confidence,
    contract,
    drawn_probability,
    faded,
    scaled_opinion,
    tempered,
)
from uml_tf.runtime.density import Density
from uml_tf.runtime.evidence import Opinion
from uml_tf.runtime.mask_quality import MAPS
from uml_tf.runtime.regions import class_is_known
from uml_tf.runtime.trust import Trust
from uml_tf.training.confidence_fit import fit_confidence, fit_mix, fit_temperature
from uml_tf.training.density_fit import fit_density, in_parts, with_limits

Array = NDArray[Any]

_MOST_PIXELS = 100_000
_MAPS = ("mask_head", "mutual_head", "surroundings")
ALONE = tuple(name for name in SCORES if name not in OF_PIXELS)
"""The scores that follow from an answer by itself."""
CLASS_MIXES = (("largest", "vacuity"),)
"""Those that are mixed as one candidate for the class's confidence."""
_MASK_SCORES = ("largest", "vacuity", "mutual", "surroundings")
_FUSED_SCORES = ("navigator", "mutual", "surroundings")


@dataclass(frozen=True)
class Seen:
    """What the network's heads say of some images; N images, M of their pixels.

    Attributes:
        features, sharpness: ``(N, D)`` and ``(N, 4)``.
        class_head: ``(N, K)``.
        labels: ``(N,)``, -1 without a label.
        found: ``(N,)`` bool, see ``Examples.found``.
        mask_head, mutual_head: ``(M, C)``.
        surroundings: ``(M, C)``, of ``uml_tf.runtime.contract.beside_pixels``.
        targets: ``(M,)`` true classes of the pixels.
        owners: ``(M,)`` their images.
    """

    features: Array
    sharpness: Array
    class_head: Array
    labels: Array
    found: Array
    mask_head: Array
    mutual_head: Array
    surroundings: Array
    targets: Array
    owners: Array

    @property
    def vectors(self) -> tuple[Array, Array]:
        """What the density is over."""
        return self.features, self.sharpness


def _batches(predictor: KerasPredictor, images: PixelArray, places: Array) -> Iterator[tuple[int, Heads]]:
    """Yields (number of the first image among the places, the heads' outputs)."""
    for start in range(0, len(places), predictor.batch_size):
        chunk = images[places[start : start + predictor.batch_size]]
        yield start, predictor.heads(chunk)


def _pixels(examples: Examples, index: int, count: int, rng: np.random.Generator) -> Array:
    """Flat places of at most ``count`` pixels of an image whose class is known."""
    if not examples.has_mask[index]:
        return np.zeros(0, np.int64)
    known = np.flatnonzero(class_is_known(examples.masks[index]))
    return known if len(known) <= count else np.sort(rng.choice(known, count, replace=False))


def look(predictor: KerasPredictor, examples: Examples) -> Seen:
    """Runs a network over some images, and keeps as many pixels of each that has a mask."""
    model = predictor.model
    evidential, by_evidence = model.spec.ablation.evidential, model.spec.draws_by_evidence
    rng = np.random.default_rng(0)
    each = max(_MOST_PIXELS // max(int((examples.has_mask > 0).sum()), 1), 1)
    of_images: dict[str, list[Array]] = {"features": [], "sharpness": [], "class_head": []}
    of_pixels: dict[str, list[Array]] = {name: [] for name in (*_MAPS, "targets", "owners")}
    for start, heads in _batches(predictor, examples.images, np.arange(len(examples))):
        surroundings = beside_pixels(("surroundings",), heads, evidential, by_evidence, None)
        values = heads._asdict() | surroundings
        for name, found in of_images.items():
            found.append(values[name])
        for place in range(len(heads.class_head)):
            index = start + place
            pixels = _pixels(examples, index, each, rng)
            for name in _MAPS:
                of_pixels[name].append(values[name][place].reshape(-1, values[name].shape[-1])[pixels])
            of_pixels["targets"].append(examples.masks[index].ravel()[pixels].astype(np.int64))
            of_pixels["owners"].append(np.full(len(pixels), index))
    joined = {name: np.concatenate(parts) for name, parts in (of_images | of_pixels).items()}
    return Seen(labels=examples.labels, found=examples.found, **joined)


def vectors_of(predictor: KerasPredictor, examples: Examples) -> Iterator[tuple[Array, Array]]:
    """Yields features ``(B, D)`` and sharpness ``(B, 4)`` of a batch at a time: what the density is over."""
    for _, heads in _batches(predictor, examples.images, np.arange(len(examples))):
        yield heads.features, heads.sharpness


def masks_seen(
    predictor: KerasPredictor, examples: Examples, trust: Trust
) -> Iterator[tuple[dict[str, Array], Array]]:
    """Yields what is said of the pixels, and the true mask, of every image that has one, unpadded.

    Args:
        predictor: the network.
        examples: the images.
        trust: what is fitted of the network, which the probability is calibrated by.
    """
    model = predictor.model
    evidential, by_evidence = model.spec.ablation.evidential, model.spec.draws_by_evidence
    masked = np.flatnonzero(examples.has_mask > 0)
    for start, heads in _batches(predictor, examples.images, masked):
        outputs = contract(heads, evidential, by_evidence, trust)
        for place in range(len(outputs["mask_probability"])):
            index = int(masked[start + place])
            shown = {name: examples.shown(index, outputs[name][place]) for name in MAPS}
            yield shown, examples.shown(index, examples.masks[index])


@dataclass(frozen=True)
class Answers:
    """Opinions with their targets: of images, or of pixels and with what is beside them; N of them.

    Attributes:
        opinion: ``(N, K)``.
        beside: name of ``OF_PIXELS`` -> ``(N, K)`` log-odds; of images there are none.
        targets: ``(N,)`` true classes.
        owners: ``(N,)`` their images.
    """

    opinion: Opinion
    beside: Mapping[str, Array]
    targets: Array
    owners: Array

    def tempered(self, temperature: float | None) -> Answers:
        """With calibrated probabilities."""
        probability = tempered(self.opinion.probability, temperature)
        return replace(self, opinion=self.opinion._replace(probability=probability))

    def scores(self, names: Iterable[str]) -> dict[str, Array]:
        """Name of ``SCORES`` -> ``(N,)``."""
        return {name: np.asarray(score(name, self.opinion, self.beside)[..., 0]) for name in names}

    @property
    def right(self) -> Array:
        """``(N,)`` whether the most probable class is the true one."""
        return np.asarray(self.opinion.probability.argmax(axis=-1) == self.targets)


def familiarity_of(seen: Seen, trust: Trust) -> Array | None:
    """Of what was seen: ``(N, 1)`` of the images; None without a density."""
    return None if trust.density is None else in_parts(trust.density.familiarity, *seen.vectors)


def class_answers(seen: Seen, trust: Trust, evidential: bool) -> Answers:
    """The opinion of every labelled image, its evidence scaled by its familiarity; not calibrated."""
    familiarity = familiarity_of(seen, trust)
    opinion = scaled_opinion(seen.class_head, evidential, familiarity)
    labelled = np.flatnonzero(seen.labels >= 0)
    chosen = Opinion(*(values[labelled] for values in opinion))
    return Answers(chosen, {}, seen.labels[labelled].astype(np.int64), labelled)


def pixel_scores(model: UML) -> tuple[str, ...]:
    """The scores that the confidence of the network's pixels follows from, all together.

    There is no choice: few masks choose by chance (docs/trust.md, "No choice among scores for pixels").
    """
    return _FUSED_SCORES if model.spec.fuses_evidence else _MASK_SCORES


def mask_answers(seen: Seen, trust: Trust, model: UML) -> Answers:
    """The opinion of every pixel that was kept, and what is beside it; not calibrated."""
    evidential, by_evidence = model.spec.ablation.evidential, model.spec.draws_by_evidence
    of_images = familiarity_of(seen, trust)
    familiarity = None if of_images is None else of_images[seen.owners]
    mutual = scaled_opinion(seen.mutual_head, evidential, familiarity)
    if by_evidence:
        opinion = scaled_opinion(seen.mask_head, True, familiarity)
    else:
        drawn = drawn_probability(seen.mask_head, False)
        opinion = mutual._replace(probability=faded(drawn, familiarity))
    names = ("mutual", "navigator") if model.spec.fuses_evidence else ("mutual",)
    heads = Heads(seen.class_head, seen.mutual_head, seen.mask_head, *seen.vectors)
    beside = beside_pixels(names, heads, evidential, by_evidence, familiarity)
    return Answers(opinion, {**beside, "surroundings": seen.surroundings}, seen.targets, seen.owners)


def _fit(
    answers: Answers, fewest: int, confidence_of: Callable[[Answers], Confidence]
) -> tuple[float | None, Confidence | None]:
    """Temperature, and the confidence of the answers calibrated by it; None of both with too few images."""
    images = len(np.unique(answers.owners))
    if images < fewest:
        return None, None
    temperature = fit_temperature(answers.opinion.probability, answers.targets, images)
    return temperature, confidence_of(answers.tempered(temperature))


def _chosen_confidence(answers: Answers) -> Confidence:
    """The confidence of the class: of one score, or of a mix, that the images choose.

    Its scores follow from the answer's own opinion, and none speaks for another class than the most probable
    one: so it is nowhere below the chance of a guess, which unlike images have. Of a pixel what is beside it
    may speak for another class.
    """
    guess = 1 / answers.opinion.probability.shape[-1]
    return fit_confidence(answers.scores(ALONE), answers.right, answers.owners, ALONE, CLASS_MIXES, guess)


def fit_trust(model: UML, seen: Seen, training: Iterable[tuple[Array, Array]] | None = None) -> Trust:
    """What is fitted on validation images, and the density of the training images.

    Args:
        model: the network.
        seen: its heads on the validation images.
        training: ``vectors_of`` the training images, unaugmented; None to keep the network's density, with
            limits that the validation images lie within.
    """
    density: Density | None
    if training is not None:
        density = fit_density(training, seen.vectors)
    else:
        density = model.trust.density and with_limits(model.trust.density, seen.vectors)
    trust = Trust(density)
    answers = class_answers(seen, trust, model.spec.ablation.evidential)
    of_class = _fit(answers, FEWEST_LABELS, _chosen_confidence)
    names = pixel_scores(model)
    of_mask = _fit(
        mask_answers(seen, trust, model), FEWEST_MASKS, lambda a: fit_mix(a.scores(names), a.right)
    )
    if training is None:  # where the images are too few, what was fitted before is the better guess
        old = model.trust
        of_class = of_class if of_class[1] else (old.class_temperature, old.class_confidence)
        of_mask = of_mask if of_mask[1] else (old.mask_temperature, old.mask_confidence)
    return Trust(density, of_class[0], of_mask[0], of_class[1], of_mask[1])


def class_confidence(model: UML, seen: Seen, trust: Trust) -> tuple[Array, Array, Array]:
    """(confidence, whether the class is right, familiarity), ``(N,)`` each, of the labelled images."""
    answers = class_answers(seen, trust, model.spec.ablation.evidential).tempered(trust.class_temperature)
    of_images = familiarity_of(seen, trust)
    familiarity = np.ones((len(answers.targets), 1), np.float32)
    if of_images is not None:
        familiarity = of_images[answers.owners]
    found = confidence(trust.class_confidence, answers.opinion, familiarity)
    return found[:, 0], answers.right, familiarity[:, 0]
