"""The measures of doubt, against samples of TensorFlow Probability's Dirichlet and by hand."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import tensorflow_probability as tfp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from uml_tf.metrics.dirichlet import dirichlet_doubt

CASES = np.array([[1.0, 1.0, 1.0], [1.5, 4.0, 1.0], [30.0, 2.0, 25.0], [200.0, 1.0, 1.0], [60.0, 60.0, 60.0]])
CONCENTRATIONS = arrays(
    np.float32,
    array_shapes(min_dims=1, max_dims=4, min_side=2, max_side=4),
    elements=st.floats(1, 1e6, width=32),
)


def _entropy(probability):
    return -np.sum(probability * np.log(np.maximum(probability, 1e-300)), axis=-1)


def test_entropies_are_those_of_samples():
    found = dirichlet_doubt(CASES)
    samples = tfp.distributions.Dirichlet(CASES).sample(40_000, seed=1).numpy()
    entropies = _entropy(samples)
    tolerance = 5 * entropies.std(axis=0) / np.sqrt(len(samples)) + 1e-9
    assert (np.abs(found["expected_entropy"] - entropies.mean(axis=0)) < tolerance).all()
    mean = samples.mean(axis=0)
    np.testing.assert_allclose(found["entropy"], _entropy(mean), atol=5e-3)
    # The information that the class gives about the probabilities: KL of a draw from the mean.
    divergence = np.sum(samples * np.log(np.maximum(samples, 1e-300) / mean), axis=-1)
    tolerance = 5 * divergence.std(axis=0) / np.sqrt(len(samples)) + 1e-4
    assert (np.abs(found["mutual_information"] - divergence.mean(axis=0)) < tolerance).all()


def test_entropy_of_the_mean_is_tensorflow_probabilitys():
    mean = tfp.distributions.Dirichlet(CASES).mean()
    expected = tfp.distributions.Categorical(probs=mean).entropy()
    np.testing.assert_allclose(dirichlet_doubt(CASES)["entropy"], expected, rtol=1e-12)


def test_by_hand():
    found = dirichlet_doubt(np.array([[1.0, 1.0], [1.0, 3.0], [5.0, 5.0], [4.0, 2.0]]))
    np.testing.assert_allclose(found["vacuity"], [1, 2 / 4, 2 / 10, 2 / 6])
    np.testing.assert_allclose(
        found["entropy"],
        [np.log(2), -(0.25 * np.log(0.25) + 0.75 * np.log(0.75)), np.log(2), np.log(3) - 2 / 3 * np.log(2)],
    )
    # Uniform over the simplex of two classes: the expected entropy is 1/2 nat.
    np.testing.assert_allclose(found["expected_entropy"][0], 0.5)
    # One class alone: none. Equal beliefs: their sum. b = 3/6 and 1/6: both balances are 1/2.
    np.testing.assert_allclose(found["dissonance"], [0, 0, 0.8, 0.5 * (3 / 6 + 1 / 6)], atol=1e-12)


def _dissonance_by_the_definition(belief):
    total = 0.0
    for k, own in enumerate(belief):
        others = [b for j, b in enumerate(belief) if j != k]
        if sum(others) > 0:
            balance = [1 - abs(b - own) / (b + own) if b * own > 0 else 0.0 for b in others]
            total += own * sum(b * w for b, w in zip(others, balance, strict=True)) / sum(others)
    return total


@given(arrays(np.float64, st.integers(2, 6), elements=st.one_of(st.just(1.0), st.floats(1, 1e4))))
def test_dissonance_is_the_published_definition(alpha):
    expected = _dissonance_by_the_definition((alpha - 1) / alpha.sum())
    np.testing.assert_allclose(dirichlet_doubt(alpha)["dissonance"], expected, atol=1e-9)


@given(CONCENTRATIONS)
def test_shapes_and_ranges(alpha):
    found, largest = dirichlet_doubt(alpha), np.log(alpha.shape[-1])
    assert set(found) == {"entropy", "expected_entropy", "mutual_information", "dissonance", "vacuity"}
    for name, value in found.items():
        assert np.shape(value) == alpha.shape[:-1], name
        assert (value >= -1e-9).all(), name
        assert (value <= (1 if name in ("dissonance", "vacuity") else largest) + 1e-9).all(), name


def test_more_evidence_of_the_same_kind_removes_only_the_mutual_information():
    few, many = dirichlet_doubt(np.array([2.0, 2.0])), dirichlet_doubt(np.array([2000.0, 2000.0]))
    assert few["entropy"] == pytest.approx(many["entropy"])
    assert many["mutual_information"] < 1e-3 < few["mutual_information"]
    assert many["dissonance"] > 0.99 > few["dissonance"]


def test_metrics_need_no_tensorflow():
    code = (
        "import sys, numpy as np\n"
        "from uml_tf.evaluation.measure import ImageMeasure\n"
        "from uml_tf.evaluation.summary import summarise\n"
        "half = np.ones(2) / 2\n"
        "summarise([ImageMeasure(f'{i}.png', '', i % 2, half, half / 2, 0.5) for i in range(9)])\n"
        "assert not {'tensorflow', 'tensorflow_probability', 'mlflow', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
