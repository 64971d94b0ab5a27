from __future__ import annotations

import shutil

import numpy as np
import pytest

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.pipeline import Examples, epoch_order, load_examples, training_batches
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import read_image, resize_antialiased

STRONG = AugmentationSpec(rotation=30, zoom=0.3, stretch=0.2, translation=0.2, noise=0.1, saturation=0.2)


@pytest.fixture(scope="module")
def examples(phantoms):
    return load_examples(phantoms, "train", (64, 64))


def test_training_and_prediction_resize_alike(phantoms, examples):
    for row, image in zip(examples.rows[:5], examples.images, strict=False):
        again = resize_antialiased(read_image(phantoms.root / row.image), (64, 64))
        assert np.abs(again - image).max() <= 0.502  # training rounds to whole grey values


def test_masks_stay_class_indices(examples):
    assert set(np.unique(examples.masks)) == {0, 1, 2}


def _epoch(examples, augmentation, epoch):
    order = epoch_order(examples, 8, 0, epoch, None)
    augmentation.start_epoch(epoch)
    return [{k: v.numpy() for k, v in b.items()} for b in training_batches(examples, order, 8, augmentation)]


def test_a_seed_of_any_size_is_accepted(examples):
    _epoch(examples, Augmentation(STRONG, seed=2**70), 0)


def test_an_epoch_repeats_exactly_and_epochs_differ(examples):
    augmentation = Augmentation(STRONG, seed=4)
    first, _, again = (_epoch(examples, augmentation, epoch) for epoch in (3, 5, 3))
    other = _epoch(examples, augmentation, 4)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])
        np.testing.assert_array_equal(a["mask"], b["mask"])
    assert any((a["image"] != b["image"]).any() for a, b in zip(first, other, strict=True))


def test_image_and_mask_move_alike():
    # The image IS the mask, so after any geometry they must still coincide.
    masks = np.zeros((8, 64, 64), np.uint8)
    masks[:, 20:44, 12:40], masks[:, 28:36, 20:30] = 1, 2
    images = np.repeat(masks[..., None] * 100, 3, axis=-1).astype(np.uint8)
    examples = Examples(images, np.zeros(8, np.int32), masks, np.ones(8, np.float32), ())
    still = STRONG.model_copy(update={"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "noise": 0.0})
    stream = training_batches(examples, np.arange(8), 8, Augmentation(still, seed=0))
    batch = {key: value.numpy() for key, value in next(iter(stream)).items()}
    assert set(np.unique(batch["mask"])) <= {0, 1, 2}
    assert (batch["mask"] != masks).any()
    inside = batch["mask"] > 0
    seen = batch["image"][..., 0] > 50
    # Each of four resamplings rounds the mask to whole pixels, so outlines differ but places do not.
    assert (inside & seen).sum() / (inside | seen).sum() > 0.9
    shifts = [np.argwhere(a).mean(0) - np.argwhere(b).mean(0) for a, b in zip(inside, seen, strict=True)]
    assert np.abs(np.mean(shifts, axis=0)).max() < 0.25


def test_every_image_once_per_epoch(examples):
    order = epoch_order(examples, 8, 0, 0, None)
    assert len(order) % 8 == 0
    assert len(set(order.tolist())) == len(order)


def test_mixed_data_sets_keep_their_share_of_masks():
    has_mask = np.array([1.0] * 5 + [0.0] * 40, np.float32)
    examples = Examples(np.zeros((45, 1)), np.zeros(45), np.zeros(45), has_mask, tuple(range(45)))
    order = epoch_order(examples, 8, seed=0, epoch=2, masked_share=0.25)
    assert (has_mask[order].reshape(-1, 8).sum(axis=1) == 2).all()
    bare = [i for i in order.tolist() if i >= 5]
    assert len(bare) == len(set(bare)) >= 36
    assert set(order[has_mask[order] > 0].tolist()) == set(range(5))


def test_a_missing_file_is_named(phantoms, tmp_path):
    copy = shutil.copytree(phantoms.root, tmp_path / "copy")
    dataset = PreparedDataset.open(copy)
    gone = dataset.split("val")[0].image
    (copy / gone).unlink()
    with pytest.raises(UmlError, match=gone):
        load_examples(dataset, "val", (64, 64))
