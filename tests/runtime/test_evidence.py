from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from uml_tf.runtime.evidence import (
    concentration_from_logits,
    evidence_from_logits,
    opinion_from_concentration,
    opinion_from_probability,
    uncertainty_from_concentration,
)

LOGITS = arrays(
    np.float32,
    array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=5),
    elements=st.floats(-1e4, 1e4, width=32),
)


@given(LOGITS)
def test_belief_and_uncertainty_sum_to_one(logits):
    opinion = opinion_from_concentration(concentration_from_logits(logits))
    np.testing.assert_allclose(opinion.belief.sum(-1, keepdims=True) + opinion.uncertainty, 1, atol=1e-5)
    np.testing.assert_allclose(opinion.probability.sum(-1), 1, atol=1e-5)
    assert (opinion.belief >= 0).all()
    assert ((opinion.uncertainty > 0) & (opinion.uncertainty <= 1 + 1e-6)).all()


@given(LOGITS)
def test_evidence_is_softplus(logits):
    expected = np.logaddexp(0, logits.astype(np.float64))
    np.testing.assert_allclose(evidence_from_logits(logits), expected, rtol=1e-5, atol=1e-6)


@given(LOGITS)
def test_uncertainty_alone_is_the_opinions(logits):
    concentration = concentration_from_logits(logits)
    np.testing.assert_array_equal(
        uncertainty_from_concentration(concentration), opinion_from_concentration(concentration).uncertainty
    )


def test_no_evidence_is_full_uncertainty():
    opinion = opinion_from_concentration(np.ones((2, 4, 3)))
    np.testing.assert_allclose(opinion.uncertainty, 1, atol=1e-12)
    assert (opinion.belief == 0).all()


def test_half_precision_does_not_overflow():
    # exp overflows float16 from 11.09 on; the relu form never takes exp of a positive number.
    evidence = evidence_from_logits(np.array([-3e4, -20.0, 0.0, 20.0, 3e4], np.float16))
    assert np.isfinite(evidence).all()
    assert evidence[-1] == np.float16(3e4)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_softmax_opinion_keeps_the_identity(classes):
    rng = np.random.default_rng(0)
    opinion = opinion_from_probability(rng.dirichlet(np.ones(classes), 50))
    np.testing.assert_allclose(opinion.belief.sum(-1, keepdims=True) + opinion.uncertainty, 1, atol=1e-6)


def test_keras_and_numpy_agree():
    from keras import ops

    logits = np.random.default_rng(1).normal(0, 5, (4, 3)).astype(np.float32)
    ours = opinion_from_concentration(concentration_from_logits(logits))
    theirs = opinion_from_concentration(
        concentration_from_logits(ops.convert_to_tensor(logits), xp=ops), xp=ops
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, ops.convert_to_numpy(b), rtol=1e-6)
