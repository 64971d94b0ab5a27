from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import remove
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import place
from uml_tf.runtime.predict_files import PredictOptions, predict_files
from uml_tf.runtime.prediction_files import plan_predictions


class _Constant:
    """A predictor without a network: the left half is foreground."""

    image_size = (32, 32)
    batch_size = 1
    card = ModelCard(("a", "b"), ("background", "lesion"))
    identity = "constant"

    def place(self, image):
        return place(self.card.fit, image.shape[:2], self.image_size)

    def __call__(self, images):
        mask = np.zeros((len(images), 32, 32, 2), np.float32)
        mask[:, :, :16, 1] = mask[:, :, 16:, 0] = 1.0
        return {
            "class_probability": np.array([[0.8, 0.2]], np.float32),
            "class_belief": np.array([[0.6, 0.0]], np.float32),
            "class_uncertainty": np.array([[0.4]], np.float32),
            "mask_probability": mask,
            "mask_belief": mask * 0.5,
            "mask_uncertainty": np.full((1, 32, 32, 1), 0.5, np.float32),
            "class_confidence": np.array([[0.7]], np.float32),
            "mask_confidence": np.full((1, 32, 32, 1), 0.25, np.float32),
            "familiarity": np.ones((1, 1), np.float32),
        }


def _predict(images, out, **options):
    said, complaints = [], []
    try:
        predict_files(_Constant(), images, out, said.append, complaints.append, PredictOptions(**options))
    except UmlError as error:
        return said, complaints, str(error)
    return said, complaints, None


@pytest.fixture
def photos(tmp_path):
    paths = [tmp_path / name for name in ("x.png", "y.png")]
    for seed, path in enumerate(paths):
        picture = np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), picture)
    return paths


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_each_image_gets_five_files_and_a_second_run_replaces_them(photos, tmp_path):
    out = tmp_path / "predictions"
    for _ in range(2):
        said, complaints, error = _predict(photos, out, again=True)
        assert (len(said), complaints, error) == (3, [], None)
    endings = (".json", "_doubt.png", "_mask.png", "_overlay.png", "_uncertainty.png")
    files = [stem + ending for stem in "xy" for ending in endings]
    assert _names(out) == sorted([*files, "index.html", "predictions.csv"])
    assert json.loads((out / "x.json").read_text())["pixels"]["lesion"]["box"] == [0, 0, 30, 40]


def test_one_unreadable_image_does_not_stop_the_others(photos, tmp_path):
    photos[0].write_text("no image")
    said, complaints, error = _predict(photos, tmp_path / "out")
    assert complaints == [
        f"{photos[0]}: not an image that can be decoded, expected PNG, JPEG, TIFF, BMP or WebP"
    ]
    assert error == "1 of 2 images could not be read"
    assert said[-1].startswith("1 of 2 images written")


def test_a_failed_write_stops_with_its_own_line(photos, tmp_path):
    out = tmp_path / "out"
    (out / "x_overlay.png").mkdir(parents=True)
    said, complaints, error = _predict(photos, out)
    assert (said, complaints) == ([], [])
    assert error == f"{out / 'x_overlay.png'}: cannot be written (Is a directory)"
    assert not (out / "x.json").exists()
    assert not (out / "predictions.csv").exists()


def test_predictions_beside_the_images_are_written(photos, tmp_path):
    _, _, error = _predict(photos, tmp_path)
    assert error is None
    assert len(_names(tmp_path)) == 14


@pytest.mark.parametrize("name", ["x_mask.png", "y_overlay.png", "x.json", "predictions.csv"])
@pytest.mark.parametrize("is_input", [True, False])
def test_no_file_is_replaced_in_a_folder_of_input_images(photos, tmp_path, monkeypatch, name, is_input):
    kept = photos[0].read_bytes()
    (tmp_path / name).write_bytes(kept)
    monkeypatch.chdir(tmp_path)
    images = [path.relative_to(tmp_path) for path in photos]
    images += [tmp_path / name] if is_input and name.endswith(".png") else []
    with pytest.raises(UmlError, match=rf"^{name}: exists already, and no file is replaced"):
        plan_predictions(images, tmp_path.relative_to(tmp_path), ["predictions.csv"])
    said, complaints, error = _predict(images, tmp_path / "../" / tmp_path.name)
    assert (said, complaints) == ([], [])
    assert "exists already" in error
    assert (tmp_path / name).read_bytes() == kept
    assert _names(tmp_path) == sorted(["x.png", "y.png", name])


def test_an_input_that_is_a_link_into_the_folder_counts(photos, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere/x.png"
    link.symlink_to(photos[0])
    (tmp_path / "x_mask.png").write_bytes(photos[1].read_bytes())
    with pytest.raises(UmlError, match="exists already"):
        plan_predictions([link], tmp_path)


def test_what_cannot_be_removed_is_one_line(tmp_path):
    remove(tmp_path / "none")
    with pytest.raises(UmlError, match=f"^{tmp_path}: cannot be removed"):
        remove(tmp_path)


def test_a_file_is_no_folder_for_predictions(photos):
    with pytest.raises(UmlError, match="found a file, expected a folder"):
        plan_predictions(photos[:1], photos[1])


def test_equal_stems_get_their_whole_names_and_equal_names_those_of_their_folders(tmp_path):
    out = tmp_path / "out"
    images = [tmp_path / "a/x.png", tmp_path / "a/x.jpg", tmp_path / "a/z.png"]
    assert plan_predictions(images, out) == ["x.png", "x.jpg", "z"]
    images += [tmp_path / "a/x.jpg.png"]
    assert plan_predictions(images, out) == ["x.png", "x.jpg", "z", "x.jpg.png"]
    images = [tmp_path / "a.png", tmp_path / "a.nii.gz"]
    assert plan_predictions(images, out, aliases={images[1]: "a"}) == ["a.png", "a"]
    images = [tmp_path / "a/x.png", tmp_path / "b/x.png"]
    assert plan_predictions(images, out) == ["a-x.png", "b-x.png"]
    images += [tmp_path / "a/b/x.png", tmp_path / "z.png"]
    last = tmp_path.name
    assert plan_predictions(images, out) == ["a-x.png", f"{last}-b-x.png", "a-b-x.png", "z"]
    with pytest.raises(UmlError, match=rf"IMAGE: found '.*x.png' twice \({images[0]} and {images[0]}\)"):
        plan_predictions([images[0], images[0]], out)
    with pytest.raises(UmlError, match=r"found 'dicom_0' twice \(image 1 and image 2\)"):
        plan_predictions(images[:2], out, aliases=dict.fromkeys(images[:2], "dicom_0"))
