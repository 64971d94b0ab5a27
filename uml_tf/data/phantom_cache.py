"""Phantoms that are drawn once and then opened, however many processes ask for them at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from uml_tf.data.converters.phantom import PhantomOptions, generate_phantoms
from uml_tf.data.dataset import MANIFEST_NAME, PreparedDataset
from uml_tf.runtime.errors import UmlError


def cached_phantoms(
    folder: Path, options: PhantomOptions, progress: Callable[[int], None] = lambda done: None
) -> PreparedDataset:
    """Opens the phantoms in a folder; draws them first where they are missing.

    Of several processes that ask at once, one draws, and the others wait and then open what it has drawn.

    Args:
        folder: of the data set; its name should tell the options, which are not compared.
        options: what is drawn.
        progress: called with the number of finished images, by the process that draws.

    Raises:
        UmlError: the folder cannot be written to, or holds something else.
    """
    if not (folder / MANIFEST_NAME).is_file():
        with _lock(folder):
            if not (folder / MANIFEST_NAME).is_file():  # another process may have drawn them meanwhile
                generate_phantoms(folder, options, progress)
    return PreparedDataset.open(folder)


def _lock(folder: Path) -> FileLock:
    path = folder.with_name(f".{folder.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as error:
        raise UmlError(f"{folder}: cannot be written ({error.strerror or error})") from error
    return FileLock(path)
