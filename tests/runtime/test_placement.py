"""How a picture becomes an input of a network, and how the network's maps return to the picture."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import at_original_size, resize_antialiased, resize_nearest
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import FITS, PADDING, Box, place
from uml_tf.runtime.regions import UNKNOWN_PIXEL

SIZE = (64, 64)
SHAPES = [(64, 64), (90, 60), (61, 200), (8, 300), (300, 8), (480, 641)]


def _picture(shape, seed=0):
    return np.random.default_rng(seed).integers(1, 255, (*shape, 3), dtype=np.uint8)


def _outputs(placement, classes=3):
    """Maps that are nan where the input is padded, so that a padded pixel shows wherever it gets to."""
    rng = np.random.default_rng(1)
    maps = rng.dirichlet(np.ones(classes), placement.size).astype(np.float32)
    maps[~placement.inside] = np.nan
    return {"mask_probability": maps, "mask_belief": maps * 0.5, "mask_uncertainty": maps[..., :1]}


@pytest.mark.parametrize("shape", SHAPES)
def test_stretch_is_the_plain_resize_to_the_last_bit(shape):
    image, placement = _picture(shape), place("stretch", shape, SIZE)
    mask = (image[..., 0] > 128).astype(np.uint8)
    np.testing.assert_array_equal(placement.image(image), resize_antialiased(image, SIZE))
    np.testing.assert_array_equal(placement.mask(mask), resize_nearest(mask, SIZE))
    outputs = _outputs(placement)
    for name, maps in outputs.items():
        np.testing.assert_array_equal(placement.restored(outputs, name), at_original_size(maps, shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_letterbox_keeps_the_aspect_and_padding_gets_nowhere(shape):
    placement = place("letterbox", shape, SIZE)
    height, width = placement.target.size
    assert max(height, width) == 64
    if min(height, width) > 3:
        assert width / height == pytest.approx(
            shape[1] / shape[0], abs=0.6 / min(height, width) * width / height
        )
    seen = placement.image(_picture(shape))
    assert (seen[~placement.inside] == PADDING).all()
    assert (placement.shown(seen) > 0).all()
    mask = placement.mask(np.ones(shape, np.uint8))
    assert (mask[~placement.inside] == UNKNOWN_PIXEL).all()
    assert (mask[placement.inside] == 1).all()
    outputs = _outputs(placement)
    for name in outputs:
        restored = placement.restored(outputs, name)
        assert restored.shape[:2] == shape
        assert np.isfinite(restored).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_crop_reads_the_middle_and_has_no_evidence_for_the_rest(shape):
    image, placement = _picture(shape), place("crop", shape, SIZE)
    side, crop = min(shape), placement.crop
    assert crop.size == (side, side)
    assert abs(2 * crop.top + side - shape[0]) <= 1
    assert abs(2 * crop.left + side - shape[1]) <= 1
    part = image[crop.slices]
    np.testing.assert_array_equal(placement.image(image), resize_antialiased(part, SIZE))
    outputs = _outputs(placement)
    read = np.zeros(shape, bool)
    read[crop.slices] = True
    probability, belief, uncertainty = (placement.restored(outputs, name) for name in outputs)
    np.testing.assert_array_equal(
        probability[crop.slices], at_original_size(outputs["mask_probability"], crop.size)
    )
    assert (uncertainty[~read] == 1).all()
    assert (belief[~read] == 0).all()
    np.testing.assert_allclose(probability[~read], 1 / 3)
    assert (probability.argmax(axis=-1)[~read] == 0).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_a_mask_that_goes_there_and_back_stays_in_its_place(fit, shape):
    placement = place(fit, shape, SIZE)
    mask = np.zeros(shape, np.uint8)
    rows, columns = (slice(round(0.4 * side), round(0.65 * side)) for side in shape)
    mask[rows, columns] = 1
    maps = np.eye(2, dtype=np.float32)[np.minimum(placement.mask(mask), 1)]
    back = placement.restored({"mask_probability": maps}, "mask_probability").argmax(axis=-1)
    both = np.logical_and(back, mask).sum() / np.logical_or(back, mask).sum()
    assert both > (0.6 if shape == (61, 200) and fit == "crop" else 0.85)
    assert place(fit, shape, SIZE) == placement


def test_square_pictures_are_read_alike_by_every_fit():
    assert len({place(fit, (200, 200), SIZE) for fit in FITS}) == 1


def test_a_part_of_the_picture_is_fitted_like_a_picture_of_its_own():
    box = Box(10, 40, 60, 90)
    for fit in FITS:
        part, own = place(fit, (100, 200), SIZE, box), place(fit, (60, 90), SIZE)
        assert part.target == own.target
        assert part.crop == Box(own.crop.top + 10, own.crop.left + 40, *own.crop.size)
        image = _picture((100, 200))
        np.testing.assert_array_equal(part.image(image), own.image(image[10:70, 40:130]))


def test_an_input_that_is_not_square_is_fitted_too():
    letterbox, crop = (place(fit, (100, 100), (32, 64)) for fit in ("letterbox", "crop"))
    assert letterbox.target == Box(0, 16, 32, 32)
    assert crop.crop == Box(25, 0, 50, 100)


def test_the_placement_of_a_resized_picture():
    of_input = place("crop", (100, 200), SIZE).of_resized(SIZE)
    assert of_input.crop == Box(0, 16, 64, 32)
    outputs = {"mask_uncertainty": np.full((*SIZE, 1), 0.25, np.float32)}
    restored = of_input.restored(outputs, "mask_uncertainty")[..., 0]
    assert (restored[:, 16:48] == 0.25).all()
    assert (restored[:, :16] == 1).all()
    stretched = place("stretch", (100, 200), SIZE).of_resized(SIZE)
    assert stretched.restored(outputs, "mask_uncertainty") is outputs["mask_uncertainty"]
    thin = place("crop", (8, 3000), SIZE).of_resized(SIZE)
    assert thin.crop.width == 1


def test_an_old_card_is_read_as_stretch_and_an_unknown_fit_is_refused():
    data = ModelCard(("a", "b"), ("background", "lesion")).to_dict()
    del data["fit"]
    assert ModelCard.from_dict(data).fit == "stretch"
    with pytest.raises(UmlError, match="fit: found 'pad', expected one of stretch, letterbox, crop"):
        ModelCard.from_dict({**data, "fit": "pad"})


@pytest.mark.parametrize("box", [None, Box(60, 90, 140, 140), Box(60, 90, 100, 140)])
@pytest.mark.parametrize("fit", FITS)
def test_a_share_of_the_picture_is_that_of_all_of_it_whatever_part_is_read(fit, box):
    mask = np.zeros((240, 320), np.uint8)
    mask[80:140, 130:190] = 1
    placement = place(fit, mask.shape, SIZE, box)
    chosen = placement.mask(mask) == 1
    found = placement.share_of_picture(chosen)
    assert found == pytest.approx(mask.mean(), rel=0.05)
    assert placement.share_of_picture(chosen | ~placement.inside) == found
    if fit == "stretch" and box is None:
        assert found == chosen.mean()
