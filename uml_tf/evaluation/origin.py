"""``evaluation.json``: which model was measured on which images, beside the numbers of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.evaluation.measures_file import MEASURES_FILE, save_measures
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text, write_json
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.version import VERSION

ORIGIN_FILE = "evaluation.json"
_OF_MODELS = " models"


@dataclass(frozen=True)
class Origin:
    """What an evaluation is of.

    Attributes:
        model: the MODEL, as a command finds it again from any folder where it is a file.
        card: of the model.
        split: of the data set.
        dataset, root: name and folder of the data set.
        fingerprint: SHA-256 of the data set.
        mean_of: how several predictions were averaged, e.g. "flips"; "" for one prediction an image.
        version: of uml-tf.
    """

    model: str
    card: ModelCard
    split: str
    dataset: str
    root: str
    fingerprint: str
    mean_of: str = ""
    version: str = VERSION

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Origin:
        """The inverse of ``asdict``."""
        return cls(**{**data, "card": ModelCard.from_dict(data["card"])})


def averaged_words(passes: int | None, flips: bool, models: int) -> str:
    """How several predictions are averaged, as ``Origin.mean_of``.

    Args:
        passes: with dropout; None for none.
        flips: whether mirror images are read too.
        models: number of models that answer.
    """
    if passes is not None:
        return f"{passes} passes with dropout"
    if models > 1:
        return f"{models}{_OF_MODELS}"
    return "flips" if flips else ""


def is_of_models(mean_of: str) -> bool:
    """Whether ``Origin.mean_of`` says that several models answered."""
    return mean_of.endswith(_OF_MODELS)


def save_origin(folder: Path, origin: Origin, measures: Sequence[ImageMeasure]) -> list[Path]:
    """Writes ``evaluation.json`` and the measures of the images into the folder of an evaluation.

    Returns:
        The written files.
    """
    files = [folder / MEASURES_FILE, folder / ORIGIN_FILE]
    save_measures(files[0], measures)
    write_json(files[1], asdict(origin))
    return files


def load_origin(folder: Path) -> Origin:
    """Reads ``evaluation.json`` of a folder.

    Raises:
        UmlError: it is missing, as in evaluations of older versions, or of another form.
    """
    path = folder / ORIGIN_FILE
    if not path.is_file():
        raise UmlError(
            f"{path}: no such file, expected the folder of an evaluation of one data set; "
            "`uml-tf evaluate MODEL --data DIR --out FOLDER` writes one"
        )
    try:
        return Origin.from_dict(json.loads(read_text(path)))
    except (ValueError, KeyError, TypeError) as error:
        raise UmlError(f"{path}: cannot be read as the origin of an evaluation ({error!r})") from error
