from __future__ import annotations

import hashlib

import numpy as np
import pydicom
import pytest
from dicom_files import IDENTIFIERS, SAMPLES, dicom_image, write_dicom
from pydicom.pixels import apply_windowing, pixel_array

from uml_tf.formats.reading import FileReading
from uml_tf.formats.selection import Selection
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import read_image
from uml_tf.runtime.intensity import Intensity


def _read(path, frame=None, **intensity):
    return FileReading(Intensity(**intensity), Selection(frame)).read(path)


def _ramp(dtype=np.uint16, largest=4095):
    return np.linspace(0, largest, 64 * 32).reshape(64, 32).astype(dtype)


_MR = (
    "small",
    "small_RLE",
    "small_bigendian",
    "small_jp2klossless",
    "small_jpeg_ls_lossless",
    "small_padded",
)
SAME_PICTURE = [
    [f"MR_{name}.dcm" for name in _MR],
    ["SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_rle_16bit.dcm"],
]


@pytest.mark.parametrize("names", SAME_PICTURE)
def test_every_lossless_syntax_gives_the_same_picture(names):
    first, *others = [_read(SAMPLES / name).pixels for name in names]
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert first.std() > 20
    for name, other in zip(names[1:], others, strict=True):
        np.testing.assert_array_equal(first, other, err_msg=name)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("SC_rgb_dcmtk_+eb+cy+np.dcm", 12),  # YBR_FULL_422, JPEG
        ("SC_rgb_dcmtk_+eb+cy+s4.dcm", 12),  # YBR_FULL, JPEG
        ("SC_ybr_full_422_uncompressed.dcm", 6),
        ("SC_rgb_gdcm_KY.dcm", 12),  # JPEG 2000
        ("SC_rgb_jls_lossy_line.dcm", 12),  # JPEG-LS
    ],
)
def test_ybr_and_lossy_syntaxes_give_nearly_the_rgb_picture(name, tolerance):
    plain, other = _read(SAMPLES / "SC_rgb_rle.dcm").pixels, _read(SAMPLES / name).pixels
    assert np.abs(plain.astype(int) - other).mean() < tolerance


def test_palette_and_frames():
    palette = _read(SAMPLES / "examples_palette.dcm").pixels
    assert palette.shape == (350, 800, 3)
    assert np.ptp(palette.astype(int), axis=-1).max() > 50
    frames = [_read(SAMPLES / "examples_ybr_color.dcm", frame) for frame in (1, 30)]
    assert (frames[0].pixels != frames[1].pixels).any()
    assert frames[0].spacing == pytest.approx((0.510497, 0.510497), abs=1e-5)  # of the ultrasound region


def test_the_files_window_is_applied_as_the_standard_says():
    path = SAMPLES / "MR_small.dcm"
    header = pydicom.dcmread(path)
    expected = np.asarray(apply_windowing(pixel_array(path), header), float)  # over the range of int16
    found = _read(path)
    np.testing.assert_allclose(found.pixels[..., 0], (expected + 32768) / 65535 * 255, atol=0.51)
    assert found.mapped == "the file's window of centre 600 and width 1600"
    assert found.spacing == (0.3125, 0.3125)


def test_stored_values_become_grey_values_as_the_mapping_says(tmp_path):
    ramp = _ramp()
    path = write_dicom(tmp_path / "a.dcm", ramp, bits=12, RescaleSlope="2", RescaleIntercept="-100")
    units = ramp.astype(float) * 2 - 100
    wide = _read(path, method="window", window=(1000.5, 1001.0)).pixels[..., 0]
    np.testing.assert_allclose(wide, np.clip((units - 500) / 1000, 0, 1) * 255, atol=0.51)
    shares = _read(path, method="percentile", percentiles=(10, 90)).pixels[..., 0]
    low, high = np.percentile(units, [10, 90])
    np.testing.assert_allclose(shares, np.clip((units - low) / (high - low), 0, 1) * 255, atol=0.51)
    assert _read(path).mapped == "percentiles 0.5 to 99.5"


