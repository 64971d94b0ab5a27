"""Two trainings at once into one store, and the registry commands on the two networks."""

from __future__ import annotations

import re

import mlflow
import pytest

from uml_tf.evaluation.seen_images import training_image_hashes

CONFIG = """\
preset: unet-edge
encoder_weights: none
image_size: 64
seed: 5
averaging: 0.9
"""
GOOD, POOR = 24, 1


@pytest.fixture(scope="module")
def registered(tmp_path_factory, phantoms, start_uml_tf):
    """A good and a poor network, trained and registered at the same time: (folder, versions)."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "tiny.yaml").write_text(CONFIG)
    common = ("train", "--config", "tiny.yaml", "--data", phantoms.root, "--register", "glaucoma")
    trainings = {n: start_uml_tf(*common, "--epochs", n, cwd=folder) for n in (GOOD, POOR)}
    numbers = {}
    for epochs, training in trainings.items():
        output, errors = training.communicate(timeout=900)
        assert training.returncode == 0, errors
        numbers[epochs] = re.search(r"^version +models:/glaucoma/(\d)$", output, re.M)[1]
    return folder, numbers


def _registry(uml_tf_command, folder, *arguments, expect=0):
    return uml_tf_command("registry", *arguments, cwd=folder, expect=expect)


def test_two_trainings_at_once_lose_nothing(registered):
    folder, numbers = registered
    assert set(numbers.values()) == {"1", "2"}
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlruns/mlflow.db")
    runs = mlflow.search_runs(experiment_names=["uml-tf"], output_format="list")
    assert {run.data.params["epochs"] for run in runs} == {str(GOOD), str(POOR)}
    for run in runs:
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "train/total")
        assert [point.step for point in history] == list(range(int(run.data.params["epochs"])))
        assert run.info.status == "FINISHED"
        assert "test/accuracy" in run.data.metrics
        files = {file.path for file in mlflow.artifacts.list_artifacts(run_id=run.info.run_id)}
        assert {"model.keras", "metrics.json", "config.yaml", "training_images.txt", "figures"} <= files


WIDE = tuple(
    f"--margin={margin}"
    for margin in ("balanced_accuracy=1", "class_failure_auroc_confidence=1", "mean_dice=.4")
)


def test_promotion_is_guarded_and_can_be_forced(registered, uml_tf_command, phantoms):
    folder, numbers = registered
    good, poor = numbers[GOOD], numbers[POOR]
    done = _registry(uml_tf_command, folder, "promote", "glaucoma", good)
    assert f"glaucoma version {good} is 'champion' now" in done.stdout
    done = _registry(uml_tf_command, folder, "promote", "glaucoma", poor, *WIDE, expect=1)
    refused = (
        r"^not shown to be at least as good: mean_dice: found a change of -[\d.]+, 95 % interval -[\d.]+ to"
    )
    assert re.search(refused, done.stderr, re.M)
    assert "not promoted to 'champion'" in done.stderr
    shown = _registry(uml_tf_command, folder, "show", "glaucoma", "champion").stdout
    assert re.search(rf"^MODEL +models:/glaucoma/{good}$", shown, re.M)
    assert re.search(rf"^data +{phantoms.fingerprint}$", shown, re.M)
    done = _registry(uml_tf_command, folder, "promote", "glaucoma", poor, "--force")
    assert f"glaucoma version {poor} is 'champion' now" in done.stdout
    images = len(phantoms.split("val"))
    assert f"good: balanced_accuracy: found {images} subjects, expected at least 72" in done.stderr
    done = _registry(uml_tf_command, folder, "promote", "glaucoma", good, *WIDE)
    assert f"glaucoma version {good} is 'champion' now" in done.stdout
    assert re.search(r"^\| mean_dice \| 0\.\d+ \| 0\.\d+ \| \+0\.\d+ \| .* \| better \|$", done.stdout, re.M)
    assert "not shown" not in done.stderr


def test_images_that_a_version_was_trained_on_are_refused(registered, uml_tf_command, phantoms):
    folder, numbers = registered
    good, poor = numbers[GOOD], numbers[POOR]
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    run = client.get_model_version("glaucoma", good).run_id
    recorded = (folder / "mlruns/runs" / run / "training_images.txt").read_text().split()
    assert recorded == training_image_hashes(phantoms)
    size = len(phantoms.split("train"))
    done = _registry(uml_tf_command, folder, "promote", "glaucoma", poor, "--split", "train", expect=1)
    assert f"found {size} of {size} images that version {good} was trained on" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("margin", ["mean_dice=nan", "accuracy=0.1"])
def test_a_margin_that_is_none_is_one_line(registered, run, monkeypatch, margin):
    monkeypatch.chdir(registered[0])
    printed = run("registry", "promote", "glaucoma", "1", "--margin", margin, expect=1)
    assert f"--margin: found '{margin}', expected" in printed
    assert len(printed.strip().splitlines()) == 1


def test_compare_writes_both_and_says_which_is_worse(registered, uml_tf_command, tmp_path):
    folder, numbers = registered
    models = [f"models:/glaucoma/{numbers[epochs]}" for epochs in (GOOD, POOR)]
    done = _registry(uml_tf_command, folder, "compare", *models, "--out", tmp_path)
    assert "note:" not in done.stderr
    text = (tmp_path / "comparison.md").read_text()
    assert re.search(
        r"^\| mean_dice \| 0\.\d+ \| 0\.\d+ \| -0\.\d+ \| -0\.\d+ to -0\.\d+ \| worse \|$", text, re.M
    )


def test_exports_are_linked_from_the_version_and_listed(registered, uml_tf_command, phantoms, tmp_path):
    folder, numbers = registered
    _registry(uml_tf_command, folder, "promote", "glaucoma", numbers[GOOD], "--alias", "device")
    model = "models:/glaucoma@device"
    uml_tf_command("export", model, "--tflite", "--no-web", "--out", tmp_path / "bundle", cwd=folder)
    listed = uml_tf_command("registry", "list", cwd=folder, fresh=True).stdout
    assert re.search(r"tflite-none rho 1\.0000/1\.0000 \d+ kB", listed)
    assert phantoms.fingerprint[:8] in listed
    for column in ("accuracy", "auc ↑", "ece ↓", "↓ lower is better", "rim 0.", "disc 0."):
        assert column in listed
    shown = _registry(uml_tf_command, folder, "show", "glaucoma", numbers[GOOD]).stdout
    uri = re.search(r"^tflite-none +(runs:/\w{32}/exports/tflite-none)$", shown, re.M)[1]
    image = phantoms.root / phantoms.rows[0].image
    uml_tf_command("predict", f"{uri}/model.tflite", image, "--out", tmp_path / "answers", cwd=folder)
    assert (tmp_path / "answers" / f"{image.stem}.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("show", "nothing"), "registered model 'nothing': not found, expected one of: glaucoma"),
        (("show", "glaucoma", "9"), "found no version or alias '9', it has 1, 2"),
        (("promote", "glaucoma", "9"), "found no version or alias '9'"),
        (("add", "0" * 32, "--name", "x"), "not found in"),
        (("add", "last", "--name", "a/b"), "found 'a/b', expected a name without"),
        (("compare", "models:/glaucoma/1", "nowhere.keras"), "model 'nowhere.keras': no such file"),
    ],
)
def test_mistakes_are_one_line(registered, run, monkeypatch, arguments, line):
    monkeypatch.chdir(registered[0])
    printed = run("registry", *arguments, expect=1)
    assert line in printed
    assert len(printed.strip().splitlines()) == 1


def test_a_run_is_registered_once_under_a_name(registered, uml_tf_command):
    done = _registry(uml_tf_command, registered[0], "add", "last", "--name", "glaucoma")
    assert "registered already" in done.stdout
