"""No name of a patient is in anything that is written or printed; the source is full of them."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pydicom
import pytest
from dicom_files import IDENTIFIERS, write_dicom

from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.formats.identifiers import Scrubber, aliases, content_alias
from uml_tf.formats.reading import FileReading
from uml_tf.formats.selection import Selection
from uml_tf.runtime.errors import UmlError

WORDS = [word for value in IDENTIFIERS.values() for word in value.split("^")]


def _found(texts):
    return sorted({word for word in WORDS for text in texts if word.encode() in text})


def _everything(folder, printed):
    """Content and path of every file, and what was printed."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    paths = [str(path.relative_to(folder)).encode() for path in folder.rglob("*")]
    return [path.read_bytes() for path in files] + paths + [printed.encode()]


@pytest.fixture
def raw(tmp_path):
    """Files named after patients, with masks; a damaged one, one with burned-in names, and a clip."""
    rng = np.random.default_rng(0)
    for number in range(4):
        folder = tmp_path / "raw" / ("healthy" if number < 2 else "glaucoma")
        stem = f"Quillfeather_MRN7734091_{number}"
        pixels = cv2.resize(rng.integers(0, 256, (5, 5, 3), np.uint8), (64, 64))
        write_dicom(folder / f"{stem}.dcm", pixels, (0.05, 0.05), PatientID=f"MRN7734091{number}")
        mask = np.zeros((64 if number else 32, 64), np.uint8)  # the first does not fit its image
        mask[10:20, 10:20] = 255
        cv2.imwrite(str(folder / f"{stem}_mask.png"), mask)
    folder = tmp_path / "raw/glaucoma"
    broken = write_dicom(folder / "Quillfeather_broken.dcm", np.zeros((64, 64), np.uint8))
    broken.write_bytes(broken.read_bytes()[:-2000])
    write_dicom(folder / "Ottoline_burned.dcm", np.zeros((64, 64), np.uint8), BurnedInAnnotation="YES")
    clip = np.zeros((2, 64, 64), np.uint8)
    write_dicom(folder / "Ottoline_clip.dcm", clip, NumberOfFrames=2)
    return tmp_path / "raw"


def _convert(run, raw, out, *more, expect=0):
    arguments = ("--labels", "from-folder", "--masks", "{stem}_mask.png", "--name", "eyes")
    return run("data", "folder", raw, out, *arguments, *more, expect=expect)


def test_a_data_set_holds_no_identifier(raw, tmp_path, run):
    out = tmp_path / "out"
    printed = _convert(run, raw, out / "set")
    printed += _convert(run, raw, out / "dry", "--dry-run", "--sheet", out / "sheet.png")
    printed += run("data", "check", out / "set", expect=0)
    printed += _convert(run, raw, out / "strict", "--strict", expect=1)
    assert "the pixels cannot be decoded" in printed
    assert "Burned In Annotation (0028,0301): found YES" in printed
    assert "found 2 frames, expected --frame N" in printed
    assert "found 64 x 32 pixels, expected 64 x 64" in printed
    assert len(list((out / "set/images").iterdir())) == 4
    assert _found(_everything(out, printed)) == []


