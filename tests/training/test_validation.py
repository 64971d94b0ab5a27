"""The results on the validation split, and the score by which an epoch is chosen."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest

from uml_tf.data.dataset import Row
from uml_tf.data.pipeline import Examples, load_examples
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.networks import UML, preset
from uml_tf.runtime.confidence import FEWEST_LABELS
from uml_tf.runtime.placement import Box, place
from uml_tf.training.confidence_fit import fit_temperature
from uml_tf.training.config import TrainingConfig
from uml_tf.training.display import SILENT
from uml_tf.training.loop import Listener
from uml_tf.training.validation import Validation, class_results, validate

SIZE = 16


class _Fixed:
    """Predicts given probabilities; for the rest as ``KerasPredictor``."""

    def __init__(self, probability, mask, pixel_classes):
        keras.utils.set_random_seed(0)
        self.model = type("Model", (), {"pixel_classes": pixel_classes})
        self._outputs = {
            "class_probability": np.asarray(probability, np.float32),
            "class_uncertainty": np.full((len(mask), 1), 0.5, np.float32),
            "mask_probability": np.eye(pixel_classes, dtype=np.float32)[mask],
            "mask_uncertainty": np.full((*mask.shape, 1), 0.5, np.float32),
        }

    def over(self, examples):
        yield slice(0, len(examples)), self._outputs


def _examples(labels, masks):
    labels, masks = np.asarray(labels), np.asarray(masks, np.uint8)
    has_mask = np.ones(len(labels), np.float32)
    rows = (Row("a.png", "a.png", "", "val", ""),) * len(labels)
    return Examples(np.zeros((*masks.shape, 3), np.uint8), labels, masks, has_mask, rows)


def _tempered(probability, labels):
    """The probabilities after the temperature that fits these images, if they are enough."""
    probability = np.asarray(probability, np.float32)
    if len(labels) < FEWEST_LABELS:
        return probability.astype(float)
    power = probability.astype(float) ** (1 / fit_temperature(probability, np.asarray(labels), len(labels)))
    return power / power.sum(axis=1, keepdims=True)


def _square(side):
    mask = np.zeros((SIZE, SIZE), int)
    mask[:side, :side] = 1
    return mask


def test_a_pixel_of_a_class_that_no_mask_shows_does_not_change_the_score():
    masks = np.stack([_square(8), _square(4)])
    examples, predicted = _examples([0, 1], masks), masks.copy()
    before = validate(_Fixed([[0.9, 0.1], [0.2, 0.8]], predicted, 3), examples)
    predicted[0, -1, -1] = 2
    after = validate(_Fixed([[0.9, 0.1], [0.2, 0.8]], predicted, 3), examples)
    assert after.score == before.score == pytest.approx((np.sqrt(0.9 * 0.8) + 1) / 2)
    assert np.isnan(after.dice[1])


def test_the_score_rates_the_probability_and_weights_the_classes_equally():
    masks = np.stack([_square(8)] * 4)
    examples = _examples([0, 0, 0, 1], masks)
    probability = [[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.4, 0.6]]
    result = validate(_Fixed(probability, masks, 2), examples)
    assert result.balanced_accuracy == 1
    own = np.take_along_axis(_tempered(probability, [0, 0, 0, 1]), np.array([[0], [0], [0], [1]]), 1).ravel()
    assert result.likelihood == pytest.approx(np.sqrt(own[:3].prod() ** (1 / 3) * own[3]))
    better = [[0.95, 0.05], [0.7, 0.3], [0.9, 0.1], [0.3, 0.7]]
    surer = validate(_Fixed(better, masks, 2), examples)
    assert surer.score > result.score


def test_dice_is_the_mean_over_the_images_that_show_the_region():
    truth = np.stack([_square(8), _square(2), _square(0)])
    predicted = np.stack([_square(8), _square(4), _square(3)])
    result = validate(_Fixed([[1, 0]] * 3, predicted, 2), _examples([-1, -1, -1], truth))
    assert result.dice == (pytest.approx((1 + 2 * 4 / (4 + 16)) / 2),)
    assert np.isnan(result.likelihood)
    assert result.score == result.dice[0]


def test_an_epoch_that_is_too_sure_but_right_as_often_scores_no_less():
    masks, labels = np.stack([_square(8)] * 24), [0, 1] * 12
    probability = np.array(([[0.8, 0.2], [0.3, 0.7]] * 3 + [[0.3, 0.7], [0.4, 0.6]]) * 3)
    power = probability**4
    found = [
        validate(_Fixed(p, masks, 2), _examples(labels, masks)).likelihood
        for p in (probability, power / power.sum(axis=1, keepdims=True))
    ]
    assert found[0] == pytest.approx(found[1], rel=0.03)
    assert (
        found[1] > np.exp(np.log(power / power.sum(axis=1, keepdims=True))[range(24), labels].mean()) + 0.05
    )


def test_the_influence_gives_the_variance_that_resampled_subjects_show():
    rng = np.random.default_rng(3)
    count = 200
    probability = rng.dirichlet((2, 1, 1), count)
    labels = np.array([rng.choice(3, p=p) for p in probability])
    truth = np.stack([_square(side) for side in rng.integers(3, 9, count)])
    predicted = np.stack([_square(side) for side in rng.integers(3, 9, count)])
    subjects = np.array([f"s{index // 2}" for index in range(count)])  # two images of each, and alike
    probability, labels, truth, predicted = (
        np.repeat(values[::2], 2, axis=0) for values in (probability, labels, truth, predicted)
    )

    def score(places, tasks):
        rows = tuple(Row("a.png", "", "", "val", str(subjects[place])) for place in places)
        examples = replace(_examples(labels[places], truth[places]), rows=rows)
        found = validate(_Fixed(probability[places], predicted[places], 2), examples, tasks)
        return found.score_of(tasks), found.influence

    # That the temperature is of the same images is left out of a class's influence.
    for tasks, tolerance in (("class", 0.25), ("mask", 0.15), ("both", 0.25)):
        _, influence = score(np.arange(count), tasks)
        assert len(influence) == 100
        draws = []
        for _ in range(300):
            drawn = rng.integers(0, 100, 100)
            draws.append(score(np.concatenate([2 * drawn, 2 * drawn + 1]), tasks)[0])
        assert np.linalg.norm(influence) == pytest.approx(np.std(draws), rel=tolerance)


def test_a_task_without_truth_leaves_the_whole_score_to_the_other():
    rng = np.random.default_rng(1)
    probability, labels = rng.dirichlet((1, 1), 8), [0, 1] * 4
    masks = np.stack([_square(side) for side in range(1, 9)])
    predicted = np.stack([_square(side) for side in (2, 2, 4, 4, 4, 8, 6, 9)])

    def influence(labels, masks, tasks="both"):
        return np.array(
            validate(_Fixed(probability, predicted, 2), _examples(labels, masks), tasks).influence
        )

    of_class, of_mask = influence(labels, masks, "class"), influence(labels, masks, "mask")
    assert min(np.abs(of_class).max(), np.abs(of_mask).max()) > 0.01
    np.testing.assert_allclose(influence(labels, masks), (of_class + of_mask) / 2)
    np.testing.assert_allclose(influence([-1] * 8, masks), of_mask)
    np.testing.assert_allclose(influence(labels, masks * 0), of_class)


def test_a_probability_that_is_no_number_leaves_the_choice_to_the_masks():
    masks = np.stack([_square(8), _square(4)])
    found = validate(_Fixed([[np.nan] * 2] * 2, masks[:, :, ::-1], 2), _examples([0, 1], masks))
    assert np.isfinite(found.score)
    assert np.isfinite(found.influence).all()


def test_few_images_of_a_class_show_the_variance_that_they_have():
    """Six images of a class, four, and one: as 11 images of three classes may be."""
    rng = np.random.default_rng(5)
    labels = np.array([0] * 6 + [1] * 4 + [2])
    values, errors = [], []
    for _ in range(1500):
        probability = np.full((11, 3), 0.0)
        own = rng.beta(6, 4, 11)
        probability[np.arange(11), labels] = own
        probability[np.arange(11), (labels + 1) % 3] = 1 - own
        found = class_results(labels, probability)
        values.append(found.likelihood)
        errors.append((found.influence**2).sum())
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(values), rel=0.15)


def test_without_labels_and_regions_the_last_epoch_is_kept_with_a_warning(phantoms):
    from uml_tf.training.build import build_loop
    from uml_tf.training.cluster import Cluster

    # The quickest network to build.
    config = TrainingConfig(preset="unet-edge", encoder_weights="none", epochs=2, image_size=32).resolved()
    splits = {name: load_examples(phantoms, name, (32, 32)) for name in ("train", "val")}
    val = splits["val"]
    splits["val"] = replace(
        val, labels=np.full_like(val.labels, -1), masks=np.zeros_like(val.masks), has_mask=val.has_mask * 0
    )
    loop = build_loop(config, phantoms, splits, SILENT, Cluster.alone())
    warnings, weights = [], []

    def epoch(report):
        with loop.step.average.applied():
            weights.append(loop.step.model.get_weights())

    loop.listener = Listener(epoch=epoch, warn=warnings.append)
    reports = loop.run()
    assert [report.is_kept for report in reports] == [True, True]
    (line,) = warnings
    assert line.startswith("split 'val' has neither labels nor regions")
    for found, expected in zip(loop.step.model.get_weights(), weights[-1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_likelihood_and_dice_of_a_network_are_those_of_its_outputs(phantoms):
    model = UML(preset("unet-edge"), 2, 3, (32, 32))
    val = load_examples(phantoms, "val", (32, 32))
    predictor = KerasPredictor(model)
    result = validate(predictor, val)
    outputs = [outputs for _, outputs in predictor.over(val)]
    probability = np.concatenate([o["class_probability"] for o in outputs])
    chosen = _tempered(probability, val.labels)[np.arange(len(val)), val.labels]
    mean = np.mean([np.log(chosen[val.labels == c]).mean() for c in (0, 1)])
    assert result.likelihood == pytest.approx(np.exp(mean), rel=1e-5)


def test_the_dice_of_each_source_is_that_of_its_own_images():
    truth = np.stack([_square(8), _square(8), _square(8), _square(8)])
    predicted = np.stack([_square(8), _square(4), _square(0), _square(8)])
    examples = _examples([0, 1, 0, 1], truth)
    has_mask = np.array([1, 1, 1, 0], np.float32)
    sources = ("drishti", "drishti", "refuge", "origa")
    rows = tuple(Row("a.png", "", "", "val", "", dataset=source) for source in sources)
    result = validate(_Fixed([[1, 0]] * 4, predicted, 2), replace(examples, has_mask=has_mask, rows=rows))
    half = 2 * 16 / (16 + 64)
    assert result.source_dice == {"drishti": (pytest.approx((1 + half) / 2),), "refuge": (0.0,)}
    named = result.named(("background", "disc"))
    assert named["val/dice_disc/drishti"] == pytest.approx((1 + half) / 2)
    assert named["val/dice_disc"] == pytest.approx((1 + half) / 3)
    assert "val/dice_disc/origa" not in named  # it has no mask to be compared with
    assert named["val/foreground/origa"] == 64 / SIZE**2
    assert named["val/foreground/drishti"] == (64 + 16) / 2 / SIZE**2
    assert Validation.from_dict(json.loads(json.dumps(asdict(result)))) == result


def test_padding_is_no_foreground():
    predicted = np.ones((2, SIZE, SIZE), np.uint8)
    predicted[:, SIZE // 4 : -SIZE // 4] = 0  # foreground above and below, where a wide picture is padded
    examples = _examples([0, 1], np.zeros_like(predicted))
    rows = tuple(Row("a.png", "", "", "val", "", dataset=source) for source in ("drishti", "origa"))
    padded = tuple(place("letterbox", (SIZE, 2 * SIZE), (SIZE, SIZE)) for _ in rows)
    result = validate(_Fixed([[1, 0]] * 2, predicted, 2), replace(examples, rows=rows, placements=padded))
    assert result.source_foreground == {"drishti": 0.0, "origa": 0.0}


def test_foreground_is_a_share_of_the_picture_where_a_part_is_read():
    predicted = np.ones((2, SIZE, SIZE), np.uint8)
    examples = _examples([0, 1], np.zeros_like(predicted))
    rows = tuple(Row("a.png", "", "", "val", "", dataset=source) for source in ("drishti", "origa"))
    parts = tuple(place("stretch", (40, 40), (SIZE, SIZE), box) for box in (Box(5, 5, 20, 10), None))
    result = validate(_Fixed([[1, 0]] * 2, predicted, 2), replace(examples, rows=rows, placements=parts))
    assert result.source_foreground == {"drishti": pytest.approx(1 / 8), "origa": 1.0}


def test_one_source_is_not_named():
    truth = np.stack([_square(8)] * 2)
    result = validate(_Fixed([[1, 0]] * 2, truth, 2), _examples([0, 1], truth))
    assert (result.source_dice, result.source_foreground) == ({}, {})
