"""What trust parameters make of the heads' outputs, in NumPy and in keras.ops alike."""

from __future__ import annotations

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from uml_tf.metrics.dirichlet import dirichlet_doubt
from uml_tf.runtime.confidence import SCORES, Confidence, chances, dissonance
from uml_tf.runtime.contract import Heads, contract, fused
from uml_tf.runtime.density import Density, sharpness
from uml_tf.runtime.evidence import concentration_from_logits
from uml_tf.runtime.placement import place
from uml_tf.runtime.surroundings import surroundings
from uml_tf.runtime.trust import NO_TRUST, Trust
from uml_tf.training.density_fit import fit_density

B, H, K, C, D = 6, 4, 3, 3, 40
KINDS = [(True, True), (True, False), (False, False)]
"""Evidential heads, and whether one of them draws the mask: edge, the published networks, softmax."""


def _heads(evidential, evidential_mask, seed=0):
    rng = np.random.default_rng(seed)

    def draw(is_head, *shape):
        logits = rng.normal(1, 3, shape).astype(np.float32)
        return concentration_from_logits(logits) if is_head else logits

    features = rng.normal(0, 1, (B, D)).astype(np.float32) * np.linspace(0.5, 6, B)[:, None].astype(
        np.float32
    )
    terms = rng.normal(0, 1, (B, 4)).astype(np.float32)
    return Heads(
        draw(evidential, B, K),
        draw(evidential, B, H, H, C),
        draw(evidential_mask, B, H, H, C),
        features,
        terms,
    )


def _density(limit=None):
    rng = np.random.default_rng(1)
    vectors = [tuple(rng.normal(0, 1, (count, size)) for size in (D, 4)) for count in (60, 40)]
    density = fit_density(vectors[:1], vectors[1])
    if limit is None:
        return density
    return Density(*(replace(g, limit=limit) for g in (density.features, density.sharpness)))


FITTED = Trust(
    _density(),
    1.7,
    0.6,
    Confidence("mix", {"largest": 0.9, "vacuity": 0.5, "entropy": 0.3, "dissonance": 0.2}, 0.1, 0.5),
    Confidence("mix", {"largest": 0.8, "vacuity": 0.3, "mutual": 0.4, "surroundings": 0.5}, -0.2),
)


@pytest.mark.parametrize(("evidential", "by_evidence"), KINDS)
def test_numpy_and_keras_agree(evidential, by_evidence):
    heads = _heads(evidential, by_evidence)
    found = contract(heads, evidential, by_evidence, FITTED)
    tensors = Heads(*(keras.ops.convert_to_tensor(value) for value in heads))
    for name, value in contract(tensors, evidential, by_evidence, FITTED, keras.ops).items():
        np.testing.assert_allclose(found[name], value, atol=2e-6, err_msg=name)


@pytest.mark.parametrize(("evidential", "by_evidence"), KINDS)
def test_opinions_stay_opinions_at_any_familiarity(evidential, by_evidence):
    found = contract(_heads(evidential, by_evidence), evidential, by_evidence, FITTED)
    familiarity = found["familiarity"][:, 0]
    assert familiarity.max() == 1
    assert familiarity.min() < 0.2
    for part in ("class", "mask"):
        total = found[f"{part}_belief"].sum(-1, keepdims=True) + found[f"{part}_uncertainty"]
        np.testing.assert_allclose(total, 1, atol=1e-6)
        np.testing.assert_allclose(found[f"{part}_probability"].sum(-1), 1, atol=1e-6)
        for name in ("uncertainty", "confidence"):
            assert (found[f"{part}_{name}"] >= 0).all()
            assert (found[f"{part}_{name}"] <= 1 + 1e-6).all()


@pytest.mark.parametrize(("evidential", "by_evidence"), KINDS)
def test_within_the_limit_nothing_changes(evidential, by_evidence):
    heads = _heads(evidential, by_evidence)
    plain = contract(heads, evidential, by_evidence)
    found = contract(heads, evidential, by_evidence, Trust(_density(1e6)))
    for name, value in plain.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)
    assert (plain["familiarity"] == 1).all()
    np.testing.assert_array_equal(plain["class_confidence"][:, 0], plain["class_probability"].max(-1))


@pytest.mark.parametrize(("evidential", "by_evidence"), KINDS)
def test_far_beyond_the_limit_nothing_is_known(evidential, by_evidence):
    heads = _heads(evidential, by_evidence)
    found = contract(heads, evidential, by_evidence, replace(FITTED, density=_density(1e-5)))
    for part, classes in (("class", K), ("mask", C)):
        np.testing.assert_allclose(found[f"{part}_uncertainty"], 1, atol=1e-3)
        np.testing.assert_allclose(found[f"{part}_probability"], 1 / classes, atol=1e-3)
        np.testing.assert_allclose(found[f"{part}_confidence"], 1 / classes, atol=1e-3)


def test_familiarity_falls_strictly_beyond_the_limit():
    density = _density()
    direction = np.random.default_rng(2).normal(size=D)
    steps = np.linspace(0, 8, 300)[:, None]
    vectors = (steps * direction).astype(np.float32)
    calm = np.repeat(density.sharpness.mean.array[None], 300, axis=0)
    distance = density.features.distance(vectors)[:, 0]
    familiarity = density.familiarity(vectors, calm)[:, 0]
    inside = distance <= density.features.limit
    assert (familiarity[inside] == 1).all()
    assert (np.diff(familiarity[~inside]) < 0).all()
    assert familiarity.min() > 0
    at = np.interp(1.5 * density.features.limit, distance, familiarity)
    assert at == pytest.approx(0.2, abs=0.01)


