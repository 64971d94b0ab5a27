"""The mean over several seeds as one statistic, and the difference of two such means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from image_measures import measure, random_measures, two_class_measures

from uml_tf.evaluation.comparison import differences, differences_of_means
from uml_tf.evaluation.repeats import commonly_defined, mean_statistics
from uml_tf.evaluation.statistics import statistics
from uml_tf.evaluation.summary import estimates
from uml_tf.metrics.bootstrap import resamples


def _by_name(found):
    return {difference.metric: difference for difference in found}


def _metrics(measures, *names):
    return estimates(statistics(measures, names), measures)


def _seeds(count, quality, images=80):
    """Measures of the same images by networks of several seeds."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng([seed, 7])
        correct = np.arange(images) % 10 < 10 * quality
        found.append(two_class_measures(rng.permutation(correct), quality + rng.normal(0, 0.05, images)))
    return found


def test_the_mean_over_seeds_is_the_mean_of_each_seeds_metric_and_its_interval_that_of_the_mean():
    seeds, names = _seeds(3, 0.8), ("auc", "class_failure_auroc", "mean_dice", "ece")
    found = estimates(mean_statistics(commonly_defined(seeds), names), seeds[0])
    assert set(found) == set(names)
    alone = [_metrics(measures, *names) for measures in seeds]
    for name in names:
        assert found[name].value == pytest.approx(np.mean([one[name].value for one in alone]))
    dice = np.mean([[m.values["mean_dice"] for m in measures] for measures in seeds], axis=0)
    subjects = [m.resampled_with for m in seeds[0]]
    draws = [np.average(dice, weights=draw) for draw in resamples(subjects)]
    interval = (found["mean_dice"].low, found["mean_dice"].high)
    assert interval == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5])))
    # The seeds' own noise on an image averages out, that of the choice of images does not.
    assert interval[1] - interval[0] < min(one["mean_dice"].high - one["mean_dice"].low for one in alone)


def test_one_seed_is_the_plain_comparison():
    first, second = random_measures(60, seed=1), random_measures(60, seed=2)
    assert differences_of_means([first], [second]) == differences(first, second)


def test_images_in_another_order_are_refused():
    measures = random_measures(20, seed=1)
    with pytest.raises(ValueError, match="another order"):
        differences_of_means([measures], [measures[1:] + measures[:1]])


def test_the_difference_of_two_arms_is_that_of_their_means_over_the_same_images():
    worse, better = _seeds(3, 0.6), _seeds(2, 0.9)
    found = _by_name(differences_of_means(worse, better, names=["mean_dice", "accuracy"]))
    assert found["mean_dice"].verdict == found["accuracy"].verdict == "better"
    for name in ("mean_dice", "accuracy"):
        means = [np.mean([_metrics(m, name)[name].value for m in arm]) for arm in (worse, better)]
        assert found[name].change.value == pytest.approx(means[1] - means[0])
    assert set(found) == {"mean_dice", "accuracy"}  # a metric that is not wanted takes no time


def test_an_image_on_which_one_seed_is_undefined_is_left_out_of_all():
    nan = float("nan")
    one = [measure(i, 0, [2, 1], values={"dice_lesion": v}) for i, v in enumerate((0.2, 0.4, 0.9))]
    other = [measure(i, 0, [2, 1], values={"dice_lesion": v}) for i, v in enumerate((0.4, nan, 0.7))]
    (found,) = mean_statistics(commonly_defined([one, other]), ["dice_lesion"])
    assert found.images == (0, 2)
    assert found.values(np.ones((1, 2))) == pytest.approx(np.array([[(0.2 + 0.9 + 0.4 + 0.7) / 4]]))


def test_images_that_have_masks_or_labels_for_one_arm_alone_count_for_neither():
    measures = two_class_measures([True] * 12, np.linspace(0.5, 0.9, 12))
    fewer = [replace(m, values={}, label=-1) if i < 4 else m for i, m in enumerate(measures)]
    names = ("mean_dice", "accuracy")
    found = _by_name(differences_of_means([measures], [fewer], names))
    assert found["mean_dice"].change.images == found["accuracy"].change.images == 8
    assert found["mean_dice"].change.value == 0
    none = [replace(m, values={}) for m in measures]
    assert "mean_dice" not in _by_name(differences_of_means([measures], [none], names))
