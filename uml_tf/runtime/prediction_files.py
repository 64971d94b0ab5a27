"""From image files to prediction files: what `uml-tf predict` and a device bundle's run.py both do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import write_json
from uml_tf.runtime.images import read_picture, write_png
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.overlay import draw_outlines, uncertainty_map
from uml_tf.runtime.picture import Picture
from uml_tf.runtime.prediction import Model, Prediction, predict_image

Array = NDArray[Any]

ENDINGS = ("_mask.png", "_overlay.png", "_uncertainty.png", "_doubt.png", ".json")
"""Of the files of one prediction, in the order of writing: where the JSON is, all of them are. The doubt is 1
less the confidence of every pixel."""


Reader = Callable[[Path, Intensity, str], Picture]
"""Reads a file by a mapping of intensities; the text is what messages call the file."""


def _stems(images: Sequence[Path], aliases: Mapping[Path, str]) -> list[str]:
    """The name of each image's files: its alias, its stem, or its whole name where two stems are equal.

    Raises:
        UmlError: two files have the same name.
    """
    plain = [path.stem for path in images]
    names = [
        aliases.get(path) or (path.stem if plain.count(path.stem) == 1 else path.name) for path in images
    ]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UmlError(f"IMAGE: found '{doubled[0]}' twice, expected different file names")
    return names


def plan_predictions(
    images: Sequence[Path], out: Path, aliases: Mapping[Path, str] | None = None
) -> list[str]:
    """The stem of each image's files in ``out``, after checking that no file of the user would be replaced.

    Earlier predictions in a folder of their own are replaced. But where ``out`` holds input images,
    ``x_mask.png`` may as well be an image, or the true mask of ``x.png``: there, no existing file is
    replaced.

    Args:
        images: the input files.
        out: folder for the predictions.
        aliases: image -> what stands for its name, where that may be a patient's.

    Raises:
        UmlError: two images have the same name, ``out`` is a file, or a file would be replaced.
    """
    names = _stems(images, aliases or {})
    if out.exists() and not out.is_dir():
        raise UmlError(f"--out {out}: found a file, expected a folder")
    input_folders = {
        folder for image in images for folder in (image.parent.resolve(), image.resolve().parent)
    }
    if out.resolve() in input_folders:
        for path in (out / f"{name}{ending}" for name in names for ending in ENDINGS):
            if path.exists():
                raise UmlError(
                    f"{path}: exists already, and no file is replaced in a folder of input images; "
                    "expected another --out"
                )
    return names


def write_prediction(
    folder: Path, stem: str, image_name: str, picture: Picture, prediction: Prediction
) -> list[Path]:
    """Writes the files of a prediction, named ``stem`` and each of ``ENDINGS``.

    Args:
        folder: where.
        stem: what the names begin with.
        image_name: what the JSON calls the image.
        picture: the image, at its original size.
        prediction: of this image.

    Returns:
        The files.

    Raises:
        UmlError: a file cannot be written.
    """
    files = [folder / f"{stem}{ending}" for ending in ENDINGS]
    pictures = (
        prediction.mask,
        draw_outlines(picture.pixels, prediction.mask, fill=0.25),
        uncertainty_map(prediction.mask_uncertainty),
        uncertainty_map(1 - prediction.mask_confidence),
    )
    for path, drawn in zip(files, pictures, strict=False):
        write_png(path, drawn)
    write_json(files[-1], prediction.to_dict(image_name))
    return files


def predict_files(
    model: Model,
    images: Sequence[Path],
    out: Path,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    read: Reader = read_picture,
    aliases: Mapping[Path, str] | None = None,
) -> None:
    """Writes the prediction of each image; one that cannot be read does not stop the others.

    Args:
        model: in any form.
        images: the files.
        out: folder for the predictions.
        say: called with one line for each prediction.
        complain: called with one line for each image that could not be read.
        read: reads a file; by default PNG, JPEG, TIFF, BMP and WebP alone.
        aliases: image -> what stands for its name, where that may be a patient's.

    Raises:
        UmlError: as ``plan_predictions``; a prediction cannot be written; or, at the end, some images could
            not be read.
    """
    failed = 0
    for path, stem in zip(images, plan_predictions(images, out, aliases), strict=True):
        name = (aliases or {}).get(path) or str(path)
        try:
            picture = read(path, model.card.mapping, name)
        except UmlError as error:
            complain(str(error))
            failed += 1
            continue
        prediction = predict_image(model, picture)
        write_prediction(out, stem, name, picture, prediction)
        action, reason = prediction.decision
        probability = prediction.class_probability[prediction.class_name]
        say(f"{name}: {prediction.class_name} {probability:.3f}, {action}: {reason}")
    say(f"{len(images) - failed} of {len(images)} images written to {out}")
    if failed:
        raise UmlError(f"{failed} of {len(images)} images could not be read")
