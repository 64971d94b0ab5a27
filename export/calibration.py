"""The images that quantized activations get their ranges from."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from uml_tf.data.dataset import YAML_NAME, PreparedDataset
from uml_tf.formats.detection import is_picture
from uml_tf.formats.identifiers import Scrubber
from uml_tf.formats.reading import FileReading
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.placement import Placement, place

_NO_IMAGE_STEM = re.compile(
    r"[ ._-](masks?|seg|segmentations?|labels?|gt|overlay|uncertainty)([ ._-]?\d+)?$", re.IGNORECASE
)
_NO_IMAGE_FOLDER = re.compile(
    r"(?!(with|without|no)[ ._-])(.*[ ._-])?(masks?|segmentations?|annotations?|ground[ ._-]?truths?)"
    r"|seg|labels?|gts?",
    re.IGNORECASE,
)


def _is_mask(path: Path, folder: Path) -> bool:
    """Whether a file is a mask, or another picture drawn from an image, by its name.

    That is a file in a folder named "masks", "segmentations", "annotations", "ground_truth" or ending so (as
    "cup_masks", but not "with_masks"), or named "seg", "labels" or "GT"; and a file named X_mask.png,
    X_mask_1.png, X_segmentation.png, X_seg.png, X_label.png, X_gt.png, or like the X_overlay.png and
    X_uncertainty.png of a prediction. Singular and plural, small and capital letters count alike.
    """
    inside = path.relative_to(folder).parent.parts
    return any(_NO_IMAGE_FOLDER.fullmatch(part) for part in inside) or bool(_NO_IMAGE_STEM.search(path.stem))


def _images_in(folder: Path, say: Callable[[str], None]) -> list[Path]:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and is_picture(p))
    masks = [path for path in files if _is_mask(path, folder)]
    if masks:
        scrub = Scrubber(folder)  # a mask of a DICOM file may be called like the patient
        say(
            f"--calibration {folder}: left out {len(masks)} of {len(files)} files, which are masks by their "
            f"names or folders, e.g. {scrub(str(masks[0].relative_to(folder)))}"
        )
    return [path for path in files if path not in set(masks)]


def calibration_files(
    source: Path | PreparedDataset, count: int, say: Callable[[str], None] = lambda line: None
) -> list[Path]:
    """Up to ``count`` images, evenly spread over the training split or over the images in a folder.

    Args:
        source: a prepared data set, its folder, or any folder of images, at any depth. In the latter, files
            that are masks by their names are left out; see ``_is_mask``.
        count: at most so many.
        say: called with one line that tells what was left out.

    Raises:
        UmlError: there is no such folder, or no image in it.
    """
    if isinstance(source, Path) and (source / YAML_NAME).is_file():
        source = PreparedDataset.open(source)
    if isinstance(source, PreparedDataset):
        files = [source.root / row.image for row in source.split("train")]
    elif source.is_dir():
        files = _images_in(source, say)
    else:
        raise UmlError(f"--calibration {source}: no such folder, expected images of the training set")
    if not files:
        raise UmlError(f"--calibration {source}: found no image, expected images of the training set")
    places = np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int)
    return [files[place] for place in places]


def read_calibration(
    files: list[Path],
    size: tuple[int, int],
    progress: Callable[[int], None] = lambda done: None,
    where: Callable[[Array], Placement] | None = None,
    intensity: Intensity | None = None,
) -> Array:
    """The images as the network reads them, ``(N, H, W, 3)`` float32 in [0, 255].

    Args:
        files: N image files.
        size: (H, W) of the network's input.
        progress: called with the number of images read.
        where: from an image ``(H, W, 3)`` to its placement in the input; None to stretch it.
        intensity: how grey values of more than 8 bits, and of DICOM, are mapped; None for the default.

    Raises:
        UmlError: an image cannot be read.
    """
    images = np.empty((len(files), *size, 3), np.float32)
    reading = FileReading(intensity or Intensity())
    for index, path in enumerate(files):
        image = reading.read(path).pixels
        placement = where(image) if where else place("stretch", (image.shape[0], image.shape[1]), size)
        images[index] = placement.image(image)
        progress(index + 1)
    return images
