from __future__ import annotations

import cv2
import numpy as np
import pytest

from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import read_image
from uml_tf.runtime.placement import place

IMAGES = (
    "benign (1).png",
    "with_masks/benign/benign (2).png",
    "labels_only/a.jpg",
    "unmasked.png",
    "x/y/od.tif",
)
MASKS = (
    "benign (1)_mask.png",
    "benign (1)_mask_1.png",
    "masks/benign (1).png",
    "x/Disc_Cup_Masks/a.png",
    "x/GT/a/SoftMap/a_cup.png",
    "a_Segmentation.PNG",
    "b-seg.png",
    "c_overlay.png",
    "c_uncertainty.png",
    "ground_truth/d.bmp",
    "annotations/e.webp",
)


def _write(folder, names):
    for seed, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), dtype=np.uint8)
        path.write_bytes(cv2.imencode(path.suffix.lower(), picture)[1].tobytes())


def test_masks_in_a_folder_are_left_out_and_counted(tmp_path):
    _write(tmp_path, IMAGES + MASKS)
    said = []
    files = calibration_files(tmp_path, 100, said.append)
    assert {path.relative_to(tmp_path).as_posix() for path in files} == set(IMAGES)
    (line,) = said
    assert f"left out {len(MASKS)} of {len(IMAGES + MASKS)} files, which are masks by their names" in line
    assert read_calibration(files, (16, 16)).shape == (len(IMAGES), 16, 16, 3)


def test_calibration_images_are_placed_as_the_network_reads_them(tmp_path):
    _write(tmp_path, ["a.png"])
    files = [tmp_path / "a.png"]
    placement = place("letterbox", (20, 30), (16, 16))
    (read,) = read_calibration(files, (16, 16), where=lambda image: placement)
    np.testing.assert_array_equal(read, placement.image(read_image(files[0])))
    assert (read[~placement.inside] == 0).all()


def test_the_name_of_the_folder_itself_decides_nothing(tmp_path):
    _write(tmp_path / "masks", ["a.png"])
    said = []
    assert len(calibration_files(tmp_path / "masks", 5, said.append)) == 1
    assert said == []


def test_a_folder_of_masks_alone_is_refused(tmp_path):
    _write(tmp_path, ["masks/a.png"])
    with pytest.raises(UmlError, match="found no image"):
        calibration_files(tmp_path, 5)


def test_a_prepared_data_set_gives_its_training_images(phantoms):
    files = calibration_files(phantoms.root, 7)
    train = {phantoms.root / row.image for row in phantoms.split("train")}
    assert len(files) == 7
    assert set(files) <= train


def test_real_folders(busi_raw, drishti_raw, isic_raw):
    assert len(calibration_files(busi_raw, 10_000)) == 529
    assert len(calibration_files(drishti_raw, 10_000)) == 50
    assert len(calibration_files(isic_raw, 10_000)) == 98
