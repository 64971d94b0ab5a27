from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder, replacing
from uml_tf.runtime.image_header import read_header
from uml_tf.runtime.images import (
    decode_image,
    read_image,
    read_image_size,
    resize_antialiased,
    resize_nearest,
)

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")


@pytest.fixture
def photo():
    return cv2.resize(np.random.default_rng(0).integers(0, 255, (9, 12, 3), dtype=np.uint8), (120, 90))


@pytest.mark.parametrize("size", [(64, 64), (33, 70), (200, 150), (90, 120)])
def test_resize_is_tensorflows(photo, size):
    import tensorflow as tf

    expected = tf.image.resize(photo, size, antialias=True)
    np.testing.assert_allclose(resize_antialiased(photo, size), expected, atol=2e-3)


def test_nearest_makes_up_no_class():
    mask = np.random.default_rng(0).integers(0, 3, (50, 40)).astype(np.uint8) * 2
    assert set(np.unique(resize_nearest(mask, (77, 31)))) <= {0, 2, 4}
    np.testing.assert_array_equal(resize_nearest(mask, (100, 80))[::2, ::2], mask)


def test_grey_and_opaque_alpha_become_rgb(tmp_path, photo):
    cv2.imwrite(str(tmp_path / "grey.png"), photo[..., 0])
    assert (read_image(tmp_path / "grey.png") == photo[..., :1]).all()
    cv2.imwrite(str(tmp_path / "opaque.png"), np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]))
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png"), photo[..., ::-1])


