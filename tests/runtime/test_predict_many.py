"""Many images at once: a real exported file reads a folder; what is written, passed over and refused."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from uml_tf.runtime import main as device
from uml_tf.runtime.batches import predict_each
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.image_arguments import images_in
from uml_tf.runtime.images import read_image, read_picture
from uml_tf.runtime.prediction import predict_image
from uml_tf.runtime.text_bar import TextBar

BROKEN = "04 <b>&.png"


class _Three:
    """The exported file, three images at a time."""

    batch_size = 3

    def __init__(self, path):
        self._model = DeviceModel(path, 1)
        self.image_size, self.card, self.place = self._model.image_size, self._model.card, self._model.place
        self.sizes = []

    def __call__(self, images):
        self.sizes.append(len(images))
        outputs = [self._model(image[None]) for image in images]
        return {name: np.concatenate([one[name] for one in outputs]) for name in outputs[0]}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Seven photographs of several sizes, and one file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(7):
        rng = np.random.default_rng(seed)
        small = rng.integers(0, 255, (5, 5, 3), dtype=np.uint8)
        picture = cv2.resize(small, (60 + 30 * seed, 200 - 20 * seed), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{seed:02d}.{'jpg' if seed % 2 else 'png'}"), picture)
    (folder / BROKEN).write_text("no image")
    (folder / "notes.txt").write_text("not an image by its name")
    (folder / ".05-half.png").write_bytes(b"hidden")
    return folder


def _rows(out):
    return list(csv.DictReader(io.StringIO((out / "predictions.csv").read_text())))


def _content(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_folder_is_read_as_its_images_one_by_one(exported, photos, tmp_path, capsys):
    assert device.main(exported, [str(photos), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [f"7 of 8 images written to {tmp_path / 'out'}"]
    assert said.err.splitlines() == [
        f"run.py: {photos / BROKEN}: not an image that can be decoded, expected PNG, JPEG, TIFF, BMP or WebP",
        "run.py: 1 of 8 images could not be read",
    ]
    model, rows = DeviceModel(exported, 1), _rows(tmp_path / "out")
    assert [row["image"] for row in rows] == [str(path) for path in sorted(photos.glob("0*"))]
    for row in rows:
        if row["image"].endswith(BROKEN):
            assert row["decision"] == "unreadable"
            assert "not an image" in row["reason"]
            assert row["predicted"] == row["class_confidence"] == ""
            continue
        alone = predict_image(model, read_image(photos / row["image"]))
        stem = Path(row["image"]).stem
        written = json.loads((tmp_path / "out" / f"{stem}.json").read_text())
        assert written["class"] == row["predicted"] == alone.class_name
        assert (row["decision"], row["reason"]) == tuple(alone.decision)
        assert float(row["class_confidence"]) == pytest.approx(alone.class_confidence, rel=1e-5)
        assert float(row["probability_class 1"]) == pytest.approx(
            alone.class_probability["class 1"], rel=1e-5
        )
        assert int(row["area_region 1"]) == alone.regions["region 1"].area
        mask = cv2.imread(str(tmp_path / "out" / f"{stem}_mask.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, alone.mask)


def test_batches_keep_the_order_and_leave_out_the_unreadable(exported, photos):
    paths = images_in(photos)
    model, three = DeviceModel(exported, 1), _Three(exported)
    found = predict_each(
        three,
        paths,
        read_picture,
        lambda path, image, prediction: (path, prediction.class_belief),
        lambda path, error: (path, str(error)),
        workers=3,
    )
    for path, (found_path, belief) in zip(paths, found, strict=True):
        assert found_path == path
        if path.name == BROKEN:
            assert belief.startswith(f"{path}: not an image")
        else:
            assert belief == model.predict(path).class_belief
    assert three.sizes == [3, 2, 2]  # the fifth file is none


def test_finished_images_are_passed_over_until_image_or_model_change(exported, photos, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [str(photos / "0[0-3].*"), "--out", str(out)]

    def run(*options):
        assert device.main(exported, [*arguments, *options]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    assert run().endswith(f"4 of 4 images written to {out}")
    first = _content(out)
    (out / "01.json").unlink()
    (out / "02_mask.png").unlink()
    (out / "03.json").write_text("{half")
    assert run().endswith("1 of them by an earlier run")
    assert _content(out) == first
    state = (photos / "00.png").stat()
    for time in (2**62, 0):  # changed since, by a clock that is ahead or behind
        os.utime(photos / "00.png", ns=(time, time))
        assert run().endswith("3 of them by an earlier run")
        assert run().endswith("4 of them by an earlier run")
    os.utime(photos / "00.png", ns=(state.st_atime_ns, state.st_mtime_ns))
    assert run("--again").endswith(f"4 of 4 images written to {out}")
    changed = json.loads((out / "00.json").read_text()) | {"model": "another"}
    (out / "00.json").write_text(json.dumps(changed))
    assert run().endswith("3 of them by an earlier run")
    assert _content(out) == first


def test_without_pictures_only_json_and_table_are_written(exported, photos, tmp_path):
    assert device.main(exported, [str(photos / "0?.png"), "--out", str(tmp_path), "--no-pictures"]) == 0
    assert sorted(_content(tmp_path)) == ["00.json", "02.json", "04.json", "06.json", "predictions.csv"]


def test_pictures_of_another_answer_do_not_stay_beside_a_newer_one(exported, photos, tmp_path, capsys):
    site, out = tmp_path / "site", tmp_path / "out"
    site.mkdir()
    for name in ("00.png", "02.png"):
        shutil.copyfile(photos / name, site / name)

    def run(*options):
        assert device.main(exported, [str(site), "--out", str(out), *options]) == 0
        return capsys.readouterr().out.splitlines()[-1]

    run()
    first = _content(out)
    run("--no-pictures", "--again")
    others = ("predictions.csv", "index.html")
    assert {name: data for name, data in _content(out).items() if name not in others} == {
        name: data for name, data in first.items() if name not in others
    }
    shutil.copyfile(photos / "04.png", site / "00.png")
    run("--no-pictures")
    assert not list(out.glob("00_*.png"))
    assert not (out / "index.html").exists()
    assert len(list(out.glob("02_*.png"))) == 4
    assert run().endswith("1 of them by an earlier run")
    assert (out / "00_overlay.png").read_bytes() != first["00_overlay.png"]
    resumed = _content(out)
    run("--again")
    assert _content(out) == resumed


def test_predictions_under_a_pattern_are_none_of_its_images(exported, photos, tmp_path, capsys):
    for patient, name in (("p1", "00.png"), ("p2", "02.png")):
        (tmp_path / patient).mkdir()
        shutil.copyfile(photos / name, tmp_path / patient / "eye.png")
    for out in (tmp_path, tmp_path / "out"):
        arguments = [str(tmp_path / "**/*"), "--out", str(out)]
        for last in (f"2 of 2 images written to {out}", ", 2 of them by an earlier run"):
            assert device.main(exported, arguments) == 0
            assert capsys.readouterr().out.splitlines()[-1].endswith(last)
        rows = _rows(out)
        assert [row["image"] for row in rows] == [str(tmp_path / p / "eye.png") for p in ("p1", "p2")]
        elsewhere = [str(tmp_path / "**/*"), "--out", str(tmp_path.with_name("elsewhere"))]
        assert device.main(exported, elsewhere) == 0
        assert capsys.readouterr().out.startswith("2 of 2 images written")
        for file in {*tmp_path.glob("*.*"), *out.glob("*.*")}:
            file.unlink()
    arguments = [str(tmp_path / "p1/*"), "--out", str(tmp_path / "p1")]
    assert device.main(exported, arguments) == 1
    assert "found the folder of the images, expected another one" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "p1").iterdir()] == ["eye.png"]


def test_folders_and_patterns_without_images_and_the_folder_itself_are_refused(exported, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for arguments, message in [
        ([tmp_path / "empty"], "empty: found no image in this folder, expected .png, "),
        ([tmp_path / "*.png"], "*.png: found no image that matches"),
    ]:
        assert device.main(exported, [*map(str, arguments), "--out", str(tmp_path / "out")]) == 1
        assert message in capsys.readouterr().err
    cv2.imwrite(str(tmp_path / "empty/x.png"), np.zeros((20, 20, 3), np.uint8))
    assert device.main(exported, [str(tmp_path / "empty"), "--out", f"{tmp_path}/empty/../empty"]) == 1
    assert "found the folder of the images, expected another one" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["x.png"]


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_bar_is_erased_before_a_line_and_at_the_end():
    stream = _Terminal()
    bar = TextBar(4, stream)
    bar._last = 0.0
    bar.show(0)
    bar._last = 0.0
    bar.show(2)
    bar.above(lambda line: stream.write(f"{line}\n"))("a line")
    bar.show(4)
    assert "[############            ] 2/4" in stream.getvalue()
    assert stream.getvalue().endswith("\r\x1b[Ka line\n\r\x1b[K")


def test_off_a_terminal_the_bar_is_a_line_a_minute():
    seconds = iter(range(0, 400, 25))
    stream, unwanted = io.StringIO(), io.StringIO()
    for bar in (TextBar(10, stream, clock=lambda: next(seconds)), TextBar(10, unwanted, False, lambda: 100)):
        for done in range(11):
            bar.show(done)
    assert stream.getvalue() == "2/10, 3 min left\n5/10, 2 min left\n8/10, 50 s left\n"
    assert unwanted.getvalue() == ""


def test_an_image_that_can_be_read_no_more_keeps_no_earlier_answer(exported, photos, tmp_path, capsys):
    site, out = tmp_path / "site", tmp_path / "out"
    site.mkdir()
    for name in ("00.png", "02.png"):
        shutil.copyfile(photos / name, site / name)
    assert device.main(exported, [str(site), "--out", str(out)]) == 0
    (site / "00.png").write_bytes(b"torn")
    (site / "02.png").write_bytes(b"torn")
    other = json.dumps({"image": "of another program"})
    (out / "02.json").write_text(other)
    assert device.main(exported, [str(site), "--out", str(out)]) == 1
    assert not list(out.glob("00*"))
    assert (out / "02.json").read_text() == other
    assert len(list(out.glob("02_*.png"))) == 4
    assert (out / "predictions.csv").read_text().count("unreadable") >= 2