def test_monochrome1_is_turned_around_and_padding_is_not_counted(tmp_path):
    ramp = _ramp()
    plain = _read(write_dicom(tmp_path / "a.dcm", ramp, bits=12)).pixels.astype(int)
    turned = write_dicom(tmp_path / "b.dcm", ramp, bits=12, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(255 - plain, _read(turned).pixels)
    padded = ramp.copy()
    padded[:20] = 65535
    path = write_dicom(tmp_path / "c.dcm", padded, PixelPaddingValue=65535)
    alone = write_dicom(tmp_path / "d.dcm", ramp[20:])
    np.testing.assert_array_equal(_read(path).pixels[20:], _read(alone).pixels)


def test_small_values_stay_as_they_are(tmp_path):
    grey = _ramp(np.uint8, 255)
    found = _read(write_dicom(tmp_path / "a.dcm", grey))
    np.testing.assert_array_equal(found.pixels[..., 0], grey)
    assert found.mapped == ""


def _alias(path):
    """The name that messages give a DICOM file, which may itself be called after a patient."""
    return f"dicom_{hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("MR_truncated.dcm", "the pixels cannot be decoded (Explicit VR Little Endian"),
        ("JPEG-lossy.dcm", "the pixels cannot be decoded (JPEG Extended"),
        ("liver_1frame.dcm", "found 1-bit pixels, expected 8 to 16 bits"),
        ("rtdose_1frame.dcm", "found 32-bit pixels, expected 8 to 16 bits"),
        ("examples_ybr_color.dcm", "found 30 frames, expected --frame N, from 1 to 30"),
        ("reportsi.dcm", "found DICOM of the kind 'Basic Text SR Storage' without pixels"),
        ("no_meta.dcm", "not a DICOM file, or cut off"),
        ("SC_rgb_small_odd.dcm", "found 3 x 3 pixels, expected at least 8 on each side"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(name, message):
    with pytest.raises(UmlError) as caught:
        _read(SAMPLES / name)
    assert str(caught.value).startswith(f"{_alias(SAMPLES / name)}: {message}")
    assert "\n" not in str(caught.value)


def test_no_message_holds_a_value_of_the_header(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", _ramp())
    whole = path.read_bytes()
    lines = []
    for place in range(140, len(whole), 97):
        for data in (whole[:place], whole[:place] + b"\xff" * 40 + whole[place + 40 :]):
            path.write_bytes(data)
            try:
                _read(path)
            except UmlError as error:
                lines.append(str(error))
    assert len(lines) > 20
    assert not [line for line in lines if "\n" in line]
    words = [word for value in IDENTIFIERS.values() for word in value.split("^")]
    assert not [line for line in lines for word in words if word in line]


def test_encrypted_and_missing_files_and_frames(tmp_path):
    path = tmp_path / "secret.dcm"
    path.write_bytes(bytes.fromhex("3082010006092a864886f70d010703a0") + bytes(300))
    with pytest.raises(UmlError, match="found an encrypted DICOM file, expected it decrypted"):
        _read(path)
    with pytest.raises(UmlError, match="no such file"):
        _read(tmp_path / "none.dcm")
    frames = np.stack([_ramp(np.uint8, 255)] * 3)
    path = write_dicom(tmp_path / "f.dcm", frames, NumberOfFrames=3)
    with pytest.raises(UmlError, match="--frame: found 4, expected 1 to 3"):
        _read(path, 4)


def test_the_device_says_who_reads_dicom(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", _ramp())
    with pytest.raises(
        UmlError, match=r"found DICOM, which is not read here, .*`uml-tf predict` reads DICOM"
    ):
        read_image(path)


def test_floating_point_pixels_are_one_line(tmp_path):
    file = dicom_image(np.zeros((16, 16), np.float32))
    file.FloatPixelData = file.PixelData
    del file.PixelData
    file.save_as(tmp_path / "f.dcm", enforce_file_format=True)
    name = _alias(tmp_path / "f.dcm")
    with pytest.raises(UmlError, match=f"{name}: found floating-point pixels, expected integers"):
        _read(tmp_path / "f.dcm")


def test_windows_and_rescaling_of_enhanced_files_are_those_of_the_frame(tmp_path):
    file = dicom_image(np.stack([_ramp(), _ramp()]), NumberOfFrames=2)
    groups = []
    for centre in (500.0, 2000.0):
        window, measures, group = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        window.WindowCenter, window.WindowWidth = centre, 801.0
        measures.PixelSpacing = [0.25, 0.5]
        group.FrameVOILUTSequence, group.PixelMeasuresSequence = [window], [measures]
        groups.append(group)
    file.PerFrameFunctionalGroupsSequence = groups
    file.save_as(tmp_path / "e.dcm", enforce_file_format=True)
    first, second = (_read(tmp_path / "e.dcm", frame) for frame in (1, 2))
    assert first.spacing == (0.25, 0.5)
    assert first.mapped.startswith("the file's window of centre 500")
    assert first.pixels.mean() > second.pixels.mean() + 50
