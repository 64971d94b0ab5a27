"""From image files to answer files: what `uml-tf predict` and a device bundle's run.py both do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import write_json
from uml_tf.runtime.images import read_image, write_png
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.overlay import draw_outlines, uncertainty_map
from uml_tf.runtime.prediction import Prediction, predict_image

if TYPE_CHECKING:
    from uml_tf.runtime.predictor import Predictor

Array = NDArray[Any]


def stems(images: Sequence[Path]) -> list[str]:
    """What each image's files are called: its stem, its whole name where two stems are equal.

    Raises:
        UmlError: two files have the same name.
    """
    plain = [path.stem for path in images]
    names = [path.stem if plain.count(path.stem) == 1 else path.name for path in images]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise UmlError(f"IMAGE: found '{doubled[0]}' twice, expected different file names")
    return names


def write_prediction(
    folder: Path, stem: str, image_name: str, image: Array, answer: Prediction
) -> list[Path]:
    """Writes ``stem.json``, ``stem_mask.png``, ``stem_overlay.png`` and ``stem_uncertainty.png``.

    Args:
        folder: where.
        stem: what the names begin with.
        image_name: what the JSON calls the image.
        image: RGB ``(H, W, 3)`` uint8, original size.
        answer: what was said of it.
    """
    pictures = {
        "mask": answer.mask,
        "overlay": draw_outlines(image, answer.mask, fill=0.25),
        "uncertainty": uncertainty_map(answer.mask_uncertainty),
    }
    written = []
    for name, picture in pictures.items():
        written.append(folder / f"{stem}_{name}.png")
        write_png(written[-1], picture)
    # The JSON comes last: where it is, everything is.
    written.append(folder / f"{stem}.json")
    write_json(written[-1], answer.to_dict(image_name))
    return written


def predict_files(
    source: Predictor,
    card: ModelCard,
    images: Sequence[Path],
    out: Path,
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> None:
    """Outputs each image with four files and a line; one that cannot be read does not stop the others.

    Args:
        source: the model, in any form.
        card: its names and thresholds.
        images: the files.
        out: folder for the answers.
        say: takes a line about an answer.
        complain: takes a line about an image that could not be read.

    Raises:
        UmlError: two files have the same name, or, at the end, some could not be read.
    """
    failed = 0
    for path, stem in zip(images, stems(images), strict=True):
        try:
            image = read_image(path)
            answer = predict_image(source, image, card)
            write_prediction(out, stem, str(path), image, answer)
        except UmlError as error:
            complain(str(error))
            failed += 1
            continue
        action, reason = answer.decision
        probability = answer.class_probability[answer.class_name]
        say(f"{path}: {answer.class_name} {probability:.3f}, {action}: {reason}")
    say(f"{len(images) - failed} of {len(images)} images written to {out}")
    if failed:
        raise UmlError(f"{failed} of {len(images)} images could not be read")