def _encode(photo, kind, orientation=1, **options):
    """By Pillow, which does not share OpenCV's reading of orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    settings = {"tiffinfo": {0x0112: orientation}} if kind == "TIFF" else {"exif": exif.tobytes()}
    if kind == "BMP":
        settings = {}
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, kind, **settings, **options)
    return buffer.getvalue()


def _close(image, expected):
    return image.shape == expected.shape and np.abs(image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", ["grey", "colour"])
def test_exif_orientation_is_applied(photo, kind, orientation, channels):
    data = _encode(photo if channels == "colour" else photo[..., 0], kind, orientation)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    assert _close(decode_image(data, kind), np.asarray(expected))


def test_exif_orientation_after_the_pixels_of_a_png(photo):
    png = cv2.imencode(".png", photo)[1].tobytes()
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    turned = decode_image(png[:-12] + chunk + png[-12:], "turned")
    np.testing.assert_array_equal(turned, np.rot90(photo[..., ::-1], -1))


def test_jpeg_with_data_after_its_end_is_read(photo):
    jpeg = _encode(photo, "JPEG")
    appended = bytes(np.random.default_rng(0).integers(0, 255, 20_000, dtype=np.uint8))
    np.testing.assert_array_equal(decode_image(jpeg + appended, "phone"), decode_image(jpeg, "plain"))


def _jpeg_with_preview(photo):
    """As cameras write them: a whole small JPEG inside the first segment."""
    preview = _encode(photo[:20, :20], "JPEG")
    exif = b"Exif\0\0MM\0*" + struct.pack(">IHI", 8, 0, 0) + preview
    jpeg = _encode(photo, "JPEG")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_truncated_jpeg_is_refused_even_when_a_preview_in_it_is_whole(photo, share):
    data = _jpeg_with_preview(photo)
    assert _close(decode_image(data, "whole"), photo)
    with pytest.raises(UmlError, match="truncated JPEG"):
        decode_image(data[: int(share * len(data))], "cut")


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {"progressive": True}), ("PNG", {}), ("TIFF", {"compression": "tiff_lzw"}), ("BMP", {})]
    + [("WEBP", {"lossless": lossless}) for lossless in (False, True)],
)
def test_truncated_files_are_refused(photo, kind, options, capfd):
    data = _encode(photo, kind, **options)
    for share in (0.3, 0.9, 0.99):
        with pytest.raises(UmlError, match=r"^cut: not an image that can be decoded"):
            decode_image(data[: int(share * len(data))], "cut")
    assert capfd.readouterr().err == ""


SIDE = 13_000


def _png_claim():
    """A real image of 169 megapixels in 21 kB."""
    rows = zlib.compress(bytes((1 + -(-SIDE // 8)) * SIDE), 9)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 1, 0, 0, 0, 0)),
        (b"IDAT", rows),
        (b"IEND", b""),
    ):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data


def _claim(kind, photo):
    """A file whose header states 169 megapixels."""
    if kind == "PNG":
        return _png_claim()
    if kind == "WEBP-extended":
        data = bytearray(_encode(photo, "WEBP"))  # its EXIF makes it an extended file
        data[24:30] = (SIDE - 1).to_bytes(3, "little") * 2
    elif kind == "WEBP":
        data = bytearray(cv2.imencode(".webp", photo, [cv2.IMWRITE_WEBP_QUALITY, 80])[1])
        data[26:30] = struct.pack("<HH", SIDE, SIDE)
    elif kind == "WEBP-lossless":
        data = bytearray(cv2.imencode(".webp", photo, [cv2.IMWRITE_WEBP_QUALITY, 101])[1])
        data[21:25] = struct.pack("<I", (SIDE - 1) | (SIDE - 1) << 14)
    elif kind == "BMP":
        data = bytearray(_encode(photo, "BMP"))
        data[18:26] = struct.pack("<ii", SIDE, -SIDE)
    elif kind == "JPEG":
        data = bytearray(_encode(photo, "JPEG"))
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", SIDE, SIDE)
    else:
        data = bytearray(_encode(photo, "TIFF"))
        for tag, side in ((256, 120), (257, 90)):
            entry = struct.pack("<HHII", tag, 4, 1, side)
            short = struct.pack("<HHIHH", tag, 3, 1, side, 0)
            found = entry if entry in data else short
            value_type = 9 if kind == "TIFF-signed" else 4
            data = bytearray(bytes(data).replace(found, struct.pack("<HHII", tag, value_type, 1, SIDE)))
    return bytes(data)


CLAIMS = ("PNG", "JPEG", "TIFF", "TIFF-signed", "BMP", "WEBP", "WEBP-lossless", "WEBP-extended")


@pytest.mark.parametrize("kind", CLAIMS)
def test_a_file_that_would_decode_to_169_megapixels_is_refused_by_its_header(photo, kind):
    data = _claim(kind, photo)
    assert len(data) < 50_000
    with pytest.raises(UmlError, match=r"^x: found 13000 x 13000 pixels, expected at most 100 million$"):
        decode_image(data, "x")


def test_of_a_repeated_tiff_tag_the_first_counts_and_a_size_must_be_stated():
    def tiff(*entries):
        directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
        return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)

    header = read_header(tiff((256, SIDE), (257, SIDE), (256, 8), (257, 8)))
    assert (header.width, header.height) == (SIDE, SIDE)
    with pytest.raises(UmlError, match="its header states no size"):
        decode_image(tiff((256, 8)), "x")


@pytest.mark.parametrize("kind", [*FORMATS, "BMP"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_header_states_the_size(photo, tmp_path, kind, orientation):
    path = tmp_path / "x"
    path.write_bytes(_encode(photo, kind, orientation))
    header = read_header(path.read_bytes())
    assert (header.width, header.height, header.complete) == (120, 90, True)
    assert read_image_size(path) == read_image(path).shape[:2]


@given(
    st.binary(max_size=200),
    st.sampled_from([b"\xff\xd8", b"II*\0", b"MM\0+", b"BM", b"\x89PNG\r\n\x1a\n", b""]),
)
def test_no_content_makes_the_header_reader_fail(content, start):
    read_header(start + content)
    read_header(b"RIFF\0\0\0\0WEBP" + content)


def _make(path, kind, photo):
    if kind == "text":
        path.write_text("not an image")
    elif kind == "empty":
        path.touch()
    elif kind == "16-bit":
        cv2.imwrite(str(path), photo.astype(np.uint16) * 200)
    elif kind == "alpha":
        cv2.imwrite(str(path), np.dstack([photo, photo[..., 0]]))
    elif kind == "tiny":
        cv2.imwrite(str(path), photo[:1, :1])
    elif kind == "truncated":
        data = cv2.imencode(".jpg", photo)[1].tobytes()
        path.write_bytes(data[: len(data) // 2])
    elif kind == "directory":
        path.mkdir()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("text", "not an image"),
        ("empty", "empty file"),
        ("16-bit", "found uint16 pixels"),
        ("alpha", "alpha channel"),
        ("tiny", "found 1 x 1 pixels"),
        ("truncated", "truncated JPEG"),
        ("directory", "found a directory"),
        ("missing", "no such file"),
    ],
)
def test_odd_input_is_refused_in_one_line(tmp_path, photo, kind, message):
    path = tmp_path / "odd.png"
    _make(path, kind, photo)
    with pytest.raises(UmlError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")

    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text(f"half{1 / 0}")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out") as folder:
        (folder / f"half{1 / 0}").touch()
    assert list(tmp_path.iterdir()) == []
