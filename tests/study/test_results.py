"""The table of a study, against numbers computed by hand."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest
from image_measures import measure, two_class_measures

from uml_tf.metrics.bootstrap import resamples
from uml_tf.runtime.errors import UmlError
from uml_tf.study.forecast import Forecast
from uml_tf.study.results import exceeds_seeds, pooled, study_results
from uml_tf.study.table import results_csv, results_figure, results_markdown

IMAGES = 60
SUBJECTS = [f"patient {i // 2}" for i in range(IMAGES)]


def _seed(quality, noise, seed):
    """The measures of a seed's two folds."""
    rng = np.random.default_rng([seed, 3])
    dice = np.clip(quality + noise + rng.normal(0, 0.03, IMAGES), 0, 1)
    measures = two_class_measures(np.arange(IMAGES) % 5 > 0, dice, SUBJECTS)
    return pooled([measures[:30], measures[30:]])


def _arms(noises=((0.0, 0.01, -0.01), (0.0, 0.01, -0.01)), qualities=(0.6, 0.8)):
    return {
        name: [_seed(quality, noise, number) for number, noise in enumerate(own)]
        for name, quality, own in zip(("plain", "better"), qualities, noises, strict=True)
    }


def _dice(seeds):
    return np.array([[m.values["mean_dice"] for m in seed.values()] for seed in seeds])


def test_mean_deviation_interval_and_difference_are_those_computed_by_hand():
    arms = _arms()
    plain, better = study_results(arms, ["mean_dice"])
    dice = {name: _dice(seeds) for name, seeds in arms.items()}
    assert plain.mean.value == pytest.approx(dice["plain"].mean())
    assert plain.by_seed == pytest.approx(tuple(dice["plain"].mean(axis=1)))
    assert plain.deviation == pytest.approx(np.std(dice["plain"].mean(axis=1), ddof=1))
    assert (plain.mean.images, plain.mean.subjects) == (60, 30)
    subjects = [m.resampled_with for m in arms["plain"][0].values()]
    means = np.stack([dice[name].mean(axis=0) for name in ("plain", "better")], axis=1)
    draws = [np.average(means, axis=0, weights=draw) for draw in resamples(subjects)]
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    assert (plain.mean.low, plain.mean.high) == pytest.approx((low[0], high[0]))
    assert plain.difference is None
    change = better.difference.change
    assert change.value == pytest.approx(dice["better"].mean() - dice["plain"].mean())
    interval = np.percentile(np.diff(draws, axis=1), [2.5, 97.5])
    assert (change.low, change.high) == pytest.approx(tuple(interval))
    assert better.verdict == "better"
    assert plain.verdict == ""


def test_a_difference_within_the_deviation_of_the_seeds_is_not_called_better():
    noises = ((-0.2, 0.0, 0.2), (-0.19, 0.02, 0.23))
    _, other = study_results(_arms(noises, (0.5, 0.5)), ["mean_dice"])
    assert other.difference.change.low > 0  # certain on these images, for these six trainings
    assert other.verdict not in ("better", "worse")


def test_the_seeds_are_compared_on_the_images_of_the_difference():
    arms = _arms(((-0.03, 0.0, 0.03), (-0.02, 0.01, 0.04)), (0.5, 0.5))
    hard = [f"{i}" for i in range(40, IMAGES)]  # measured by the first arm alone
    for seed in arms["plain"]:
        seed.update({i: replace(seed[i], values=dict.fromkeys(seed[i].values, 0.0)) for i in hard})
    arms["better"] = [{i: m for i, m in seed.items() if i not in hard} for seed in arms["better"]]
    plain, other = study_results(arms, ["mean_dice"])
    assert exceeds_seeds(plain.by_seed, other.by_seed), "by the images of each arm"
    assert other.difference.change.low > 0
    assert other.verdict not in ("better", "worse")
    first, own = other.compared_by_seed
    assert own == pytest.approx(other.by_seed)
    assert np.mean(own) - np.mean(first) == pytest.approx(other.difference.change.value)


def test_welch_t_test():
    assert exceeds_seeds([0.5, 0.51, 0.49], [0.6, 0.61, 0.59])
    assert not exceeds_seeds([0.5, 0.6, 0.4], [0.55, 0.65, 0.45])
    assert exceeds_seeds([0.5, 0.5], [0.6, 0.6])
    assert not exceeds_seeds([0.5, 0.5], [0.5, 0.5])
    assert exceeds_seeds([0.5], [0.6, 0.9])  # nothing is known of the first one's deviation


def test_an_image_in_two_test_parts_is_refused():
    one = [measure("a.png", 0, [2, 1])]
    with pytest.raises(UmlError, match=r"a\.png: found in two test parts of one seed"):
        pooled([one, one])


