"""The command, in processes of its own, on real files and a real MLflow store."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import mlflow
import numpy as np
import pytest


def test_help_imports_no_tensorflow():
    code = (
        "import sys; from click.testing import CliRunner; from uml_tf.cli.main import main;"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0;"
        "heavy = {'tensorflow', 'keras', 'mlflow', 'keras_cv', 'matplotlib'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "arguments",
    [["train", "--preset", "x"], ["train", "--epochs", "many"], ["no-such-command"], ["predict", "last"]],
)
def test_usage_errors_exit_2(uml_tf_command, tmp_path, arguments):
    uml_tf_command(*arguments, cwd=tmp_path, expect=2)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["train", "--data", "nowhere"], "nowhere/dataset.yaml: no such file"),
        (["train", "--epochs", "0"], "epochs: found 0"),
        (["evaluate", "last", "--data", "nowhere", "--out", "o"], "nowhere/dataset.yaml: no such file"),
        (["data", "busi", "nowhere", "out"], "nowhere: no such folder"),
        (["data", "phantom", "out", "--images", "2"], "--images: found 2"),
    ],
)
def test_data_errors_exit_1_with_one_line(uml_tf_command, tmp_path, arguments, line):
    done = uml_tf_command(*arguments, cwd=tmp_path, expect=1)
    assert line in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_check_and_preview(uml_tf_command, phantoms, tmp_path):
    done = uml_tf_command("data", "check", phantoms.root, cwd=tmp_path, fresh=True)
    assert "no problems found" in done.stdout
    seed = str(2**70)  # a seed may be of any size
    sheet = ("--out", "sheet.png", "--count", "6", "--seed", seed)
    uml_tf_command("data", "preview", phantoms.root, *sheet, cwd=tmp_path)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] > 1000
    assert sheet.std() > 20


def test_near_duplicates_are_a_warning_with_a_picture_and_strict_makes_them_an_error(
    uml_tf_command, phantoms, tmp_path
):
    folder = shutil.copytree(phantoms.root, tmp_path / "set")
    train, test = phantoms.split("train")[0], phantoms.split("test")[0]
    shutil.copy(folder / train.image, folder / test.image)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    done = uml_tf_command("data", "check", ".", cwd=folder)
    assert "warning: 1 pairs of near-duplicate images are on different splits" in done.stdout
    assert f"  train {train.image}, test {test.image}: 0 bits" in done.stdout
    picture = tmp_path / "set-near-duplicates.png"
    assert str(picture) in done.stdout
    assert cv2.imread(str(picture)).std() > 20
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    options = ("--strict", "--pairs", "pairs.png")
    done = uml_tf_command("data", "check", folder, *options, cwd=tmp_path, expect=1)
    assert "1 pairs of near-duplicates on different splits (--strict)" in done.stderr
    assert (tmp_path / "pairs.png").is_file()
    for row in phantoms.split("test"):
        shutil.copy(folder / train.image, folder / row.image)
    done = uml_tf_command("data", "check", folder, "--near-duplicate-distance", "90", cwd=tmp_path)
    assert re.search(r"warning: \d\d+ pairs .* at most 90 of 256 bits", done.stdout)
    assert re.search(r"^  and \d+ more$", done.stdout, re.M)


def test_phantoms_of_a_large_seed(uml_tf_command, tmp_path):
    arguments = ("out", "--images", "10", "--size", "64", "--seed", "99999999999")
    uml_tf_command("data", "phantom", *arguments, cwd=tmp_path)
    uml_tf_command("data", "check", "out", cwd=tmp_path)


def test_predict_replaces_no_input_and_says_so_before_it_opens_the_model(uml_tf_command, phantoms, tmp_path):
    for name in ("x.jpg", "x_overlay.png"):
        shutil.copy(phantoms.root / phantoms.rows[0].image, tmp_path / name)
    kept = (tmp_path / "x_overlay.png").read_bytes()
    images = ("x.jpg", "x_overlay.png")
    done = uml_tf_command("predict", "nowhere.keras", *images, "--out", ".", cwd=tmp_path, expect=1)
    assert done.stderr.startswith("uml-tf: x_overlay.png: exists already, and no file is replaced")
    assert len(done.stderr.splitlines()) == 1
    assert (tmp_path / "x_overlay.png").read_bytes() == kept
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(images)


def test_train_prints_where_everything_is(trained):
    folder, done = trained
    model = Path(re.search(r"^model +(\S+)$", done.stdout, re.M)[1])
    assert model.is_file()
    assert model.is_relative_to(folder / "mlruns")
    assert not re.search("warning|INFO", done.stderr, re.I), done.stderr
    assert len(re.findall(r"^epoch +\d/2  cls [\d.]+ seg [\d.]+ mut [\d.]+", done.stderr, re.M)) == 2
    metrics = json.loads((model.parent / "metrics.json").read_text())
    assert set(metrics["accuracy"]) == {"value", "low", "high", "images", "subjects"}
    assert {"dice_rim", "dice_cup", "dice_disc", "hd95_cup", "class_aurc", "mask_ece"} <= set(metrics)
    figures = {path.stem for path in (model.parent / "figures").glob("*.png")}
    expected = {
        "training_curves",
        "confusion_matrix",
        "reliability",
        "risk_coverage",
        "sample_sheet",
        "decisions",
    }
    assert figures == expected


@pytest.fixture
def store(trained):
    folder, _ = trained
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    return run


def test_mlflow_holds_the_run(store, phantoms):
    assert store.info.status == "FINISHED"
    assert store.data.params["image_size"] == "64"
    assert store.data.params["loss.cls"] == "0.5"
    assert store.data.params["dataset.fingerprint"] == phantoms.fingerprint
    history = mlflow.MlflowClient().get_metric_history(store.info.run_id, "train/total")
    assert [point.step for point in history] == [0, 1]
    assert "test/accuracy" in store.data.metrics


def test_logged_model_loads_and_returns_the_contract(store):
    from uml_tf.runtime.contract import CONTRACT

    uri = f"runs:/{store.info.run_id}/model"
    signature = mlflow.models.get_model_info(uri).signature
    assert {output.name for output in signature.outputs} == set(CONTRACT)
    model = mlflow.pyfunc.load_model(uri)
    outputs = model.predict(np.zeros((2, 64, 64, 3), np.float32))
    total = outputs["class_belief"].sum(-1, keepdims=True) + outputs["class_uncertainty"]
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_evaluate_repeats_what_training_measured(trained, phantoms, uml_tf_command):
    folder, done = trained
    uml_tf_command("evaluate", "last", "--data", phantoms.root, "--out", "measured", cwd=folder)
    numbers = Path(re.search(r"^numbers +(\S+)$", done.stdout, re.M)[1])
    before, after = (
        json.loads(numbers.read_text()),
        json.loads((folder / "measured/metrics.json").read_text()),
    )
    assert after.keys() == before.keys()
    for name, estimate in before.items():
        for key, value in estimate.items():
            assert after[name][key] == (None if value is None else pytest.approx(value, rel=1e-4, abs=1e-5))


def test_evaluate_refuses_other_classes(trained, phantoms, uml_tf_command, tmp_path):
    other = shutil.copytree(phantoms.root, tmp_path / "other")
    text = (other / "dataset.yaml").read_text().replace("glaucoma", "ill")
    (other / "dataset.yaml").write_text(text)
    done = uml_tf_command("evaluate", "last", "--data", other, "--out", "o", cwd=trained[0], expect=1)
    assert "image_classes: found healthy, ill, expected the model's healthy, glaucoma" in done.stderr


def test_predict_writes_good_images_and_names_bad_ones(trained, phantoms, uml_tf_command, tmp_path):
    good = phantoms.root / phantoms.rows[0].image
    photo = cv2.imread(str(good))
    grey = tmp_path / "grey.png"
    cv2.imwrite(str(grey), cv2.resize(photo[..., 1], (150, 110)))
    bad = tmp_path / "text.png"
    bad.write_text("no image")
    arguments = ("predict", "last", good, bad, grey, "--out", tmp_path / "out")
    done = uml_tf_command(*arguments, cwd=trained[0], expect=1, fresh=True)
    assert f"{bad}: not an image" in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    parts = (".json", "_mask.png", "_overlay.png", "_uncertainty.png", "_doubt.png")
    files = {stem + part for stem in (good.stem, "grey") for part in parts}
    assert names == files | {"predictions.csv", "index.html"}
    prediction = json.loads((tmp_path / "out/grey.json").read_text())
    assert prediction["class"] in ("healthy", "glaucoma")
    assert 0 < prediction["familiarity"] <= 1
    assert 0 <= prediction["class_confidence"] <= 1
    assert sum(prediction["class_belief"].values()) + prediction["class_uncertainty"] == pytest.approx(
        1, abs=1e-5
    )
    mask = cv2.imread(str(tmp_path / "out/grey_mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (110, 150)
    assert mask.max() <= 2
    cup, disc = prediction["pixels"]["cup"], prediction["pixels"]["disc"]
    assert cup["area"] == int((mask == 2).sum())
    assert disc["area"] == int((mask > 0).sum())
    assert ("vertical_cup_to_disc_ratio" in prediction) == (disc["area"] > 0)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        ("nowhere.keras", "no such file"),
        ("runs:/abc", "model 'runs:/abc/model': not found in the MLflow store"),
        ("mlruns", "model 'mlruns': found a folder, expected a .keras file, runs:/ID/model"),
        ("0123" * 8, f"no such file, expected a .keras file, runs:/{'0123' * 8}/model, models:/"),
    ],
)
def test_missing_model_is_one_line(trained, phantoms, uml_tf_command, model, line):
    image = phantoms.root / phantoms.rows[0].image
    done = uml_tf_command("predict", model, image, "--out", "o", cwd=trained[0], expect=1)
    assert line in done.stderr


def test_damaged_model_is_one_line(trained, phantoms, uml_tf_command, tmp_path):
    damaged = tmp_path / "damaged.keras"
    damaged.write_bytes(b"PK\x03\x04 not a model")
    image = phantoms.root / phantoms.rows[0].image
    done = uml_tf_command("predict", damaged, image, "--out", "o", cwd=trained[0], expect=1)
    assert "damaged.keras: cannot be read as a Keras model" in done.stderr
