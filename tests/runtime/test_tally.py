"""The tally of a device: every image once, whatever is killed, and nothing that could name a patient."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from uml_tf.runtime import main as device
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.tally import BINS, HISTOGRAMS, Tally, read_tally, today

ANSWER = {
    "image": "Jane Doe 1950.png",
    "class": "healthy",
    "decision": "refer",
    "class_confidence": 1.0,
    "class_uncertainty": 0.04,
    "familiarity": 0.0,
}
COUNT = """
import sys
from pathlib import Path
from uml_tf.runtime.tally import Tally
tally = Tally(Path(sys.argv[1]), "m" * 64, "run", print)
doubt = dict.fromkeys(("class_confidence", "class_uncertainty", "familiarity"), 0.5)
for _ in range(int(sys.argv[2])):
    tally.count({"class": "a", "decision": "accept", **doubt})
    print(1, flush=True)
"""


def _start(folder, count):
    command = [sys.executable, "-c", COUNT, str(folder), str(count)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def _only(folder):
    (path,) = folder.glob("[0-9]*.json")
    return path


def test_images_are_counted_by_day_without_names(tmp_path):
    said = []
    tally = Tally(tmp_path / "tally", "f" * 64, "run", said.append)
    for _ in range(3):
        tally.count(ANSWER)
    tally.count({"image": "Jane Doe 1950.png", "decision": "unreadable", "reason": "Jane"})
    found = read_tally(_only(tmp_path / "tally"))
    assert (found.day, found.run_id, found.images) == (today(), "run", 4)
    assert found.decisions == {"accept": 0, "refer": 3, "ungradable": 0, "unreadable": 1}
    assert found.classes == {"healthy": 3}
    assert found.histograms["class_confidence"] == [0] * (BINS - 1) + [3]
    assert found.histograms["class_uncertainty"][0] == found.histograms["familiarity"][0] == 3
    assert "Jane" not in _only(tmp_path / "tally").read_text()
    assert said == []


def test_another_model_has_a_file_of_its_own(tmp_path):
    for model in ("a" * 64, "b" * 64):
        Tally(tmp_path, model, "run", print).count(ANSWER)
    assert len(list(tmp_path.glob("[0-9]*.json"))) == 2


def test_processes_at_once_lose_nothing_and_a_kill_loses_at_most_one(tmp_path):
    processes = [_start(tmp_path, 40) for _ in range(2)]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    assert read_tally(_only(tmp_path)).images == 80
    for lines in (1, 3, 9):
        before = read_tally(_only(tmp_path)).images
        process = _start(tmp_path, 10_000)
        seen = sum(1 for _, _ in zip(range(lines), process.stdout, strict=False))
        process.send_signal(signal.SIGKILL)
        seen += len(process.communicate(timeout=300)[0].splitlines())
        assert read_tally(_only(tmp_path)).images - before in (seen, seen + 1)


def test_a_damaged_file_is_put_aside_and_counting_goes_on(tmp_path):
    said = []
    tally = Tally(tmp_path, "f" * 64, "run", said.append)
    tally.count(ANSWER)
    path = _only(tmp_path)
    path.write_text(path.read_text()[:40])
    tally.count(ANSWER)
    assert read_tally(path).images == 1
    assert path.with_suffix(".damaged").exists()
    assert len(said) == 1
    assert "cannot be read as a tally" in said[0]


def test_a_folder_that_cannot_be_written_is_one_line_and_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    said = []
    tally = Tally(tmp_path / "file", "f" * 64, "run", said.append)
    tally.count(ANSWER)
    tally.count(ANSWER)
    assert len(said) == 1
    assert "predictions go on" in said[0]


@pytest.mark.parametrize(
    "change", [{"images": 5}, {"format": 9}, {"histograms": {key: [1] for key in HISTOGRAMS}}]
)
def test_counts_that_do_not_add_up_are_refused(tmp_path, change):
    Tally(tmp_path, "f" * 64, "run", print).count(ANSWER)
    path = _only(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UmlError, match="cannot be read as a tally"):
        read_tally(path)


def test_run_py_counts_every_new_answer_once(exported, tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(3):
        picture = np.random.default_rng(seed).integers(0, 255, (70, 70, 3), dtype=np.uint8)
        assert cv2.imwrite(str(tmp_path / f"in/{seed}.png"), picture)
    (tmp_path / "in/broken.png").write_text("no image")
    base = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--no-pictures"]
    assert device.main(exported, base) == 1
    first = read_tally(_only(tmp_path / "out-tally"))
    assert (first.images, first.decisions["unreadable"], first.run_id) == (4, 1, "0" * 32)
    answers = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert first.decisions["refer"] == sum(answer["decision"] == "refer" for answer in answers)
    device.main(exported, [*base, "--again"])
    (tmp_path / "in/broken.png").unlink()
    assert device.main(exported, base) == 0
    assert read_tally(_only(tmp_path / "out-tally")).images == 4
    base[2] = str(tmp_path / "other")
    assert device.main(exported, [*base, "--no-tally"]) == 0
    assert not (tmp_path / "other-tally").exists()
    assert device.main(exported, [*base, "--tally", str(tmp_path / "named")]) == 0
    assert not (tmp_path / "named").exists()


def test_run_py_counts_an_image_that_is_read_twice_once_whatever_the_clock(exported, tmp_path):
    image = tmp_path / "eye.png"
    for run, (seed, time) in enumerate([(0, 2**62), (1, 0)], start=1):
        picture = np.random.default_rng(seed).integers(0, 255, (70, 70, 3), dtype=np.uint8)
        assert cv2.imwrite(str(image), picture)
        os.utime(image, ns=(time, time))
        for options in (["--no-pictures"], []):
            assert device.main(exported, [str(image), "--out", str(tmp_path / "out"), *options]) == 0
        assert read_tally(_only(tmp_path / "out-tally")).images == run
