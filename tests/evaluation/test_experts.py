"""Doubt where experts disagree: pixels and images."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.data.agreement import decode_agreement, encode_agreement
from uml_tf.data.dataset import DatasetInfo, Row
from uml_tf.evaluation.expert_pixels import experts_seen
from uml_tf.evaluation.experts import COLUMNS, experts_agreement, experts_markdown
from uml_tf.evaluation.measure import measure_image
from uml_tf.evaluation.measures_file import load_measures, save_measures

INFO = DatasetInfo(name="d", image_classes=("a", "b"), pixel_classes=("background", "rim", "cup"))
SIZE = 64


def _image(spread, honest, rng):
    """Outputs, the majority's mask and the agreement of four experts whose discs differ by ``spread``."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    distance = np.hypot(rows, columns)
    radii = 18 + spread * np.array([-1.5, -0.5, 0.5, 1.5])
    marks = np.stack([(distance < r).astype(int) + (distance < r - 9) for r in radii])
    shares = np.stack([(marks == c).mean(axis=0) for c in range(3)], axis=-1)
    own = shares if honest else np.roll(shares, 20, axis=0)
    probability = 0.85 * own + 0.05
    probability += rng.uniform(0, 0.002, probability.shape)
    probability /= probability.sum(axis=-1, keepdims=True)
    outputs = {
        "class_probability": np.array([0.5, 0.5]),
        "class_belief": np.array([0.2, 0.2]),
        "class_uncertainty": np.array([0.6]),
        "mask_probability": probability,
        "mask_belief": probability * 0.9,
        "mask_uncertainty": np.full((SIZE, SIZE, 1), 0.1),
    }
    agreement = decode_agreement(encode_agreement(shares), 3)
    return outputs, shares.argmax(axis=-1).astype(np.uint8), agreement


def _measures(honest, count=6):
    rng = np.random.default_rng(0)
    found = []
    for number, spread in enumerate(np.linspace(0.5, 3, count)):
        outputs, mask, agreement = _image(spread, honest, rng)
        row = Row(f"{number}.png", "m.png", "a", "test", f"s{number}")
        found.append(measure_image(row, 0, outputs, mask, INFO, agreement=agreement))
    return found


def test_a_model_that_doubts_what_experts_dispute_is_told_from_one_that_does_not(tmp_path):
    measures = _measures(honest=True)
    save_measures(tmp_path / "m.npz", measures)
    honest = experts_agreement(load_measures(tmp_path / "m.npz"))
    other = np.mean([m.experts["max_probability/auroc"] for m in _measures(honest=False, count=3)])
    ranks, area, images = honest["max_probability"]
    assert ranks.value > 0.6
    assert area.value > 0.95
    assert images.value > 0.95
    assert images.images == 6
    assert other < 0.8
    text = experts_markdown(honest)
    assert "6 images" in text
    assert all(column in text for column in COLUMNS)


def test_without_experts_nothing_is_said():
    outputs, mask, _ = _image(1, True, np.random.default_rng(1))
    plain = measure_image(Row("a.png", "m.png", "a", "test", ""), 0, outputs, mask, INFO)
    assert plain.experts == {}
    assert experts_markdown(experts_agreement([plain])) == ""
    assert experts_seen(np.eye(3)[np.zeros(9, int)], np.zeros(9, int), {}) == {}


def test_unanimous_experts_have_no_disagreement_to_find():
    shares, predicted = np.eye(3)[np.ones(20, int)], np.ones(20, int)
    found = experts_seen(shares, predicted, {"vacuity": np.linspace(0, 1, 20)})
    assert found["disagreement"] == pytest.approx(0)
    assert np.isnan(found["vacuity/auroc"])
