"""Breast MRI as folders of DICOM slices, with segmentations that highdicom writes, becomes a data set."""

from __future__ import annotations

import cv2
import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_files import IDENTIFIERS, write_dicom
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.masks import read_mask

MR = "1.2.840.10008.5.1.4.1.1.4"
SLICES = 6
TUMOUR = (3, 4)
"""Slices, from the lowest, that have one."""


def _series(folder, patient, seed=0, uid=None, orientation=(1, 0, 0, 0, 1, 0), slices=SLICES):
    """Writes slices whose names and order of writing are not those of their places; returns the files."""
    rng = np.random.default_rng(seed)
    uid, frame = uid or generate_uid(), generate_uid()
    study = generate_uid()
    files = {}
    for place in rng.permutation(slices):
        pixels = cv2.resize(rng.integers(100, 900, (6, 7)).astype(np.uint16), (40, 32))
        pixels[0, 0] = 2000 + place  # by which it is told
        files[int(place)] = write_dicom(
            folder / f"series/Quillfeather_{int(rng.integers(1e6))}.dcm",
            pixels,
            (0.7, 0.8),
            SOPClassUID=MR,
            Modality="MR",
            PatientID=patient,
            SeriesInstanceUID=uid,
            StudyInstanceUID=study,
            FrameOfReferenceUID=frame,
            SliceThickness=2.0,
            ImageOrientationPatient=list(orientation),
            ImagePositionPatient=[-10.0, -12.0, 2.0 * place - 7],
            InstanceNumber=int(slices - place),
        )
    return files


def _marked(place):
    mask = np.zeros((32, 40), np.uint8)
    if place in TUMOUR:
        mask[5 : 10 + place, 8:20] = 1
    return mask


def _segmentation(path, files, kind="BINARY", referenced=True):
    """A DICOM SEG of the tumour, with frames for the slices that have one."""
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="tumour",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Neoplasm,
        algorithm_type="MANUAL",
    )
    places = sorted(files)
    made = hd.seg.Segmentation(
        source_images=[pydicom.dcmread(files[place]) for place in places],
        pixel_array=np.stack([_marked(place) for place in places]).astype(
            float if kind == "FRACTIONAL" else np.uint8
        ),
        segmentation_type=kind,
        segment_descriptions=[segment],
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="a",
        manufacturer_model_name="b",
        software_versions="1",
        device_serial_number="1",
    )
    if not referenced:  # by another program: the place alone says which slice it is
        for group in made.PerFrameFunctionalGroupsSequence:
            group.pop("DerivationImageSequence", None)
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Ten patients: most with a segmentation, of one kind or another, and two with an array."""
    folder = tmp_path_factory.mktemp("ispy1") / "raw"
    lines = ["SUBJECTID,PCR,Site"]
    for number in range(10):
        patient, at = f"MRN7734091{number}", folder / f"Ottoline_Quillfeather_{number}"
        files = _series(at, patient, number)
        if number < 8:
            kind = "FRACTIONAL" if number == 1 else "BINARY"
            _segmentation(at / "seg/Quillfeather_seg.dcm", files, kind, referenced=number != 2)
        else:
            np.save(at / "mask.npy", np.stack([_marked(place) for place in range(SLICES)]))
        lines.append(f"{patient if number % 2 else at.name},{number % 2},s{number % 2}")  # by either name
    (folder / "clinical.csv").write_text("\n".join([*lines, "MRN77340999,1,s1\n"]))
    return folder


def _rows(out):
    """Place in the volume -> rows, by the pixel that tells it."""
    dataset = PreparedDataset.open(out)
    found = {}
    for row in dataset.rows:
        grey = cv2.imread(str(out / row.image), cv2.IMREAD_UNCHANGED)
        found.setdefault(int(read_mask(out / row.mask).sum()), []).append((row, grey))
    return dataset, found


def test_slices_with_their_segmentation_become_a_data_set(raw, tmp_path, run):
    out = tmp_path / "out"
    printed = run("data", "ispy1", raw, out, "--window", "500", "1000", "--columns", "Site,sex")
    dataset, by_size = _rows(out)
    assert len(dataset.rows) == 20
    assert {size: len(rows) for size, rows in by_size.items()} == {int(_marked(p).sum()): 10 for p in TUMOUR}
    assert dataset.info.spacing == (0.7, 0.8)
    assert dataset.info.intensity.window == (500, 1000)
    assert {(row.label, *row.more) for row in dataset.rows} == {
        ("no_pcr", ("Site", "s0"), ("sex", "F")),
        ("pcr", ("Site", "s1"), ("sex", "F")),
    }
    subjects = {row.subject: row.label for row in dataset.rows}
    assert sorted(subjects) == [f"patient_{n:04d}" for n in range(1, 11)]
    assert sorted(subjects.values()) == ["no_pcr"] * 5 + ["pcr"] * 5
    splits = {row.subject: set() for row in dataset.rows}
    for row in dataset.rows:
        splits[row.subject].add(row.split)
    assert all(len(of_one) == 1 for of_one in splits.values())
    files = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
    names = [str(path.relative_to(out)).encode() for path in out.rglob("*")]
    for word in (word for value in IDENTIFIERS.values() for word in value.split("^")):
        assert not any(word.encode() in text for text in [*files, *names, printed.encode()]), word


def test_all_slices_and_their_order(raw, tmp_path, run):
    run("data", "ispy1", raw, tmp_path / "out", "--slices", "all", "--window", "2500", "1000")
    dataset, by_size = _rows(tmp_path / "out")
    assert len(dataset.rows) == 60
    for place in TUMOUR:  # the mask lies on the slice of its place: only that pixel is above black
        for _, grey in by_size[int(_marked(place).sum())]:
            assert grey[0, 0, 0] == round((2000 + place - 2000.5) / 999 * 255)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("two_phases", "found two slices at one place in one series, expected one phase"),
        ("two_series", "found 2 series of slices, 0 of them with a segmentation, expected one"),
        ("no_mask", "found neither a segmentation (DICOM SEG) nor mask.npy"),
        ("short_mask", "mask.npy: found shape (5, 32, 40), expected (6, H, W)"),
        ("foreign", "found 2 marked frames of the segmentation that belong to no slice beside it"),
        ("broken", "a damaged segmentation, cannot be read"),
    ],
)
def test_what_is_not_one_volume_is_one_line(tmp_path, run, fault, message):
    at = tmp_path / "raw/Quillfeather"
    uid = generate_uid()
    files = _series(at, "MRN7734091", uid=uid)
    if fault == "two_phases":
        _series(at, "MRN7734091", 1, uid)
    elif fault == "two_series":
        _series(at, "MRN7734091", 1)
    elif fault == "short_mask":
        np.save(at / "mask.npy", np.zeros((5, 32, 40)))
    elif fault == "foreign":
        _segmentation(at / "seg.dcm", _series(tmp_path / "other", "x", 1, orientation=(1, 0, 0, 0, -1, 0)))
    elif fault == "broken":
        _segmentation(at / "seg.dcm", files)
        (at / "seg.dcm").write_bytes((at / "seg.dcm").read_bytes()[:-300])
    (tmp_path / "raw/clinical.csv").write_text("SUBJECTID,PCR\nMRN7734091,1\n")
    printed = run("data", "ispy1", tmp_path / "raw", tmp_path / "out", expect=1)
    assert message in printed
    assert "Quillfeather" not in printed
    assert "MRN" not in printed
