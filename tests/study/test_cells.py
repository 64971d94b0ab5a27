"""The cells of a study, and what tells one from another."""

from __future__ import annotations

import json
import re
import shutil
import zipfile

import mlflow
import numpy as np
import pytest

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_bytes
from uml_tf.study import other_models
from uml_tf.study.cell_process import _run
from uml_tf.study.cells import cells_by_seed, open_study
from uml_tf.study.runs import CELL_TAG, find_runs
from uml_tf.tracking.store import CHECKPOINT_FILE, run_folder, use_store
from uml_tf.training.checkpoint_format import FORMAT


class _Told:
    """A display that keeps the warnings."""

    def __init__(self):
        self.warnings = []

    def stage(self, name, total):
        return lambda done: None

    def warn(self, message):
        self.warnings.append(message)


@pytest.fixture
def opened(phantoms, tmp_path, monkeypatch):
    """Opens the study of a YAML on a copy of the phantoms."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(phantoms.root, tmp_path / "set")

    def read(text, name="study.yaml", display=None):
        path = tmp_path / name
        path.write_text(f"config: {{data: set, epochs: 3}}\n{text}")
        return open_study(path, display or _Told())

    return read


TEXT = "arms: {plain: , longer: {epochs: 5}}\nseeds: [0, 7]\n"


def test_arms_times_seeds_times_folds(opened):
    study = opened(TEXT + "folds: 2\n")
    assert len(study.cells) == 8
    assert [cell.name for cell in study.cells[:3]] == [
        "plain, seed 0, fold 1 of 2",
        "longer, seed 0, fold 1 of 2",
        "plain, seed 0, fold 2 of 2",
    ]
    assert [cell.config.seed for cell in study.of_arm("longer")] == [0, 0, 7, 7]
    assert {seed: len(cells) for seed, cells in cells_by_seed(study.of_arm("plain")).items()} == {0: 2, 7: 2}
    assert len({cell.key for cell in study.cells}) == len({cell.file_name for cell in study.cells}) == 8
    # Every seed of every arm has the same folds.
    assert len({cell.config.data for cell in study.cells}) == 2


@pytest.mark.parametrize("folds", [1, 2])
def test_an_arm_with_a_share_of_the_subjects_has_the_same_test_images(opened, folds):
    text = f"arms: {{all: , half: }}\ntraining_share: {{half: 0.5}}\nseeds: [0]\nfolds: {folds}\n"
    study = opened(text)
    for whole, half in zip(study.of_arm("all"), study.of_arm("half"), strict=True):
        assert half.config.data == half.dataset.root
        assert half.dataset.split("test") == whole.dataset.split("test")
        assert len(half.dataset.split("train")) < 0.6 * len(whole.dataset.split("train"))
    assert len({cell.key for cell in study.cells}) == 2 * folds
    plain = opened(f"arms: {{all: }}\nseeds: [0]\nfolds: {folds}\n")
    assert [cell.key for cell in plain.cells] == [cell.key for cell in study.of_arm("all")]


def test_phantoms_have_shares_too(opened, tmp_path):
    (tmp_path / "drawn.yaml").write_text(
        "config: {phantoms: {images: 30, size: 64}}\narms: {all: , half: }\n"
        "training_share: {half: 0.5}\nseeds: [0]\n"
    )
    whole, half = open_study(tmp_path / "drawn.yaml", _Told()).cells
    assert whole.config.data is None
    assert half.config.data == half.dataset.root
    assert half.dataset.split("test") == whole.dataset.split("test")


@pytest.mark.parametrize("share", [0.999, 0.601])
def test_shares_that_keep_the_same_subjects_are_refused(opened, share):
    text = f"arms: {{all: , half: , other: }}\nseeds: [0]\ntraining_share: {{half: 0.6, other: {share}}}\n"
    with pytest.raises(UmlError) as error:
        opened(text)
    arm = "half" if share < 0.9 else "all"
    line = f"training_share.other: found the training images of arm '{arm}', expected others"
    assert str(error.value).endswith(f"study.yaml: {line}")


def test_the_identity_is_the_content_and_not_the_form(opened):
    study = opened(TEXT)
    assert opened("# a comment\n" + TEXT, "other.yaml").identity == study.identity
    assert opened(TEXT + "metrics: [accuracy]\n").identity == study.identity
    assert opened(TEXT + "combined: {flips: {of: plain, flips: true}}\n").identity == study.identity
    assert opened(TEXT.replace("epochs: 5", "epochs: 6")).identity != study.identity
    assert opened(TEXT + "folds: 2\n").identity != study.identity


def test_a_study_with_more_arms_and_seeds_has_the_cells_of_the_smaller_one(opened):
    few = {cell.key for cell in opened(TEXT).cells}
    more = opened("arms: {plain: , longer: {epochs: 5}, wider: {image_size: 160}}\nseeds: [0, 7, 8]\n")
    assert few < {cell.key for cell in more.cells}


def test_other_images_and_other_encoder_weights_are_other_cells(opened, phantoms, tmp_path):
    text = "arms: {plain: {encoder_weights: weights.h5}}\nseeds: [0]\n"
    (tmp_path / "weights.h5").write_bytes(b"one")
    first = opened(text).cells[0].key
    (tmp_path / "weights.h5").write_bytes(b"two")
    second = opened(text).cells[0].key
    image = tmp_path / "set" / phantoms.rows[0].image
    image.write_bytes((tmp_path / "set" / phantoms.rows[1].image).read_bytes())
    third = opened(text).cells[0].key
    assert len({first, second, third}) == 3


def test_a_file_that_cells_have_in_common_is_read_once(opened, tmp_path, monkeypatch):
    read = []

    def counted(path):
        read.append(path.name)
        return read_bytes(path)

    monkeypatch.setattr(other_models, "read_bytes", counted)
    (tmp_path / "weights.h5").write_bytes(b"one")
    weights = "encoder_weights: weights.h5"
    study = opened(f"arms: {{plain: {{{weights}}}, longer: {{{weights}, epochs: 5}}}}\nseeds: [0, 7]\n")
    assert len(study.cells) == 4
    assert read == ["weights.h5"]


def test_the_place_of_the_data_is_not_a_part_of_a_cell(opened, tmp_path):
    first = [cell.key for cell in opened(TEXT).cells]
    (tmp_path / "set").rename(tmp_path / "moved")
    path = tmp_path / "study.yaml"
    path.write_text(path.read_text().replace("data: set", "data: moved"))
    assert [cell.key for cell in open_study(path, _Told()).cells] == first


def test_metrics_are_those_of_the_registry_unless_they_are_named(opened):
    study = opened(TEXT)
    chief = {"balanced_accuracy", "auc", "dice_disc", "mean_dice", "class_failure_auroc_confidence"}
    assert chief <= set(study.metrics)
    assert "class_failure_auroc" not in study.metrics, "errors are found by the confidence"
    assert opened(TEXT + "metrics: [dice_cup, class_aurc_entropy]\n").metrics == (
        "dice_cup",
        "class_aurc_entropy",
    )
    with pytest.raises(
        UmlError,
        match=r"study\.yaml: metrics: found 'dice_lesion' \(perhaps dice_.*\), expected some of .*dice_cup",
    ):
        opened(TEXT + "metrics: [dice_lesion]\n")


def test_the_study_as_it_is_written_opens_though_its_config_file_had_another_seed(opened, tmp_path):
    (tmp_path / "config.yaml").write_text("{data: set, epochs: 3, seed: 5}")
    path = tmp_path / "named.yaml"
    path.write_text("config: config.yaml\n" + TEXT)
    display = _Told()
    study = open_study(path, display)
    assert display.warnings == ["study: config.yaml: seed: 5 is not used, the study's 'seeds' are 0, 7"]
    assert study.identity == opened(TEXT).identity
    path.write_text(study.text)
    assert open_study(path, display).identity == study.identity
    assert len(display.warnings) == 1


LOCATED = "arms: {{plain: , located: {{roi: {{model: {}}}}}}}\nseeds: [0]\n"


def test_a_locator_named_last_is_a_run_for_all_cells_and_saw_no_test_image(
    opened, trained_quickly, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained_quickly}/mlruns/mlflow.db")
    display = _Told()
    (cell,) = opened(LOCATED.format("last"), display=display).of_arm("located")
    assert re.fullmatch(r"runs:/\w{32}/model", cell.config.roi.model)
    assert not display.warnings
    with pytest.raises(UmlError, match=rf"images that the model '{cell.config.roi.model}' of arm 'located'"):
        opened(LOCATED.format("last") + "folds: 2\n")


def test_a_locator_of_a_file_counts_by_its_content(opened, trained_quickly, tmp_path):
    (model,) = trained_quickly.glob("mlruns/runs/*/model.keras")
    copy = tmp_path / "locator.keras"
    shutil.copy(model, copy)
    display = _Told()
    plain, first = opened(LOCATED.format("locator.keras"), display=display).cells
    assert first.config.roi.model == str(copy)
    (line,) = display.warnings  # this store does not know the run that trained it
    assert line.startswith(f"study: model '{copy}': it is not known whether it was trained on test images")
    with zipfile.ZipFile(copy, "a") as archive:
        archive.writestr("other", "weights")
    same, second = opened(LOCATED.format("locator.keras")).cells
    assert same.key == plain.key
    assert second.key != first.key


def test_a_cell_that_another_process_finished_meanwhile_is_not_trained_again(trained_quickly, monkeypatch):
    monkeypatch.chdir(trained_quickly)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained_quickly}/mlruns/mlflow.db")
    (model,) = trained_quickly.glob("mlruns/runs/*/model.keras")
    order = {"run_id": model.parent.name}
    assert _run(order, None) == order


def test_only_a_checkpoint_that_can_be_resumed_makes_a_cell_begun(opened):
    cell = opened(TEXT).cells[0]
    use_store()
    with mlflow.start_run(tags={CELL_TAG: cell.key}) as run:
        pass
    path = run_folder(run.info.run_id) / CHECKPOINT_FILE
    path.parent.mkdir(parents=True)
    for number, is_begun in ((FORMAT - 1, False), (FORMAT, True)):
        with path.open("wb") as file:
            np.savez(file, progress=np.frombuffer(json.dumps({"format": number}).encode(), np.uint8))
        assert (cell.key in find_runs([cell])) == is_begun
    path.write_bytes(path.read_bytes()[:50])  # cut off
    assert find_runs([cell]) == {}
