"""``uml-tf registry card`` and ``uml-tf monitor`` on a real training run."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile

import mlflow
import pytest

from uml_tf.evaluation.measures_file import load_measures
from uml_tf.evaluation.origin import Origin, save_origin
from uml_tf.reports.monitoring import read_tallies
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.tally import Tally, read_tally
from uml_tf.tracking.card import read_stated
from uml_tf.tracking.store import last_run_id, run_folder


@pytest.fixture
def in_work(trained, monkeypatch):
    monkeypatch.chdir(trained[0])
    return trained[0]


def _answers(measures):
    """What a device would have written for the images of the test split."""
    return [
        {
            "class": ("healthy", "glaucoma")[int(m.probability.argmax())],
            "decision": m.decision,
            "class_confidence": m.class_confidence,
            "class_uncertainty": m.class_uncertainty,
            "familiarity": m.familiarity,
        }
        for m in measures
    ]


def test_the_card_says_what_the_run_says(in_work, run, tmp_path):
    told = run("registry", "card", "last", "--out", tmp_path)
    data = json.loads((tmp_path / "model-card.json").read_text())
    folder = run_folder(last_run_id())
    assert data["metrics"]["accuracy"] == json.loads((folder / "metrics.json").read_text())["accuracy"]
    assert data["hashes"]["file_sha256"] == hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest()
    assert set(data["data"]["splits"]) == {"train", "val", "test"}
    groups = data["subgroups"]["label"]
    assert sum(one["images"] for one in groups.values()) == data["measured_on"]["images"]
    text = (tmp_path / "model-card.md").read_text()
    for part in ("Intended use", "Data", "What it reaches", "By label", "Thresholds", "Limits", "Hashes"):
        assert re.search(rf"^## {part}", text, re.M), part
    assert data["hashes"]["data_sha256"] in text
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert min(widths) >= 3
    assert "model-card.md" in told


def test_a_tally_like_the_test_split_is_no_drift_and_a_darker_camera_is(in_work, run, tmp_path):
    run_id = last_run_id()
    answers = _answers(load_measures(run_folder(run_id) / "measures.npz"))
    for name, change in (("same", {}), ("dark", {"familiarity": 0.01, "decision": "ungradable"})):
        tally = Tally(tmp_path / name, "m" * 64, run_id, pytest.fail)
        for _ in range(10):
            for answer in answers:
                tally.count(answer | change)
    same = run("monitor", tmp_path / "same", "--model", "last", "--strict")
    assert "no drift beyond chance" in same
    dark = run(
        "monitor", tmp_path / "dark", "--model", "last", "--out", tmp_path / "d.json", "--strict", expect=1
    )
    assert "DRIFT familiarity: large shift" in dark
    assert re.search(r"DRIFT \d{4}-\d\d-\d\d: ungradable 100.0 %", dark)
    logged = mlflow.get_run(re.search(r"logged as run (\w+)", dark)[1])
    found = json.loads((tmp_path / "d.json").read_text())
    assert logged.data.metrics["alarms"] == len(found["alarms"]) > 2
    assert logged.data.metrics["share/ungradable"] == 1
    assert logged.data.tags["uml_tf.monitored"] == run_id
    assert last_run_id() == run_id
    both = run("monitor", tmp_path / "same", tmp_path / "dark", "--model", "last")
    images = [read_tally(path).images for path in tmp_path.glob("*/[0-9]*.json")]
    assert f"{sum(images)} images of the tallies" in both


def test_a_tally_of_another_model_is_refused(in_work, run, tmp_path):
    tally = Tally(tmp_path / "tally", "m" * 64, "other", pytest.fail)
    tally.count({"decision": "unreadable"})
    told = run("monitor", tmp_path / "tally", "--model", "last", expect=1)
    assert "run_id: found 'other', expected" in told
    assert "found no tally in" in run("monitor", tmp_path, "--model", "last", expect=1)


def _with_card(model, path, **fields):
    """A copy of a network's file with other fields of its card, as a calibration leaves it."""
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                whole = json.loads(data)
                whole["config"]["card"] |= fields
                data = json.dumps(whole).encode()
            new.writestr(name, data)
    return path