def test_a_single_seed_has_no_deviation_and_an_undefined_metric_no_number():
    arms = {name: [pooled([[measure(i, 0, [2, 1]) for i in range(5)]])] for name in ("a", "b")}
    rows = study_results(arms, ["accuracy", "auc", "mean_dice"])
    assert [row.metric for row in rows] == ["accuracy"] * 2 + ["auc"] * 2 + ["mean_dice"] * 2
    assert rows[0].deviation is None
    assert rows[2].mean.value is rows[5].mean.value is rows[5].difference is None
    text = results_markdown(rows)
    assert "| auc | higher | a | not defined |" in text
    assert results_figure(rows).axes


def test_arms_with_other_test_images_are_compared_on_those_that_both_have():
    arms = _arms()
    arms["better"] = [dict(list(seed.items())[10:]) for seed in arms["better"]]
    _, other = study_results(arms, ["mean_dice"])
    assert (other.mean.images, other.difference.change.images) == (50, 50)
    arms["better"] = [{f"other {name}": m for name, m in seed.items()} for seed in arms["better"]]
    _, other = study_results(arms, ["mean_dice"])
    assert other.mean.images == 50
    assert other.difference is None


def test_an_arm_of_three_seeds_against_one_repeat_by_hand():
    arms = _arms(((0.0, 0.01, -0.01), (0.02,)))
    _, one = study_results(arms, ["mean_dice"])
    three, single = _dice(arms["plain"]), _dice(arms["better"])
    assert (one.deviation, one.by_seed) == (None, (pytest.approx(single.mean()),))
    means = np.stack([three.mean(axis=0), single[0]], axis=1)
    subjects = [m.resampled_with for m in arms["plain"][0].values()]
    draws = np.diff([np.average(means, axis=0, weights=draw) for draw in resamples(subjects)], axis=1)
    change = one.difference.change
    assert change.value == pytest.approx(single.mean() - three.mean())
    assert (change.low, change.high) == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5])))
    assert one.verdict == "better"


def _told(seed, quality):
    """The same with the Dice that a network estimates of each lesion, nan where it found none."""
    return {
        image: replace(m, quality={"lesion": estimated})
        for (image, m), estimated in zip(seed.items(), quality, strict=True)
    }


def test_estimates_are_compared_on_the_images_in_which_all_repeats_tell_them():
    plain, other = (seeds[:2] for seeds in _arms().values())
    quality = np.random.default_rng(0).uniform(0.3, 0.9, (4, IMAGES))
    quality[0, 3] = quality[3, 7] = np.nan
    told = {
        "plain": [_told(*pair) for pair in zip(plain, quality[:2], strict=True)],
        "better": [_told(*pair) for pair in zip(other, quality[2:], strict=True)],
    }
    first, second = study_results(told, ["quality_error_lesion"])
    errors = np.abs(quality - np.concatenate([_dice(plain), _dice(other)]))
    assert first.mean.value == pytest.approx(np.delete(errors[:2], 3, axis=1).mean())
    both = np.delete(errors, [3, 7], axis=1)
    change = second.difference.change
    assert change.images == IMAGES - 2
    assert change.value == pytest.approx(both[2:].mean() - both[:2].mean())
    mean_alone = {"plain": told["plain"], "mean of three": [plain[0]]}
    _, untold = study_results(mean_alone, ["quality_error_lesion", "mean_dice"])[:2]
    assert untold.mean.value is untold.difference is None


def test_the_table_as_markdown_and_as_csv():
    rows = study_results(_arms(), ["accuracy", "mean_dice"])
    lines = results_markdown(rows).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "| difference to plain |" in lines[0]
    assert lines[-1].endswith("| better |")
    records = list(csv.DictReader(io.StringIO(results_csv(rows, {"better": 0.5}))))
    assert [(r["metric"], r["arm"]) for r in records] == [
        (metric, arm) for metric in ("accuracy", "mean_dice") for arm in ("plain", "better")
    ]
    last = records[-1]
    assert float(last["mean"]) == rows[-1].mean.value
    assert (last["images"], last["subjects"], last["seeds"]) == ("60", "30", "3")
    assert float(last["difference_low"]) == rows[-1].difference.change.low
    assert records[0]["difference"] == ""
    assert (records[0]["gigaflop"], last["gigaflop"]) == ("", "0.5")


def test_the_forecast_is_the_work_left_by_the_mean_epoch_of_the_arm():
    now = [0.0]
    forecast = Forecast({"a0": ("a", 10), "a1": ("a", 10), "b0": ("b", 10)}, 2, clock=lambda: now[0])
    for cell in ("a0", "b0"):
        forecast.begin(cell)
    assert forecast.seconds() is None
    forecast.epoch("a0", 9, 2.0)
    assert forecast.seconds() == (9 + 10 + 10) * 2 / 2  # nothing is known of b yet
    forecast.epoch("b0", 9, 6.0)
    assert forecast.seconds() == max((9 * 2 + 10 * 2 + 9 * 6) / 2, 9 * 6)
    now[0] = 9.0
    for cell in ("a0", "b0"):
        forecast.end(cell)
    besides = ((9 - 2) + (9 - 6)) / 2  # what they took besides their epochs
    assert forecast.seconds() == 10 * 2 + besides  # one process, however many there could be
    forecast.begin("a1")
    forecast.end("a1")
    assert forecast.seconds() == 0
