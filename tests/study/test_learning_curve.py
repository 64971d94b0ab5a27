"""The figure of a learning curve, from a study of two arms with measures made by hand."""

from __future__ import annotations

import shutil

import pytest
from image_measures import measure

from uml_tf.study.cells import open_study
from uml_tf.study.learning_curve import learning_curve_figure
from uml_tf.study.report import rows_markdown
from uml_tf.study.results import pooled, study_results
from uml_tf.training.display import SILENT

TEXT = """config: {data: set}
arms: {all: , half: {epochs: 28}, other: {preset: unet-edge}}
training_share: {half: 0.5}
seeds: [0, 1]
"""


@pytest.fixture
def study(phantoms, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(phantoms.root, tmp_path / "set")
    (tmp_path / "study.yaml").write_text(TEXT)
    return open_study(tmp_path / "study.yaml", SILENT)


def _seed(right):
    """A network that tells that many of ten images right."""
    return pooled([[measure(f"{i}.png", 0, [3, 1] if i < right else [1, 3]) for i in range(10)]])


def test_every_arm_of_the_curve_is_a_point_at_its_number_of_images(study):
    rows = study_results(
        {"all": [_seed(9), _seed(8)], "half": [_seed(6), _seed(6)], "other": [_seed(1)]}, ["accuracy"]
    )
    (panel,) = learning_curve_figure(study, rows).axes
    counts = [len(study.of_arm(arm)[0].dataset.split("train")) for arm in ("all", "half")]
    assert counts[1] < 0.6 * counts[0]
    assert [text.get_text() for text in panel.texts] == ["all", "half"]
    points = [line.get_xydata()[0].tolist() for line in panel.lines if line.get_marker() == "o"]
    assert points == [[counts[0], pytest.approx(0.85)], [counts[1], pytest.approx(0.6)]]
    repeats = [line.get_xydata().tolist() for line in panel.lines if line.get_marker() == "."]
    assert repeats[0] == [[counts[0], pytest.approx(0.9)], [counts[0], pytest.approx(0.8)]]
    assert panel.get_xscale() == "log"
    assert [label.get_text() for label in panel.get_xticklabels()] == [f"{n}" for n in sorted(counts)]


def test_a_metric_that_is_undefined_has_a_panel_without_points(study):
    rows = study_results({"all": [_seed(9)], "half": [_seed(6)]}, ["auc"])
    (panel,) = learning_curve_figure(study, rows).axes
    assert not [line for line in panel.lines if line.get_marker() == "o"]


def test_without_a_result_of_its_arms_there_is_no_curve(study):
    assert learning_curve_figure(study, study_results({"other": [_seed(9)]}, ["accuracy"])) is None


def test_the_table_tells_the_share_and_its_images(study):
    text = rows_markdown(study, {}, {}, {})
    images = len(study.of_arm("half")[0].dataset.split("train"))
    assert f"`epochs=28`, 0.5 of the training subjects ({images} images)" in text
