"""Distances of many images: the numbers of all at once, without their memory."""

from __future__ import annotations

import tracemalloc

import numpy as np

from uml_tf.training.density_fit import fit_density, in_parts


def test_the_distances_of_many_vectors_are_those_of_all_at_once_in_little_memory():
    rng = np.random.default_rng(0)
    features, terms = (rng.normal(size=(3000, size)).astype(np.float32) for size in (80, 4))
    density = fit_density([(features, terms)], (features[:300], terms[:300]))
    expected = density.familiarity(features, terms)
    tracemalloc.start()
    found = in_parts(density.familiarity, features, terms)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, expected)
    assert peak < 40e6  # at once: 3000 x 80 x 32 numbers, twice
    limit = density.features.limit
    inside = (in_parts(density.features.distance, features[:300]) < limit).mean()
    assert 0.985 < inside < 1
