"""Scores of doubt from the output contract alone."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.metrics.dirichlet import dirichlet_doubt
from uml_tf.metrics.scores import (
    PIXEL_SCORES,
    SCORES,
    doubt_scores,
    pixel_scores,
    reported_name,
)
from uml_tf.runtime.evidence import (
    evidence_from_opinion,
    opinion_from_concentration,
    opinion_from_probability,
)


@pytest.fixture
def evidence():
    return np.random.default_rng(0).gamma(1, 5, (50, 4))


def test_the_concentration_is_recovered_from_what_every_model_returns(evidence):
    opinion = opinion_from_concentration(evidence.astype(np.float32) + 1)
    found = 1 + evidence_from_opinion(opinion.belief.astype(float), opinion.uncertainty.astype(float))
    np.testing.assert_allclose(found, evidence + 1, rtol=1e-5)
    by_probability = opinion.probability * 4 / opinion.uncertainty
    np.testing.assert_allclose(found, by_probability, rtol=1e-5)


def test_scores_are_those_of_the_dirichlet_distribution(evidence):
    opinion = opinion_from_concentration(evidence + 1)
    confidence = np.linspace(0.2, 1, 50)
    scores = doubt_scores(opinion.probability, opinion.belief, opinion.uncertainty[:, 0], confidence)
    assert list(scores) == list(SCORES)
    expected = dirichlet_doubt(evidence + 1)
    for name in ("entropy", "expected_entropy", "mutual_information", "dissonance"):
        np.testing.assert_allclose(scores[name], expected[name], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(scores["vacuity"], opinion.uncertainty[:, 0])
    np.testing.assert_array_equal(scores["confidence"], 1 - confidence)
    np.testing.assert_array_equal(scores["max_probability"], 1 - opinion.probability.max(axis=1))


def test_entropies_against_samples_of_the_distribution():
    alpha = np.array([[1.5, 4.0, 2.0]])
    drawn = np.random.default_rng(0).dirichlet(alpha[0], 400_000)
    doubt = dirichlet_doubt(alpha)
    mean = drawn.mean(axis=0)
    assert doubt["entropy"][0] == pytest.approx(-(mean * np.log(mean)).sum(), abs=2e-3)
    sampled = -(drawn * np.log(np.maximum(drawn, 1e-300))).sum(axis=1).mean()
    assert doubt["expected_entropy"][0] == pytest.approx(sampled, abs=2e-3)


def test_no_evidence_and_rounded_outputs_give_finite_scores():
    probability = np.array([[0.5, 0.5], [1.0, 0.0]])
    scores = doubt_scores(probability, np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([1.0, 0.0]), np.ones(2))
    for values in scores.values():
        assert np.isfinite(values).all()
    assert scores["dissonance"][0] == 0
    assert scores["entropy"][0] == pytest.approx(np.log(2))


def test_a_network_without_evidential_heads_has_scores_too():
    probability = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    opinion = opinion_from_probability(probability)
    found = 1 + evidence_from_opinion(opinion.belief, opinion.uncertainty)
    assert (found >= 1).all()
    np.testing.assert_allclose(3 / found.sum(axis=1), opinion.uncertainty[:, 0], rtol=1e-5)


def test_scores_of_pixels_are_relative_to_their_largest_value():
    probability = np.array([[1 / 3] * 3, [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    opinion = opinion_from_probability(probability)
    found = pixel_scores(probability, opinion.belief, opinion.uncertainty[:, 0], probability.max(axis=1))
    assert list(found) == list(PIXEL_SCORES)
    np.testing.assert_allclose(found["entropy"], [1, np.log(2) / np.log(3), 0], atol=1e-9)
    for values in found.values():
        assert ((values >= 0) & (values <= 1)).all()


def test_the_reported_name_of_the_models_own_score_is_the_metrics():
    assert reported_name("class_aurc", "vacuity") == "class_aurc"
    assert reported_name("class_aurc", "entropy") == "class_aurc_entropy"
