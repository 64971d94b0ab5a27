"""Images that a model was trained on are recognised wherever they lie."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.seen_images import check_unseen, training_image_hashes
from uml_tf.runtime.errors import UmlError


def test_hashes_are_of_the_files_of_the_training_split(phantoms):
    hashes = training_image_hashes(phantoms)
    assert len(hashes) == len(phantoms.split("train")) == len(set(hashes))
    first = (phantoms.root / phantoms.split("train")[0].image).read_bytes()
    assert hashes[0] == hashlib.sha256(first).hexdigest()


def test_the_training_split_is_refused_and_the_others_are_not(phantoms):
    trained_on = {"version 1": [], "version 2": training_image_hashes(phantoms)}
    for split in ("val", "test"):
        check_unseen(phantoms, split, trained_on)
    size = len(phantoms.split("train"))
    with pytest.raises(UmlError, match=f"found {size} of {size} images that version 2 was trained on"):
        check_unseen(phantoms, "train", trained_on)


def test_one_training_image_in_another_data_set_is_found(phantoms, tmp_path):
    """Another name, another folder, another label: the bytes are the same."""
    other = shutil.copytree(phantoms.root, tmp_path / "other")
    held_out, seen = phantoms.split("test")[3].image, phantoms.split("train")[0].image
    shutil.copyfile(phantoms.root / seen, other / held_out)
    dataset = PreparedDataset.open(other)
    assert dataset.fingerprint != phantoms.fingerprint
    with pytest.raises(UmlError, match=f"found 1 of {len(dataset.split('test'))} images .*first {held_out}"):
        check_unseen(dataset, "test", {"version 1": training_image_hashes(phantoms)})


def test_an_image_that_is_gone_is_one_line(phantoms, tmp_path):
    other = shutil.copytree(phantoms.root, tmp_path / "other")
    gone = other / phantoms.split("train")[0].image
    gone.unlink()
    with pytest.raises(UmlError, match=f"^{gone}: no such file$"):
        training_image_hashes(PreparedDataset.open(other))
