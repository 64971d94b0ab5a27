"""The watched folder: images that land in pieces, kills, restarts, and what run.py says of it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.watch import LOCK, WatchOptions, watch_folder

KILLS = 100
FAST = WatchOptions(interval=0.01, patience=0.05, workers=1)


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in", tmp_path / "out"


def _png(seed=0):
    return cv2.imencode(".png", np.random.default_rng(seed).integers(0, 255, (40, 30, 3), np.uint8))[
        1
    ].tobytes()


def _watch(model, folders, looks=3, then=lambda look: None, options=FAST):
    """Watches for a number of looks; returns the lines said and complained."""
    said, complaints, count = [], [], 0

    def is_over():
        nonlocal count
        count += 1
        then(count)
        return count >= looks

    watch_folder(model, *folders, said.append, complaints.append, options, is_over)
    return said, complaints


def _rows(out):
    return list(csv.DictReader(io.StringIO((out / "predictions.csv").read_text())))


def test_a_program_that_is_killed_100_times_loses_no_image_and_answers_none_twice(
    exported, tmp_path, run_python
):
    script = Path(__file__).parents[1] / "watch_kills.py"
    output, _ = run_python(script, exported, tmp_path, KILLS, cwd=tmp_path)
    assert "0 answers written again" in output
    left = int(output.split()[0])
    assert left > KILLS / 10, output  # kills came while there was work
    images = sorted((tmp_path / "in").iterdir())
    assert len(images) == KILLS
    rows = _rows(tmp_path / "out")
    assert sorted(row["image"] for row in rows) == [str(path) for path in images]
    answers = [json.loads(path.read_text()) for path in (tmp_path / "out").glob("*.json")]
    assert sorted(answer["image"] for answer in answers) == [str(path) for path in images]
    lines = (tmp_path / "lines.txt").read_text().splitlines()
    # An image that landed in halves may be read by half; whole, it is answered again, perhaps alike.
    halves = (tmp_path / "halves.txt").read_text().splitlines()
    repeated = {line for line in lines if lines.count(line) > 1}
    assert {line.removeprefix("unreadable ").split(": ")[0] for line in repeated} <= set(halves)
    model, readable = DeviceModel(exported, 1), 0
    for answer in answers:
        if answer["decision"] == "unreadable":
            assert Path(answer["image"]).read_bytes() == b"no image"
            continue
        readable += 1
        expected = model.predict(answer["image"])
        assert answer["class_belief"] == pytest.approx(expected.class_belief, abs=1e-6)
    assert readable == KILLS - len(range(5, KILLS, 9))
    pictures = list((tmp_path / "out").glob("*.png"))
    assert len(pictures) == 4 * readable
    assert all(cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None for path in pictures)
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".png", ".csv", ".lock"}


def test_a_file_that_is_still_written_waits_and_a_changed_one_is_read_again(exported, folders):
    model, path, content = DeviceModel(exported, 1), folders[0] / "x.png", _png()
    path.write_bytes(content[:300])

    def then(look):
        if look == 4:
            path.write_bytes(content)
        if look == 8:
            path.write_bytes(_png(1))

    patient = WatchOptions(interval=0.01, patience=60, workers=1)
    said, complaints = _watch(model, folders, 12, then, patient)
    assert complaints == []
    assert len(said) == 2
    (row,) = _rows(folders[1])
    assert row["image"] == str(path.resolve())
    assert json.loads((folders[1] / "x.json").read_text())["class_belief"] == model.predict(path).class_belief


def test_equal_stems_have_names_of_their_own_also_after_a_restart(exported, folders):
    model = DeviceModel(exported, 1)
    (folders[0] / "x.png").write_bytes(_png())
    assert len(_watch(model, folders)[0]) == 1
    (folders[0] / "x.jpg").write_bytes(_png(1))
    (folders[0] / "x.tif").write_bytes(b"none")
    said, complaints = _watch(model, folders, 12)
    assert (len(said), len(complaints)) == (1, 1)
    assert _watch(model, folders, 12) == ([], [])
    names = {path.name: json.loads(path.read_text())["image"] for path in folders[1].glob("*.json")}
    assert {name: Path(image).name for name, image in names.items()} == {
        "x.json": "x.png",
        "x.jpg.json": "x.jpg",
        "x.tif.json": "x.tif",
    }
    assert [row["decision"] == "unreadable" for row in _rows(folders[1])] == [False, False, True]
    (folders[0] / "x.tif.png").write_bytes(_png(2))  # its stem is another's whole name
    (folders[0] / "y.jpg.png").write_bytes(_png(3))
    _watch(model, folders)
    for name in ("y.png", "y.jpg"):
        (folders[0] / name).write_bytes(_png(4))
        _watch(model, folders)
    assert _watch(model, folders) == ([], [])
    names = {path.name: json.loads(path.read_text())["image"] for path in folders[1].glob("*.json")}
    assert Path(names["x.tif.png.json"]).name == "x.tif.png"
    found = {name: Path(image).name for name, image in names.items() if name.startswith("y")}
    assert found == {"y.jpg.json": "y.jpg.png", "y.json": "y.png", "y.jpg-2.json": "y.jpg"}


def test_a_clock_that_is_wrong_changes_nothing(exported, folders):
    model, path = DeviceModel(exported, 1), folders[0] / "x.png"
    for seed, time in ((0, 2**62), (1, 0)):  # ahead; then another file that is older
        path.write_bytes(_png(seed))
        os.utime(path, ns=(time, time))
        assert len(_watch(model, folders)[0]) == 1
        assert _watch(model, folders) == ([], [])


def test_run_py_watches_until_it_is_stopped_and_only_once_for_a_folder(exported, folders):
    code = (
        "import sys; from pathlib import Path; from uml_tf.runtime.main import main;"
        "sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))"
    )
    command = [
        sys.executable,
        "-c",
        code,
        exported,
        "--watch",
        folders[0],
        "--out",
        folders[1],
        "--no-pictures",
    ]
    (folders[0] / "x.png").write_bytes(_png())
    first = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A suite that runs in the background of a shell has Ctrl-C ignored, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert first.stdout.readline() == f"watching {folders[0]}, predictions in {folders[1]}\n"
        assert first.stdout.readline().startswith(f"{(folders[0] / 'x.png').resolve()}: class ")
        second = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert (
            second.stderr
            == f"run.py: --out {folders[1]}: found another program that watches for this folder\n"
        )
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 130
        assert first.stderr.read() == ""
    finally:
        first.kill()
        first.communicate()
    assert sorted(path.name for path in folders[1].iterdir()) == [LOCK, "predictions.csv", "x.json"]


def test_the_folder_must_exist_and_be_another(exported, tmp_path):
    model = DeviceModel(exported, 1)
    for folder, message in ((tmp_path / "none", "found no folder"), (tmp_path, "expected another one")):
        with pytest.raises(UmlError, match=message):
            _watch(model, (folder, tmp_path))
