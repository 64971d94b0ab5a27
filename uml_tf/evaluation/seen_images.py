"""Images that a model was trained on, recognised by the bytes of their files."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from uml_tf.data.dataset import PreparedDataset
from uml_tf.runtime.errors import UmlError

TRAINING_IMAGES_FILE = "training_images.txt"
"""Among a run's files: ``training_image_hashes`` of its data set, one on each line."""


def _hashes(dataset: PreparedDataset, split: str) -> dict[str, str]:
    """Image of a split -> SHA-256 of its file."""
    files = dataset.file_digests
    return {row.image: files[row.image].hex() for row in dataset.split(split)}


def training_image_hashes(dataset: PreparedDataset) -> list[str]:
    """SHA-256 of the file of every image of the training split, in manifest order.

    A copy that was saved anew has other bytes and is not recognised by them.

    Raises:
        UmlError: there is no training split, or an image cannot be read.
    """
    return list(_hashes(dataset, "train").values())


def check_unseen(dataset: PreparedDataset, split: str, trained_on: Mapping[str, Collection[str]]) -> None:
    """Refuses images that a model was trained on.

    Args:
        dataset: where the images are.
        split: "train", "val" or "test".
        trained_on: name of a model -> ``training_image_hashes`` of its data set.

    Raises:
        UmlError: at least one image of the split was seen in training.
    """
    hashes = _hashes(dataset, split)
    for model, seen in trained_on.items():
        known = [image for image, digest in hashes.items() if digest in seen]
        if known:
            raise UmlError(
                f"{dataset.root}: split '{split}': found {len(known)} of {len(hashes)} images that {model} "
                f"was trained on, first {known[0]}; expected images that no model was trained on"
            )
