"""The part of a picture that a locator chooses, and what two passes say of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Box, place
from uml_tf.runtime.roi import Roi, check_locator, region_box, roi_members
from uml_tf.runtime.two_pass import TwoPass

SIZE = (32, 32)
CLASSES = ("background", "rim", "cup")
UNIONS = {"disc": ("rim", "cup")}
LOCATOR_DOUBT = 0.3


def _square(top, left, height, width):
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_the_box_is_a_square_around_the_region_in_pixels_of_the_picture():
    whole = place("stretch", (320, 640), SIZE)  # 10 by 20 pixels each
    assert region_box(_square(10, 8, 4, 4), whole, 0.0) == Box(80, 160, 80, 80)
    assert region_box(_square(10, 8, 4, 4), whole, 0.5) == Box(40, 120, 160, 160)


def test_the_box_stays_inside_the_picture():
    whole = place("stretch", (320, 320), SIZE)
    assert region_box(_square(0, 28, 4, 4), whole, 1.0) == Box(0, 200, 120, 120)
    wide = place("stretch", (100, 640), SIZE)
    assert region_box(_square(0, 10, 32, 10), wide, 0.2) == Box(0, 160, 100, 280)
    assert region_box(np.ones(SIZE, bool), whole, 0.5) == Box(0, 0, 320, 320)


def test_only_the_largest_part_counts_and_padding_does_not():
    letterbox = place("letterbox", (160, 320), SIZE)
    mask = _square(12, 10, 4, 4) | _square(9, 25, 1, 2) | _square(0, 0, 5, 32)
    assert not letterbox.inside[0].any()
    assert region_box(mask, letterbox, 0.0) == Box(40, 100, 40, 40)
    assert region_box(~letterbox.inside, letterbox, 0.0) is None


def test_a_single_pixel_of_a_small_picture_gets_the_smallest_part_that_can_be_read():
    assert region_box(_square(5, 5, 1, 1), place("stretch", (40, 40), SIZE), 0.0) == Box(3, 3, 8, 8)


def test_a_region_that_the_locator_does_not_have_is_named():
    assert roi_members("disc", CLASSES, UNIONS) == roi_members("", CLASSES, UNIONS) == [1, 2]
    with pytest.raises(UmlError, match="found 'lesion', expected one of the locator's rim, cup, disc"):
        roi_members("lesion", CLASSES, UNIONS)


def test_another_locator_is_refused(tmp_path):
    roi = Roi("disc", 0.5, "a" * 64)
    check_locator(roi, "a" * 64, tmp_path)
    with pytest.raises(UmlError, match="expected aaaaaaaaaaaa, with which the network was trained"):
        check_locator(roi, "b" * 64, tmp_path)


class _Threshold:
    """A model without a network: what is brighter than a grey value is cup."""

    image_size = SIZE
    batch_size = 1

    def __init__(self, card, doubt):
        self.card, self.doubt = card, doubt

    def place(self, image):
        return self.card.place(image, SIZE)

    def __call__(self, images):
        cup = (images[..., :1] > 127).astype(np.float32)
        mask = np.concatenate([1 - cup, np.zeros_like(cup), cup], axis=-1)
        return {
            "class_probability": np.array([[0.8, 0.2]], np.float32),
            "class_belief": np.array([[0.6, 0.0]], np.float32),
            "class_uncertainty": np.array([[0.1]], np.float32),
            "mask_probability": mask,
            "mask_belief": mask * (1 - self.doubt),
            "mask_uncertainty": np.full_like(cup, self.doubt),
            "class_confidence": np.array([[0.9]], np.float32),
            "mask_confidence": np.full_like(cup, 0.75),
            "familiarity": np.ones((1, 1), np.float32),
        }


@pytest.fixture
def two_pass():
    names = {"image_classes": ("a", "b"), "pixel_classes": CLASSES, "unions": UNIONS, "accept_above": 0.5}
    locator = _Threshold(ModelCard(**names), LOCATOR_DOUBT)
    return TwoPass(_Threshold(ModelCard(**names, roi=Roi("disc", 0.5, "")), 0.05), locator)


def test_two_passes_speak_of_the_whole_picture(two_pass):
    image = np.zeros((200, 300, 3), np.uint8)
    image[100:140, 180:220] = 255
    prediction = two_pass.predict(image)
    assert prediction.roi["region"] == "disc"
    left, top, width, height = prediction.roi["box"]
    assert width == height
    assert 75 <= width <= 100
    read = np.zeros((200, 300), bool)
    read[top : top + height, left : left + width] = True
    assert read[100:140, 180:220].all()
    assert prediction.mask_uncertainty[read] == pytest.approx(0.05)
    assert prediction.mask_uncertainty[~read] == pytest.approx(LOCATOR_DOUBT)
    assert (prediction.mask[~read] == 0).all()
    assert prediction.mask_confidence[105:135, 185:215] == pytest.approx(0.75)
    assert prediction.mask_confidence[read].max() == pytest.approx(0.75)
    assert 0.4 < prediction.mask_confidence[read].min() < 0.7  # between mask and background
    assert prediction.mask_confidence[~read] == pytest.approx(1)  # the locator's background
    found = prediction.mask == 2
    true = image[..., 0] > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.97
    assert prediction.decision.action == "accept"
    placement = two_pass.place(image)
    outputs = {name: value[0] for name, value in two_pass(placement.image(image)[None]).items()}
    for name in ("mask_probability", "mask_belief"):
        opinion = placement.restored(outputs, name)[~read]
        assert (opinion.argmax(axis=-1) == 0).all()
    np.testing.assert_allclose(opinion[:, 0], 1 - LOCATOR_DOUBT, rtol=1e-6)
    # A speck that the locator calls cup, but that is not the largest part, is background by a tie.
    image[5:15, 5:15] = 255
    placement = two_pass.place(image)
    speck = placement.restored(outputs, "mask_probability")[8, 8]
    np.testing.assert_allclose(speck, [1 / 3] * 3, rtol=1e-5)
    assert speck.argmax() == 0


def test_where_nothing_is_found_the_whole_picture_is_read_and_referred(two_pass):
    prediction = two_pass.predict(np.full((200, 300, 3), 20, np.uint8))
    assert prediction.roi == {"region": "disc", "box": None}
    assert prediction.decision == ("refer", "no disc was found, so the whole image was read")
    assert prediction.mask_uncertainty == pytest.approx(0.05)
    assert prediction.to_dict("x")["roi"] == {"region": "disc", "box": None}


def test_a_network_without_its_locator_says_so(two_pass):
    with pytest.raises(UmlError, match="reads the part of a picture around its disc, expected its locator"):
        two_pass.network.place(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(UmlError, match="roi: found none"):
        TwoPass(two_pass.locator, two_pass.locator)


def test_the_card_keeps_its_region_of_interest():
    card = ModelCard(("a", "b"), CLASSES, roi=Roi("disc", 0.25, "c" * 64))
    assert ModelCard.from_dict(card.to_dict()) == card