def test_a_prediction_holds_no_identifier_but_its_dicom_objects_do(raw, tmp_path, run, fundus_model):
    images = sorted(raw.rglob("*.dcm"))
    out, dicom = tmp_path / "out", tmp_path / "dicom"
    printed = run("predict", fundus_model, *images, "--out", out, "--dicom", dicom, expect=1)
    assert "4 of 7 images written" in printed
    assert "found 2 frames, expected --frame N" in printed
    assert _found(_everything(out, printed)) == []
    assert len(list(out.glob("dicom_*.json"))) == 4
    reports = list(dicom.glob("*_report.dcm"))
    assert len(reports) == 4
    assert _found(str(path.relative_to(dicom)).encode() for path in dicom.rglob("*")) == []
    assert str(pydicom.dcmread(reports[0]).PatientName) == IDENTIFIERS["PatientName"]
    masks = {path.name: path for path in out.glob("*_mask.png")}
    for path in dicom.glob("dicom_*[0-9a-f]_seg.dcm"):  # an image that cannot be graded has none
        segments = pydicom.dcmread(path).pixel_array
        mask = cv2.imread(str(masks[path.name.replace("_seg.dcm", "_mask.png")]), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(segments, [mask == 1, mask == 2])


def test_objects_of_an_image_that_can_no_longer_be_read_go_with_its_prediction(tmp_path, run, fundus_model):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    images = [write_dicom(tmp_path / f"{name}.dcm", pixels) for name in "abc"]
    out, dicom = tmp_path / "out", tmp_path / "dicom"
    command = ("predict", fundus_model, *images, "--out", out, "--dicom", dicom, "--keep-identifiers")
    run(*command, expect=0)
    assert {path.name[0] for path in dicom.iterdir()} == {"a", "b", "c"}
    (dicom / "b_report.dcm").write_bytes(b"mine")
    for image in images[:2]:
        image.write_bytes(image.read_bytes()[:-2000])
    kept = {path.name for path in dicom.iterdir() if path.name[0] == "c"} | {"b_report.dcm"}
    printed = run(*command, expect=1)
    assert {path.name[0] for path in out.glob("*.json")} == {"c"}
    assert {path.name for path in dicom.iterdir()} == kept
    assert "b_report.dcm: exists already, and was not written by uml-tf" in printed
    assert (dicom / "b_report.dcm").read_bytes() == b"mine"


def test_one_name_within_another_hides_neither(tmp_path):
    raw = tmp_path / "raw"
    for inside in ("DOE_JOHN/IM1", "ROE_JANE/IM10", "ROE_JANE/series/1", "ROE_JANE/2", "KRAUSE"):
        write_dicom(raw / f"{inside}.dcm", np.zeros((16, 16), np.uint8))
    alias = {path.stem: content_alias(path.read_bytes()) for path in raw.rglob("*.dcm")}
    scrub = Scrubber(raw)
    said = "cannot be decoded, expected 12 of 128 x 121 pixels, 1 or 2"
    for line, expected in {
        f"{raw}/ROE_JANE/IM10.dcm: {said}": f"{alias['IM10']}: {said}",
        f"ROE_JANE/IM10: {said}": f"{alias['IM10']}: {said}",
        f"{raw}/DOE_JOHN/IM1_mask.png: {said}": f"{alias['IM1']}_mask.png: {said}",
        f"{raw}/ROE_JANE/masks/1.png: {said}": f"{raw}/folder_2/masks/1.png: {said}",
        "IM1, IM10, 'KRAUSE' and IM100": f"{alias['IM1']}, {alias['IM10']}, '{alias['KRAUSE']}' and IM100",
        f"{raw}/ROE_JANE/series/1.dcm, {raw}/ROE_JANE/2.dcm": f"{alias['1']}, {alias['2']}",
    }.items():
        assert scrub(line) == expected


def test_files_of_one_content_have_an_alias_each(tmp_path):
    first = write_dicom(tmp_path / "a/x.dcm", np.zeros((16, 16), np.uint8))
    second = tmp_path / "b.png"  # DICOM, whatever its name says
    second.write_bytes(first.read_bytes())
    alias = content_alias(first.read_bytes())
    assert aliases([first, second]) == {first: alias, second: f"{alias}_2"}
    assert FileReading().read(second).pixels.shape == (16, 16, 3)
    assert FileReading().size(second) == (16, 16)


def test_a_picture_called_after_a_dicom_file_is_called_after_its_alias(raw):
    """A mask beside its image bears the patient's name too."""
    image = raw / "healthy/Quillfeather_MRN7734091_0.dcm"
    alias = content_alias(image.read_bytes())
    masks = [raw / f"healthy/Quillfeather_MRN7734091_0{end}" for end in ("_mask.png", "_mask.jpg", ".png")]
    other = raw / "glaucoma/plain.png"
    found = aliases([*masks, image, other])
    assert [found.get(path) for path in (*masks, image, other)] == [
        f"{alias}_mask",
        f"{alias}_mask_2",
        f"{alias}_2",
        alias,
        None,
    ]
    assert aliases([*masks, image], keep=True) == {}


def test_names_are_kept_where_that_is_asked_for(raw):
    image = raw / "healthy/Quillfeather_MRN7734091_0.dcm"
    assert aliases([image], keep=True) == {}
    assert aliases([image], Selection(frame=2), keep=True) == {image: f"{image.stem}_frame2"}
    (alias,) = aliases([image], Selection(frame=2)).values()
    assert re.fullmatch(r"dicom_[0-9a-f]{12}_frame2", alias)
    assert aliases([raw / "none.dcm"]) == {raw / "none.dcm": "image_1"}
    volume = raw / "v.nii.gz"
    assert aliases([volume], Selection(axis="coronal", slice=3)) == {volume: "v_coronal3"}


def test_lines_about_files_of_a_folder_name_no_patient(raw, tmp_path):
    """As of `evaluate --out-of-distribution` and `export --calibration`, which read folders as they are."""
    broken = raw / "glaucoma/Quillfeather_broken.dcm"
    with pytest.raises(UmlError) as refused:
        FileReading().read(broken)
    assert str(refused.value).startswith(content_alias(broken.read_bytes()))
    with pytest.raises(UmlError, match=r"^a DICOM file: no such file"):
        FileReading().read(raw / "Quillfeather_gone.dcm")
    with pytest.raises(UmlError, match="Quillfeather_broken"):
        FileReading(keep_identifiers=True).read(broken)
    said = []
    files = calibration_files(raw, 10, said.append)
    with pytest.raises(UmlError) as refused:
        read_calibration(files, (32, 32))
    assert "left out 4 of 11 files" in said[0]
    assert _found([said[0].encode(), str(refused.value).encode()]) == []
