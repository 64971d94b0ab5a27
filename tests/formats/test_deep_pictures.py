from __future__ import annotations

import gzip

import cv2
import nibabel
import numpy as np
import pytest

from uml_tf.formats.reading import FileReading
from uml_tf.formats.selection import Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import read_picture
from uml_tf.runtime.intensity import Intensity

SHAPE = (20, 30, 12)  # to the right, forward, upward


def _volume():
    right, front, up = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    return (right * 100 + front * 10 + up).astype(np.int16)


def _nifti(path, values, codes="RAS", zooms=(1.0, 2.0, 3.0)):
    image = nibabel.Nifti1Image(values, np.diag([*zooms, 1.0]))
    target = nibabel.orientations.axcodes2ornt(codes)
    nibabel.save(
        image.as_reoriented(nibabel.io_orientation(image.affine) if codes == "RAS" else target), path
    )
    return path


def _read(path, **selection):
    return FileReading(Intensity("window", (1200.5, 2402.0)), Selection(**selection)).read(path)


def _grey(values):
    return np.clip((values.astype(float) - 0.0) / 2401, 0, 1) * 255


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SLA"])
def test_a_slice_is_the_same_in_every_orientation_of_the_file(tmp_path, codes):
    path = _nifti(tmp_path / "v.nii.gz", _volume(), codes)
    values = _volume()
    axial = _read(path, axis="axial", slice=4)
    np.testing.assert_allclose(axial.pixels[..., 0], _grey(values[::-1, ::-1, 3].T), atol=0.6)
    assert axial.spacing == (2.0, 1.0)
    coronal = _read(path, axis="coronal", slice=7)
    np.testing.assert_allclose(coronal.pixels[..., 0], _grey(values[::-1, 6, ::-1].T), atol=0.6)
    assert coronal.spacing == (3.0, 1.0)
    sagittal = _read(path, axis="sagittal", slice=20)
    np.testing.assert_allclose(sagittal.pixels[..., 0], _grey(values[19, ::-1, ::-1].T), atol=0.6)
    assert sagittal.spacing == (3.0, 2.0)


def test_percentiles_are_those_of_the_volume(tmp_path):
    path = _nifti(tmp_path / "v.nii", _volume())
    picture = FileReading(Intensity(), Selection(slice=1)).read(path)
    low, high = np.percentile(_volume(), [0.5, 99.5])
    expected = np.clip((_volume()[::-1, ::-1, 0].T - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(picture.pixels[..., 0], expected, atol=0.51)
    assert picture.mapped == "percentiles 0.5 to 99.5 of the volume"


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({}, "found 12 axial slices, expected --slice N, from 1 to 12"),
        ({"slice": 13}, "--slice: found 13, expected 1 to 12"),
        ({"slice": 21, "axis": "sagittal"}, "--slice: found 21, expected 1 to 20"),
        ({"slice": 1, "frame": 2}, "--frame: found 2, expected 1 to 1"),
    ],
)
def test_a_slice_must_be_named_and_be_there(tmp_path, selection, message):
    path = _nifti(tmp_path / "v.nii.gz", _volume())
    with pytest.raises(UmlError) as caught:
        _read(path, **selection)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize("content", [b"", b"no volume at all", b"\x1f\x8b" + bytes(50)])
def test_a_damaged_volume_is_one_line(tmp_path, content):
    path = tmp_path / "v.nii.gz"
    path.write_bytes(content)
    with pytest.raises(UmlError, match="not a NIfTI file, or damaged"):
        _read(path, slice=1)


def test_a_truncated_volume_is_one_line(tmp_path):
    path = _nifti(tmp_path / "v.nii", _volume())
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UmlError, match=r"v\.nii: a damaged NIfTI file"):
        _read(path, slice=1)


@pytest.mark.parametrize("codes", ["RAS", "LPS"])
def test_a_damaged_compressed_volume_is_one_line(tmp_path, codes):
    path = _nifti(tmp_path / "v.nii.gz", np.random.default_rng(0).integers(0, 999, SHAPE, np.int16), codes)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for content in (whole[:middle], whole[:-8] + bytes(8), flipped):
        path.write_bytes(content)
        with pytest.raises(UmlError, match="not a NIfTI file, or damaged"):
            _read(path, slice=1)
    path = path.with_suffix("")
    path.write_bytes(gzip.decompress(whole)[:2000])
    with pytest.raises(UmlError, match="damaged"):
        _read(path, slice=1)


def test_a_volume_is_not_inflated_further_than_its_header_states(tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header.set_data_shape((10, 20, 1))
    header["vox_offset"], header["magic"] = 352, b"n+1"
    path = tmp_path / "v.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4) + bytes(200) + bytes(10_000)))
    assert _read(path).pixels.shape == (20, 10, 3)
    header.set_data_shape((1000, 1000, 1000))
    for suffix, content in ((".nii.gz", gzip.compress(header.binaryblock)), (".nii", header.binaryblock)):
        path = tmp_path / f"large{suffix}"
        path.write_bytes(content)
        with pytest.raises(UmlError, match=r"found a volume of 4\.0 GB, expected at most 2"):
            _read(path)


@pytest.mark.parametrize("mirrored", [1, -1])
def test_a_picture_of_two_axes_is_a_slice(tmp_path, mirrored):
    values = _volume()[..., 3]
    path = tmp_path / "v.nii.gz"
    image = nibabel.Nifti1Image(values[::mirrored], np.diag([mirrored * 1.0, 2.0, 3.0, 1.0]))
    nibabel.save(image, path)
    found = _read(path)
    np.testing.assert_allclose(found.pixels[..., 0], _grey(values[::-1, ::-1].T), atol=0.6)
    assert found.spacing == (2.0, 1.0)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_mapped_as_stated(tmp_path, suffix):
    deep = np.linspace(1000, 5000, 400).reshape(20, 20).astype(np.uint16)
    path = tmp_path / f"deep{suffix}"
    assert cv2.imwrite(str(path), deep)
    found = read_picture(path, Intensity("window", (3000.5, 2001.0)))
    np.testing.assert_allclose(found.pixels[..., 0], np.clip((deep - 2000.0) / 2000, 0, 1) * 255, atol=0.51)
    assert found.mapped == "window of centre 3000.5 and width 2001"
    assert read_picture(path, Intensity()).mapped == "percentiles 0.5 to 99.5"
    with pytest.raises(UmlError, match="found uint16 pixels, expected 8-bit"):
        read_picture(path)


def test_sixteen_bit_colour_is_divided(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint16)
    assert cv2.imwrite(str(tmp_path / "c.png"), colour[..., ::-1] * 257)
    np.testing.assert_array_equal(read_picture(tmp_path / "c.png", Intensity()).pixels, colour)


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "log"},
        {"method": "window"},
        {"window": (3.0, 2.0)},
        {"method": "window", "window": (3.0, 0.0)},
        {"method": "percentile", "percentiles": (60.0, 40.0)},
    ],
)
def test_a_mapping_that_means_nothing_is_refused(fields):
    with pytest.raises(ValueError, match=r"expected"):
        Intensity(**fields)