def test_the_card_says_of_how_few_images_the_confidence_was_not_fitted(in_work, run, tmp_path, phantoms):
    images = len(phantoms.split("val"))
    assert images < 10, "too few labels, and too few masks"
    run("registry", "card", "last", "--out", tmp_path)
    text = (tmp_path / "model-card.md").read_text()
    for part, found in (
        ("class", f"{images} labelled validation images, 20 wanted"),
        ("pixels", f"{images} validation images with a mask, 10 wanted"),
    ):
        instead = "the largest mean probability stands in its place."
        assert f"- Confidence of the {part}: not fitted: {found}; {instead}\n" in text
    assert "Confidence is fitted on validation images" not in text
    data = json.loads((tmp_path / "model-card.json").read_text())["confidence"]
    assert (data["class_score"], data["mask_score"]) == (None, None)


def test_the_card_names_the_score_behind_a_fitted_confidence(in_work, run, tmp_path):
    model = run_folder(last_run_id()) / "model.keras"
    fitted = {"name": "largest+vacuity", "weights": {"largest": 0.8, "vacuity": 0.4}, "bias": 0.3}
    trust = read_stated("last").card.trust.to_dict() | {"class_confidence": fitted}
    # Of another fingerprint than the data set's: the validation images can no longer be counted.
    path = _with_card(model, tmp_path / "new.keras", trust=trust, fingerprint="0" * 64)
    run("registry", "card", path, "--out", tmp_path)
    text = (tmp_path / "model-card.md").read_text()
    assert (
        "- Confidence of the class: follows from the score 'largest+vacuity' (largest mean probability, "
        "vacuity), fitted on validation images.\n"
        "- Confidence of the pixels: not fitted; the largest mean probability stands in its place.\n"
    ) in text
    data = json.loads((tmp_path / "model-card.json").read_text())["confidence"]
    assert (data["class_score"], data["mask_score"]) == ("largest+vacuity", None)


@pytest.fixture
def calibrated(in_work, tmp_path):
    """A file of the training's network that accepts every answer, which the training's does not."""
    fields = {"accept_above": 0.001, "accept_reason": ""}
    path = _with_card(run_folder(last_run_id()) / "model.keras", tmp_path / "new.keras", **fields)
    assert read_stated(str(path)).card.accept_above != read_stated("last").card.accept_above
    return path


def test_the_card_of_a_calibrated_model_tells_no_decisions_of_another(calibrated, run, tmp_path):
    run("registry", "card", calibrated, "--out", tmp_path)
    data = json.loads((tmp_path / "model-card.json").read_text())
    assert "from a confidence of 0.001 on" in data["thresholds"]["promise"]
    groups = [one["metrics"] for one in data["subgroups"]["label"].values()]
    for metrics in (data["metrics"], *groups):
        assert "accuracy" in metrics
        assert not {"accepted", "accepted_risk", "referred", "ungradable"} & set(metrics)
    limits = " ".join(data["limits"])
    assert "calibrated after it was measured (new: threshold of acceptance)" in limits
    assert "`uml-tf evaluate MODEL --data DIR --out FOLDER` measures it" in limits
    assert "accepts no answer" not in limits


def test_a_calibrated_model_is_monitored_against_its_own_evaluation(calibrated, run, tmp_path):
    run_id, stated = last_run_id(), read_stated(str(calibrated))
    measures = load_measures(run_folder(run_id) / "measures.npz")
    Tally(tmp_path / "tally", "m" * 64, run_id, pytest.fail).count(*_answers(measures))
    told = run("monitor", tmp_path / "tally", "--model", calibrated, expect=1)
    assert "found another threshold of acceptance than its training was measured with" in told
    assert "expected --against EVALUATION of this very model" in told
    own = tmp_path / "own"
    own.mkdir()
    save_origin(own, Origin(str(calibrated), stated.card, "test", "phantoms", "gone", ""), measures)
    shutil.copy(run_folder(run_id) / "metrics.json", own)
    run("monitor", tmp_path / "tally", "--model", calibrated, "--against", own)
    told = run("monitor", tmp_path / "tally", "--model", "last", "--against", own, expect=1)
    assert f"than --against {own} was measured with" in told


def test_a_tally_of_another_file_of_the_training_is_refused(tmp_path):
    Tally(tmp_path, "m" * 64, "run", pytest.fail).count({"decision": "unreadable"})
    assert len(read_tallies([tmp_path], "run", "m" * 64)) == 1
    with pytest.raises(UmlError, match="model: found 'mmmmmmmmmmmm', expected 'oooooooooooo', the file of"):
        read_tallies([tmp_path], "run", "o" * 64)
