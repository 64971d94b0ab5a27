from __future__ import annotations

import cv2
import numpy as np
import pytest

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder, replacing
from uml_tf.runtime.images import read_image, resize_antialiased, resize_nearest


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


def test_exif_orientation_is_applied(tmp_path, photo):
    _, data = cv2.imencode(".jpg", photo)
    orientation_6 = bytes.fromhex("0112 0003 00000001 0006 0000")
    exif = b"Exif\0\0MM\0*" + bytes.fromhex("00000008 0001") + orientation_6 + bytes(4)
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    raw = data.tobytes()
    (tmp_path / "turned.jpg").write_bytes(raw[:2] + segment + raw[2:])
    assert read_image(tmp_path / "turned.jpg").shape == (120, 90, 3)


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
