"""The images that a command's arguments name: files, folders, and patterns that no shell has expanded."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import IMAGE_SUFFIXES
from uml_tf.runtime.prediction_files import ENDINGS


@dataclass(frozen=True)
class ImageList:
    """The images to read.

    Attributes:
        paths: in the order of the arguments, those of a folder or pattern by name; each once.
        folders: the folders among the arguments; and that of the predictions, where a pattern matches images
            in it.
        is_searched: whether a folder or a pattern was among the arguments.
    """

    paths: tuple[Path, ...]
    folders: tuple[Path, ...]
    is_searched: bool


def is_image_name(path: Path) -> bool:
    """Whether a file is one by its ending; a hidden file, such as one that is still written, is none."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def images_in(folder: Path, is_image: Callable[[Path], bool] = is_image_name) -> list[Path]:
    """The image files that lie in a folder itself, by name.

    Args:
        folder: the folder.
        is_image: tells whether a file is one.

    Raises:
        UmlError: the folder cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.is_file() and is_image(path))
    except OSError as error:
        raise UmlError(f"{folder}: cannot be read ({error.strerror or error})") from error


def _without_predictions(paths: Sequence[Path], out: Path) -> list[Path]:
    """The files that are no pictures of predictions: those in ``out`` by name, others beside a JSON."""
    own = {parent for parent in {path.parent for path in paths} if parent.resolve() == out.resolve()}

    def is_picture_of_one(path: Path) -> bool:
        ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
        if ending is None:
            return False
        return path.parent in own or path.with_name(f"{path.name.removesuffix(ending)}.json").exists()

    return [path for path in paths if not is_picture_of_one(path)]


def find_images(
    arguments: Sequence[Path], out: Path, is_image: Callable[[Path], bool] = is_image_name
) -> ImageList:
    """The images that arguments name.

    Args:
        arguments: each a file; a folder, for the images in it; or a pattern such as ``site/**/*.png``, for
            the images that match. A file need not exist: reading it says so.
        out: folder for their predictions. A pattern may match files in it or in another such folder:
            pictures of predictions are no images.
        is_image: tells whether a file of a folder or pattern is one.

    Raises:
        UmlError: a folder has no image, or nothing matches a pattern.
    """
    found: dict[Path, None] = {}
    folders, is_searched = [], False
    for argument in arguments:
        if argument.is_dir():
            paths = images_in(argument, is_image)
            folders.append(argument)
            missing = f"{argument}: found no image in this folder, expected {', '.join(IMAGE_SUFFIXES)}"
        elif not argument.exists() and glob.has_magic(str(argument)):
            matches = map(Path, sorted(glob.glob(str(argument), recursive=True)))  # noqa: PTH207, it may be absolute
            paths = [path for path in matches if path.is_file() and is_image(path)]
            paths = _without_predictions(paths, out)
            folders += [path for path in {path.parent for path in paths} if path.resolve() == out.resolve()]
            missing = f"{argument}: found no image that matches, expected {', '.join(IMAGE_SUFFIXES)}"
        else:
            found[argument] = None
            continue
        if not paths:
            raise UmlError(missing)
        is_searched = True
        found |= dict.fromkeys(paths)
    return ImageList(tuple(found), tuple(folders), is_searched)