def test_the_distance_is_mahalanobis():
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(5, 5))
    vectors = rng.normal(size=(4000, 5)) @ mixing
    gaussian = fit_density([(vectors, vectors[:, :4])], (vectors, vectors[:, :4])).features
    other = rng.normal(size=(50, 5)) * 3
    centred = other - vectors.mean(axis=0)
    exact = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(np.cov(vectors.T)), centred)
    found = gaussian.distance(other.astype(np.float32))[:, 0]
    # Four of five directions have their own variance, and the fifth is the rest: nothing is left out.
    np.testing.assert_allclose(found, np.sqrt(exact / 5), rtol=2e-3)


@pytest.mark.parametrize("temperature", [0.2, 5.0])
def test_a_temperature_changes_probabilities_alone(temperature):
    heads = _heads(True, True)
    plain = contract(heads, True, True)
    found = contract(heads, True, True, Trust(None, temperature, temperature))
    for part in ("class", "mask"):
        p = plain[f"{part}_probability"].astype(np.float64) ** (1 / temperature)
        np.testing.assert_allclose(found[f"{part}_probability"], p / p.sum(-1, keepdims=True), atol=1e-6)
        for name in (f"{part}_belief", f"{part}_uncertainty"):
            np.testing.assert_array_equal(found[name], plain[name])
        chosen = plain[f"{part}_probability"].argmax(-1)
        np.testing.assert_array_equal(found[f"{part}_probability"].argmax(-1), chosen)


@pytest.mark.parametrize("least", [0.0, 1 / C])
@pytest.mark.parametrize("name", SCORES)
def test_confidence_rises_with_each_of_its_scores(name, least):
    heads = _heads(True, True)
    navigator = heads.mask_head / heads.mask_head.sum(-1, keepdims=True)
    heads = heads._replace(mask_head=fused(heads.mask_head, heads.mutual_head))
    trust = Trust(mask_confidence=Confidence(name, {name: 0.7}, 0.3, least))
    found = contract(heads, True, True, trust)["mask_confidence"]
    strength = heads.mask_head.sum(-1)
    mean = heads.mask_head / strength[..., None]
    doubt = dirichlet_doubt(heads.mask_head)
    mutual = heads.mutual_head / heads.mutual_head.sum(-1, keepdims=True)

    def of_chosen(values):
        return np.take_along_axis(values, mean.argmax(-1)[..., None], -1)[..., 0]

    score = {
        "largest": np.log(mean.max(-1) / (1 - mean.max(-1))),
        "entropy": -doubt["entropy"] / np.log(C),
        "vacuity": -C / strength,
        "dissonance": -doubt["dissonance"],
        "mutual": of_chosen(np.log(mutual / (1 - mutual))),
        "navigator": of_chosen(np.log(navigator / (1 - navigator))),
        "surroundings": of_chosen(surroundings(np.log(mean / (1 - mean)))),
    }[name]
    logistic = 1 / (1 + np.exp(-(0.7 * score + 0.3)))
    np.testing.assert_allclose(found[..., 0], least + (1 - least) * logistic, atol=2e-5)


def test_dissonance_of_no_evidence_is_none():
    assert float(dissonance(np.zeros(3))[0]) == 0


def test_sharpness_tells_blur_and_noise_and_is_the_same_in_keras():
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (3, 32, 48, 3)).astype(np.float32)
    images[1] = images[1].mean()
    terms = sharpness(images)
    assert terms.shape == (3, 4)
    assert np.isfinite(terms).all()
    assert (terms[0] > terms[1] + 3).all()
    np.testing.assert_allclose(sharpness(keras.ops.convert_to_tensor(images), keras.ops), terms, atol=1e-5)


def test_trust_goes_through_json_without_losing_a_bit():
    assert Trust.from_dict(json.loads(json.dumps(FITTED.to_dict()))) == FITTED
    assert Trust.from_dict(NO_TRUST.to_dict()) == NO_TRUST
    assert len(repr(FITTED)) < 2000


def test_between_two_sure_pixels_of_different_classes_nothing_is_sure():
    probability = np.array([[[0.9, 0.1], [0.2, 0.8]]], np.float32)
    confidence = np.array([[[0.95], [0.85]]], np.float32)
    found = chances(probability, confidence)
    np.testing.assert_allclose(found, [[[0.95, 0.05], [0.15, 0.85]]], atol=1e-6)
    hard = chances(np.array([[1.0, 0, 0]]), np.array([[0.75]]))
    np.testing.assert_allclose(hard, [[0.75, 0.125, 0.125]], atol=1e-6)
    placement = place("stretch", (1, 4), (1, 2))
    outputs = {"mask_probability": probability, "mask_confidence": confidence}
    mask = placement.restored(outputs, "mask_probability").argmax(-1)
    np.testing.assert_array_equal(mask, [[0, 0, 1, 1]])
    expected = [[0.95, 0.75 * 0.95 + 0.25 * 0.15, 0.25 * 0.05 + 0.75 * 0.85, 0.85]]
    np.testing.assert_allclose(placement.restored_confidence(outputs, mask), expected, atol=1e-6)
