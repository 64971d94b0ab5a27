"""``uml-tf registry card`` and ``uml-tf monitor`` on a real training run."""

from __future__ import annotations

import hashlib
import json
import re

import mlflow
import pytest

from uml_tf.evaluation.measures_file import load_measures
from uml_tf.runtime.tally import Tally, read_tally
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
