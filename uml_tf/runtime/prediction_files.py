"""The files of a prediction: their names, and writing them."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.file_state import KEY
from uml_tf.runtime.files import remove, write_bytes, write_json
from uml_tf.runtime.images import encode_png
from uml_tf.runtime.overlay import draw_outlines, uncertainty_colours, uncertainty_levels
from uml_tf.runtime.palette import encode_with_palette
from uml_tf.runtime.prediction import Prediction

Array = NDArray[Any]

ENDINGS = ("_mask.png", "_overlay.png", "_uncertainty.png", "_doubt.png", ".json")
"""Of the files of one prediction, in the order of writing: where the JSON is, all of them are. The doubt is 1
less the confidence of every pixel."""

_IDENTITY = ("image", "model", KEY)
"""Of the JSON of a prediction: what tells whether it answers for the same image and model."""


def _stems(images: Sequence[Path], aliases: Mapping[Path, str]) -> list[str]:
    """The name of each image's files: its alias, its stem, or its whole name where another has that stem.

    Files of the same name have the names of their folders before it, as many as tell them apart.

    Raises:
        UmlError: two images are the same file, or no folder tells their names apart.
    """
    short = Counter(aliases.get(path) or path.stem for path in images)
    whole = {path.name for path in images if path not in aliases and path.suffix}
    names = [
        aliases.get(path) or (path.name if short[path.stem] > 1 or path.stem in whole else path.stem)
        for path in images
    ]
    for folders in range(1, max((len(path.parts) for path in images), default=0)):
        count = Counter(names)
        names = [
            "-".join(path.relative_to(path.anchor).parts[-folders - 1 :])
            if count[name] > 1 and path not in aliases
            else name
            for path, name in zip(images, names, strict=True)
        ]
    count = Counter(names)
    doubled = next((name for name in names if count[name] > 1), None)
    if doubled is not None:
        # An alias stands for a name that may be a patient's.
        called = [f"image {n}" if path in aliases else str(path) for n, path in enumerate(images, start=1)]
        both = " and ".join(text for text, name in zip(called, names, strict=True) if name == doubled)
        raise UmlError(f"IMAGE: found '{doubled}' twice ({both}), expected different file names")
    return names


def check_folders(folders: Sequence[Path], out: Path) -> None:
    """Refuses a folder of images as the folder of their predictions, which would be its images the next time.

    Raises:
        UmlError: ``out`` is one of the folders.
    """
    for folder in folders:
        if folder.resolve() == out.resolve():
            raise UmlError(f"--out {out}: found the folder of the images, expected another one")


def plan_predictions(
    images: Sequence[Path],
    out: Path,
    others: Sequence[str] = (),
    aliases: Mapping[Path, str] | None = None,
) -> list[str]:
    """The stem of each image's files in ``out``, after checking that no file of the user would be replaced.

    Earlier predictions in a folder of their own are replaced. But where ``out`` holds input images,
    ``x_mask.png`` may as well be an image, or the true mask of ``x.png``: there, no existing file is
    replaced.

    Args:
        images: the input files.
        out: folder for the predictions.
        others: names of further files that will be written there.
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
        written = [f"{name}{ending}" for name in names for ending in ENDINGS]
        for path in (out / name for name in (*written, *others)):
            if path.exists():
                raise UmlError(
                    f"{path}: exists already, and no file is replaced in a folder of input images; "
                    "expected another --out"
                )
    return names


def write_prediction(
    folder: Path,
    stem: str,
    data: dict[str, Any],
    image: Array,
    prediction: Prediction,
    pictures: bool = True,
    durable: bool = False,
) -> Array | None:
    """Writes the files of a prediction, named ``stem`` and each of ``ENDINGS``.

    Args:
        folder: where.
        stem: what the names begin with.
        data: the content of the JSON.
        image: RGB ``(H, W, 3)`` uint8, original size.
        prediction: of this image.
        pictures: whether to write the four pictures; the JSON is always written. Where they are not written,
            those of another answer that was there before are removed: they would be taken for this one's.
        durable: whether to wait until the files are on the disk, the JSON last.

    Returns:
        The overlay, RGB ``(H, W, 3)`` uint8, where pictures are written.

    Raises:
        UmlError: a file cannot be written or removed.
    """
    files = files_of(folder, stem, pictures)
    if not pictures and earlier_answer(files[-1], data) is None:
        remove_pictures(folder, stem)
    overlay = draw_outlines(image, prediction.mask, fill=0.25) if pictures else None
    if overlay is not None:
        doubts = prediction.mask_uncertainty, 1 - prediction.mask_confidence
        maps = (encode_with_palette(uncertainty_levels(doubt), uncertainty_colours()) for doubt in doubts)
        pictures_in_order = itertools.chain(map(encode_png, (prediction.mask, overlay)), maps)
        for path, content in zip(files, pictures_in_order, strict=False):
            write_bytes(path, content, durable)
    write_json(files[-1], data, durable)
    return overlay


def remove_pictures(folder: Path, stem: str) -> None:
    """Removes the pictures of an earlier prediction, which would be taken for those of a newer JSON.

    Raises:
        UmlError: a file cannot be removed.
    """
    for path in files_of(folder, stem, pictures=True)[:-1]:
        remove(path)


def is_outdated(folder: Path, stem: str, image: str, state: str) -> bool:
    """Whether there is an earlier prediction of an image whose file has changed since.

    Args:
        folder: where it may be.
        stem: what the names of its files begin with.
        image: what its JSON must call the image.
        state: of the image's file now; "" where there is no file, and then nothing is outdated.
    """
    (file,) = files_of(folder, stem, pictures=False)
    answer = _answer_in(file)
    return bool(state) and answer is not None and answer["image"] == image and answer[KEY] != state


def remove_prediction(folder: Path, stem: str) -> None:
    """Removes the files of a prediction, the JSON last, so that what is interrupted can be done again.

    Raises:
        UmlError: a file cannot be removed.
    """
    remove_pictures(folder, stem)
    for file in files_of(folder, stem, pictures=False):
        remove(file)


def earlier_answer(path: Path, expected: Mapping[str, Any]) -> dict[str, Any] | None:
    """The content of a prediction's JSON if it is of the same image, unchanged since, by the same model.

    Args:
        path: the JSON.
        expected: "image", what it calls the image; "model", the model's identity; ``KEY``, the state of the
            image's file.

    Returns:
        None where there is no such JSON.
    """
    answer = _answer_in(path)
    is_same = answer is not None and all(answer[key] == expected.get(key) for key in _IDENTITY)
    return answer if is_same else None


def _answer_in(path: Path) -> dict[str, Any] | None:
    """The content of a prediction's JSON; None where there is none, a damaged one, or another program's."""
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) and answer.keys() >= set(_IDENTITY) else None


def overlay_of(folder: Path, stem: str) -> Path:
    """The overlay among the files of one prediction."""
    return folder / f"{stem}{ENDINGS[1]}"


def files_of(folder: Path, stem: str, pictures: bool) -> list[Path]:
    """The files of one prediction, the JSON last; without pictures it is the only one."""
    return [folder / f"{stem}{ending}" for ending in (ENDINGS if pictures else ENDINGS[-1:])]
