"""The epoch whose weights are kept."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from uml_tf.training.epoch_choice import EpochChoice, EpochScore


def _kept(scores):
    """The averaged scores, and the numbers of the epochs that are kept in turn."""
    choice = EpochChoice()
    found = [choice.add(epoch, score) for epoch, score in enumerate(scores)]
    return [value for value, _ in found], [epoch for epoch, (_, kept) in enumerate(found) if kept], choice


def _plain(values):
    return [EpochScore(value, (0.0, 0.0)) for value in values]


def test_the_score_is_averaged_over_three_epochs():
    averaged, _, _ = _kept(_plain([0.2, 0.5, 0.8, 0.2]))
    np.testing.assert_allclose(averaged, [0.2, 0.35, 0.5, 0.5])


def test_without_chance_the_highest_score_is_kept():
    _, kept, choice = _kept(_plain([0.2, 0.5, 0.8, 0.8, 0.8, 0.1, 0.1]))
    assert kept[-1] == choice.best_epoch == 4


def test_a_later_epoch_is_kept_within_one_standard_error_of_the_difference():
    """Six subjects: one epoch is lower by as much as three of them rose and three fell, another by more."""
    scattered = (0.01, 0.01, 0.01, -0.01, -0.01, -0.01)
    best = [EpochScore(0.8, (0.0,) * 6)] * 3
    error = np.linalg.norm(scattered)
    for fall, expected in ((0.9, 5), (1.1, 2)):
        later = [EpochScore(0.8 - fall * error, scattered)] * 3
        choice = EpochChoice()
        kept = [epoch for epoch, score in enumerate([*best, *later]) if choice.add(epoch, score)[1]]
        # While the average holds epochs of both kinds, its fall and its error grow alike.
        assert kept[-1] == expected
        assert choice.best_epoch <= 2


def test_what_all_subjects_share_is_no_chance():
    """Where every subject moves alike, nothing is due to which subjects there are."""
    moved = EpochScore(0.79, (0.02, -0.02, 0.01))
    _, kept, _ = _kept([EpochScore(0.8, moved.influence)] * 3 + [moved] * 3)
    assert kept[-1] == 2


def test_without_any_truth_the_last_epoch_is_kept_and_a_nan_among_numbers_never_is():
    nothing = EpochScore(float("nan"), (0.0,))
    assert _kept([nothing] * 3)[1] == [0, 1, 2]
    assert _kept([EpochScore(0.5, (0.0,)), nothing])[1] == [0]


def test_a_choice_is_the_same_after_json():
    _, _, choice = _kept([EpochScore(0.1 * value, (0.01 * value, -0.02)) for value in range(5)])
    assert EpochChoice.from_dict(json.loads(json.dumps(asdict(choice)))) == choice
    assert len(choice.recent) == 3
    assert EpochChoice.from_dict(json.loads(json.dumps(asdict(EpochChoice())))) == EpochChoice()


def test_scores_of_other_subjects_are_not_compared():
    choice = EpochChoice()
    choice.add(0, EpochScore(0.5, (0.1, 0.2)))
    with pytest.raises(ValueError, match="shape"):
        choice.add(1, EpochScore(0.5, (0.1,)))
