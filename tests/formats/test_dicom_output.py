"""The DICOM objects of a prediction, read back by highdicom and pydicom and checked by dciodvfy."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_files import IDENTIFIERS, OPHTHALMIC_PHOTOGRAPHY, SAMPLES, write_dicom

from uml_tf.formats.output.result import ModelName, check_source, model_name, result_of
from uml_tf.formats.output.write import check_object_folder
from uml_tf.formats.output.write import write_dicom as write_objects
from uml_tf.formats.reading import FileReading
from uml_tf.formats.selection import Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.intervals import RATIO
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.overlay import draw_outlines
from uml_tf.runtime.prediction import Prediction, Region
from uml_tf.runtime.referral import Decision

CARD = ModelCard(("healthy", "glaucoma"), ("background", "rim", "cup"), {"disc": ("rim", "cup")})
MODEL = ModelName("eyes", "3", "ab" * 32)
FINDING = "121071"
ULTRASOUND_CLIP = "1.2.840.10008.5.1.4.1.1.3.1"


def _prediction(picture, action):
    size = picture.pixels.shape[:2]
    mask = np.zeros(size, np.uint8)
    mask[10:40, 12:44], mask[15:30, 20:30] = 1, 2
    confidence = np.random.default_rng(0).uniform(0.5, 1, size).astype(np.float32)
    return Prediction(
        class_name="glaucoma",
        class_probability={"healthy": 0.2, "glaucoma": 0.8},
        class_belief={"healthy": 0.1, "glaucoma": 0.6},
        class_uncertainty=0.3,
        class_confidence=0.9,
        familiarity=0.75,
        decision=Decision(action, "for the test"),
        mask=mask,
        mask_uncertainty=1 - confidence,
        mask_confidence=confidence,
        regions={
            "rim": Region(int((mask == 1).sum()), (12, 10, 32, 30)),
            "cup": Region(int((mask == 2).sum()), (20, 15, 10, 15)),
            "disc": Region(int((mask > 0).sum()), (12, 10, 32, 30)),
        },
        cup_to_disc=0.5,
        mask_quality={"cup": 0.83, "disc": 0.95},
        intervals={RATIO: (0.4, 0.6), "area_disc": (900.0, 1000.0)},
        spacing=picture.spacing,
    )


def _written(folder, path, action="accept", frame=None):
    picture = FileReading(selection=Selection(frame)).read(path)
    check_source(picture, str(path))
    prediction = _prediction(picture, action)
    files = write_objects(folder, "x", result_of(picture, prediction, CARD, MODEL))
    return picture, prediction, {file.name: file for file in files}


@pytest.fixture
def photograph(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8)
    return write_dicom(
        tmp_path / "src.dcm", pixels, (0.02, 0.03), SOPClassUID=OPHTHALMIC_PHOTOGRAPHY, ImageType="ORIGINAL"
    )


def _meanings(dataset):
    """Every coded meaning and text of a report."""
    found = []
    dataset.walk(
        lambda _, e: found.append(str(e.value)) if e.keyword in ("CodeMeaning", "TextValue") else None
    )
    return found


def test_segmentations_are_the_mask_and_the_doubt(photograph, tmp_path):
    picture, prediction, files = _written(tmp_path / "out", photograph)
    assert sorted(files) == ["x_doubt_seg.dcm", "x_report.dcm", "x_seg.dcm"]
    seg = hd.seg.segread(files["x_seg.dcm"])
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == ["rim", "cup"]
    source = seg.get_source_image_uids()[0]
    (mask,) = seg.get_pixels_by_source_instance([source[2]], combine_segments=True)
    np.testing.assert_array_equal(mask, prediction.mask)
    np.testing.assert_array_equal(
        draw_outlines(picture.pixels, mask, 0.25), draw_outlines(picture.pixels, prediction.mask, 0.25)
    )
    doubt = hd.seg.segread(files["x_doubt_seg.dcm"])
    assert (doubt.SegmentationType, doubt.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    fraction = pydicom.dcmread(files["x_doubt_seg.dcm"]).pixel_array / doubt.MaximumFractionalValue
    np.testing.assert_allclose(np.squeeze(fraction), 1 - prediction.mask_confidence, atol=1 / 255)


def test_every_object_belongs_to_the_patient_and_study_of_the_source(photograph, tmp_path):
    source = pydicom.dcmread(photograph)
    _, _, files = _written(tmp_path / "out", photograph)
    objects = [pydicom.dcmread(file) for file in files.values()]
    for made in objects:
        for keyword in (
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "StudyInstanceUID",
            "AccessionNumber",
        ):
            assert made[keyword].value == source[keyword].value
    uids = [source.SOPInstanceUID] + [made.SOPInstanceUID for made in objects]
    assert len(set(uids)) == 4
    assert len({made.SeriesInstanceUID for made in objects} | {source.SeriesInstanceUID}) == 4
    assert not [name for name in files for value in IDENTIFIERS.values() if value.split("^")[0] in name]


def test_the_report_says_what_was_found_and_by_which_model(photograph, tmp_path):
    _, _, files = _written(tmp_path / "out", photograph)
    read = hd.sr.srread(files["x_report.dcm"])
    assert (read.VerificationFlag, read.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    whole, disc = read.content.get_image_measurement_groups()
    assert (whole.finding_type.value, whole.finding_type.scheme_designator) == ("23986001", "SCT")
    assert disc.finding_type.value == "81016008"
    values = {found.name.meaning: found.value for found in whole.get_measurements()}
    assert values["Probability of glaucoma"] == 0.8
    assert values["Confidence in the most probable class, 0 to 1"] == 0.9
    assert values["Vertical cup-to-disc ratio"] == 0.5
    assert values["Vertical cup-to-disc ratio, lower end of 90% interval"] == 0.4
    assert values["Vertical cup-to-disc ratio, upper end of 90% interval"] == 0.6
    areas = {found.name.meaning: (found.value, found.unit.value) for found in disc.get_measurements()}
    assert areas["Area"] == (pytest.approx(960 * 0.0006), "mm2")
    assert areas["Area, upper end of 90% interval"] == (pytest.approx(1000 * 0.0006), "mm2")
    rim, cup = read.content.get_planar_roi_measurement_groups()
    seg = hd.seg.segread(files["x_seg.dcm"])
    for number, group in enumerate((rim, cup), start=1):
        (found,) = group.get_measurements(name=pydicom.sr.coding.Code("42798000", "SCT", "Area"))
        frame = seg.PerFrameFunctionalGroupsSequence[number - 1]
        assert frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        assert found.value == pytest.approx(seg.pixel_array[number - 1].sum() * 0.0006, abs=1e-6)
    texts = _meanings(read)
    assert {"eyes", "3", f"SHA-256 of the model: {MODEL.sha256}", "Accepted"} <= set(texts)


def test_the_report_says_how_good_the_outlines_are(photograph, tmp_path):
    _, _, files = _written(tmp_path / "out", photograph, "refer")
    read = hd.sr.srread(files["x_report.dcm"])
    _, disc = read.content.get_image_measurement_groups()
    rim, cup = read.content.get_planar_roi_measurement_groups()
    code = pydicom.sr.coding.Code("estimated-dice", "99UMLTF", "Estimated Dice of the outline, 0 to 1")
    told = [[(one.value, one.unit.value) for one in g.get_measurements(name=code)] for g in (rim, cup, disc)]
    assert told == [[], [(0.83, "1")], [(0.95, "1")]]
    words = pydicom.sr.coding.Code("mask-quality", "99UMLTF", "Outline")
    found = [g.get_qualitative_evaluations(name=words)[0].value for g in (rim, cup, disc)]
    assert [(one.value, one.meaning) for one in found] == [
        ("mask-unchecked", "not checked"),
        ("mask-fair", "check it"),
        ("mask-good", "good"),
    ]


def test_a_model_that_estimates_no_dice_reports_none(photograph, tmp_path):
    picture = FileReading().read(photograph)
    prediction = replace(_prediction(picture, "accept"), mask_quality={})
    files = write_objects(tmp_path / "out", "x", result_of(picture, prediction, CARD, MODEL))
    (report,) = (pydicom.dcmread(file) for file in files if file.name == "x_report.dcm")
    assert "Area" in _meanings(report)
    assert not [text for text in _meanings(report) if "utline" in text]


def _has_code(dataset, value):
    found = []
    dataset.walk(lambda _, e: found.append(e) if e.keyword == "CodeValue" and e.value == value else None)
    return bool(found)


def test_a_referred_answer_is_no_finding(photograph, tmp_path):
    _, _, files = _written(tmp_path / "out", photograph, "refer")
    report = pydicom.dcmread(files["x_report.dcm"])
    assert not _has_code(report, FINDING)
    assert not _has_code(report, "23986001")
    read = hd.sr.srread(files["x_report.dcm"])
    groups = read.content.get_image_measurement_groups() + read.content.get_planar_roi_measurement_groups()
    assert len(groups) == 4
    for group in groups:
        decision, *others = group.get_qualitative_evaluations()
        assert [one.name.value for one in others] in ([], ["mask-quality"])
        assert decision.value.meaning == "Not accepted: to be read by a specialist"
        assert group.finding_type is None
        assert "not accepted: refer" in str(group.tracking_identifier)
    for name in ("x_seg.dcm", "x_doubt_seg.dcm"):
        seg = pydicom.dcmread(files[name])
        assert seg.ContentLabel == "NOT_ACCEPTED"
        assert "not accepted: refer" in seg.SeriesDescription
        assert all("not accepted: refer" in segment.SegmentLabel for segment in seg.SegmentSequence)


def test_of_an_image_that_cannot_be_graded_only_that_is_said(photograph, tmp_path):
    _written(tmp_path / "out", photograph, "accept")  # of an earlier model: its objects must not stay
    _, _, files = _written(tmp_path / "out", photograph, "ungradable")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x_report.dcm"]
    report = pydicom.dcmread(files["x_report.dcm"])
    assert not _has_code(report, FINDING)
    texts = _meanings(report)
    assert "Not accepted: image cannot be graded" in texts
    assert not [text for text in texts if "glaucoma" in text or "Area" in text or "ratio" in text]
    assert not [text for text in texts if "utline" in text]


def test_a_frame_of_a_clip_is_named(tmp_path):
    clip = np.random.default_rng(0).integers(0, 255, (3, 64, 80), np.uint8)
    path = write_dicom(tmp_path / "clip.dcm", clip, NumberOfFrames=3, SOPClassUID=ULTRASOUND_CLIP)
    _, prediction, files = _written(tmp_path / "out", path, frame=2)
    seg = pydicom.dcmread(files["x_seg.dcm"])
    np.testing.assert_array_equal(seg.pixel_array[1], prediction.mask == 2)
    for group in seg.PerFrameFunctionalGroupsSequence:
        (source,) = group.DerivationImageSequence[0].SourceImageSequence
        assert (source.ReferencedFrameNumber, source.ReferencedSOPClassUID) == (2, ULTRASOUND_CLIP)


def _checker():
    program = shutil.which("dciodvfy")
    if program is None:
        message = "dciodvfy (Debian's dicom3tools) is not installed: DICOM objects NOT CHECKED"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    return program


@pytest.mark.parametrize("action", ["accept", "refer", "ungradable"])
@pytest.mark.parametrize("kind", ["photograph", "clip", "MR_small.dcm", "SC_rgb_rle.dcm"])
def test_dciodvfy_finds_no_error(kind, action, photograph, tmp_path):
    program, path, frame = _checker(), SAMPLES / kind, None
    if kind == "photograph":
        path = photograph
    elif kind == "clip":
        clip = np.zeros((2, 64, 80), np.uint8)
        path, frame = tmp_path / "clip.dcm", 2
        write_dicom(path, clip, NumberOfFrames=2, SOPClassUID=ULTRASOUND_CLIP)
    _, _, files = _written(tmp_path / "out", path, action, frame)
    for file in files.values():
        said = subprocess.run([program, str(file)], capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).splitlines()
        assert not [line for line in lines if line.startswith("Error")], file.name


def test_other_files_and_files_without_a_study_are_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", np.zeros((16, 16), np.uint8), StudyInstanceUID="")
    with pytest.raises(UmlError, match="a: --dicom: found no StudyInstanceUID"):
        check_source(FileReading().read(path), "a")


def test_only_objects_of_earlier_predictions_are_replaced(photograph, tmp_path):
    out = tmp_path / "out"
    _, _, files = _written(out, photograph)
    before = files["x_report.dcm"].read_bytes()
    _, _, files = _written(out, photograph, "ungradable")
    assert [path.name for path in out.iterdir()] == ["x_report.dcm"]
    assert list(files) == ["x_report.dcm"]
    report = files["x_report.dcm"].read_bytes()
    assert report != before
    for other in (photograph.read_bytes(), b"mine"):
        (out / "x_seg.dcm").write_bytes(other)
        for action in ("ungradable", "accept"):
            with pytest.raises(UmlError, match=r"x_seg\.dcm: exists already, and was not written by uml-tf"):
                _written(out, photograph, action)
        assert (out / "x_seg.dcm").read_bytes() == other
        assert files["x_report.dcm"].read_bytes() == report
    check_object_folder([tmp_path], out)
    with pytest.raises(UmlError, match="found the folder of the images, expected another one"):
        check_object_folder([tmp_path], out / "..")


def test_the_model_is_named_as_in_the_registry():
    card = ModelCard(("a", "b"), ("x", "y"), run_id="f" * 32)
    assert model_name("models:/eyes/7", card, "0" * 64) == ModelName("eyes", "7", "0" * 64)
    assert model_name("models:/eyes@best", card, "0" * 64).version == "best"
    assert model_name("/home/someone/eyes.keras", card, "0" * 64) == ModelName("eyes", "f" * 12, "0" * 64)
