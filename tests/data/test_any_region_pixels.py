"""Pixel value 254, "one of the regions": it teaches and measures that a pixel is no background."""

from __future__ import annotations

import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf
import yaml
from image_measures import DISC, measure_of_masks

from uml_tf.data.augmentation import Augmentation
from uml_tf.data.augmentation_spec import AugmentationSpec
from uml_tf.data.check import check_dataset
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.masks import read_mask
from uml_tf.data.pipeline import load_examples, training_batches
from uml_tf.data.preview import preview
from uml_tf.data.raw.values import PixelValues
from uml_tf.evaluation.sources import measures_by_source
from uml_tf.evaluation.summary import summarise
from uml_tf.losses import LossSpec, joint_loss
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.intervals import RATIO, Interval, area_name
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.overlay import ANY_REGION_COLOUR, UNKNOWN_COLOUR, draw_outlines
from uml_tf.runtime.regions import ANY_REGION_PIXEL, MOST_CLASSES, UNKNOWN_PIXEL
from uml_tf.training.mask_fit import mask_case
from uml_tf.training.trust_fit import _pixels
from uml_tf.training.validation import _image_dice

B, H, C, K = 2, 12, 3, 2

SPECS = [
    LossSpec(segmentation=form, evidential=evidential, objective=objective, dice_over=over)
    for form in ("dice", "dice+ce")
    for evidential, objective in ((True, "expected"), (True, "squared"), (False, "expected"))
    for over in ("batch", "image")
]


def _case(mask):
    rng = np.random.default_rng(0)
    logits = {
        name: tf.constant(rng.normal(0, 2, shape).astype(np.float32))
        for name, shape in (
            ("class_head", (B, K)),
            ("mutual_head_1", (B, H, H, C)),
            ("segmentation_logits_1", (B, H, H, C)),
            ("mask_head", (B, H, H, C)),
        )
    }
    return logits, {"label": tf.constant([0, 1]), "mask": tf.constant(mask), "has_mask": tf.ones(B)}


def _terms_and_gradients(logits, batch, spec):
    logits = {name: tf.Variable(z) for name, z in logits.items() if spec.evidential or name != "mask_head"}
    with tf.GradientTape() as tape:
        outputs = {
            name: 1 + tf.nn.softplus(z) if spec.evidential and name.endswith(("head", "head_1")) else z + 0.0
            for name, z in logits.items()
        }
        terms = joint_loss(outputs, batch, 25.0, spec)
    found = tape.gradient(terms["total"], logits)
    gradients = {name: g.numpy() for name, g in found.items() if g is not None and g.shape.rank == 4}
    return {name: float(value) for name, value in terms.items()}, gradients


def _masks():
    mask = np.random.default_rng(1).integers(0, C, (B, H, H)).astype(np.uint8)
    some = np.zeros((B, H, H), bool)
    some[0, 2:7, 1:9], some[1, :, 8:] = True, True
    return np.where(some, ANY_REGION_PIXEL, mask).astype(np.uint8), some


@pytest.mark.parametrize("spec", SPECS)
def test_such_pixels_teach_that_they_are_no_background_and_not_which_region_they_are(spec):
    mask, some = _masks()
    logits, batch = _case(mask)
    terms, gradients = _terms_and_gradients(logits, batch, spec)
    assert all(np.isfinite(value) for value in terms.values())
    taught = {name: g for name, g in gradients.items() if (g[some] != 0).any()}
    assert "mutual_head_1" in taught
    for gradient in taught.values():
        assert (gradient[some][:, 0] >= 0).all()
        assert (gradient[some][:, 1:] <= 0).all()
    # Rim and cup in each other's place change nothing there, neither in the Dice.
    swapped = {
        name: tf.where(some[..., None], tf.gather(z, [0, 2, 1], axis=-1), z) if z.shape.rank == 4 else z
        for name, z in logits.items()
    }
    again, _ = _terms_and_gradients(swapped, batch, spec)
    assert again == pytest.approx(terms, rel=1e-6)


@pytest.mark.parametrize("over", ["batch", "image"])
def test_the_dice_does_not_see_such_pixels(over):
    spec = LossSpec(segmentation="dice", evidential=False, mut=0.0, dice_over=over)
    mask, some = _masks()
    logits, batch = _case(mask)
    terms, gradients = _terms_and_gradients(logits, batch, spec)
    assert (gradients["segmentation_logits_1"][some] == 0).all()
    unknown = np.where(some, UNKNOWN_PIXEL, mask).astype(np.uint8)
    left_out, _ = _terms_and_gradients(logits, {**batch, "mask": tf.constant(unknown)}, spec)
    assert terms["seg"] == left_out["seg"]


FITS = {name: DiceFit(1.0, 0.0, 20) for name in ("rim", "cup", "disc")}
INTERVALS = {name: Interval(1.0, 20) for name in (RATIO, *map(area_name, FITS))}
CARD = ModelCard(DISC.image_classes, DISC.pixel_classes, DISC.unions, mask_quality=FITS, intervals=INTERVALS)


def _discs(shift=0):
    """A mask of rim and cup."""
    rows, columns = np.mgrid[:40, :40] - 20
    radius = np.hypot(rows, columns - shift)
    return (radius < 14).astype(np.uint8) + (radius < 7).astype(np.uint8)


def _measure(mask, predicted, name="i.png", source=""):
    return measure_of_masks(mask, predicted, name=name, source=source, card=CARD)


def _disc_only(mask, inside=ANY_REGION_PIXEL):
    return np.where(mask > 0, inside, 0).astype(np.uint8)


def test_a_region_of_all_foreground_classes_is_measured_and_its_parts_are_not():
    truth, predicted = _discs(2), _discs()
    whole, part = _measure(truth, predicted), _measure(_disc_only(truth), predicted)
    before = _measure(_disc_only(truth, UNKNOWN_PIXEL), predicted)
    assert part.values.keys() == whole.values.keys()
    of_disc = [name for name in whole.values if name.endswith("_disc")]
    assert {"dice_disc", "iou_disc", "assd_disc", "hd95_disc"} <= set(of_disc)
    for name, value in part.values.items():
        assert value == pytest.approx(whole.values[name] if name in of_disc else np.nan, nan_ok=True), name
    for name in part.counts:  # the pixels whose class is known are those outside the disc
        np.testing.assert_array_equal(part.counts[name], before.counts[name])
    assert part.intervals[f"{area_name('disc')}/true"] == whole.intervals[f"{area_name('disc')}/true"]
    for name in (RATIO, area_name("rim"), area_name("cup")):
        assert not np.isnan(whole.intervals[f"{name}/true"])
        assert np.isnan(part.intervals[f"{name}/true"])
    assert part.quality == whole.quality


def test_a_region_that_the_mask_shows_beside_such_pixels_is_measured_without_them():
    truth = _discs()
    some = truth.copy()
    some[:, 20:][truth[:, 20:] > 0] = ANY_REGION_PIXEL
    unknown = np.where(some == ANY_REGION_PIXEL, UNKNOWN_PIXEL, some).astype(np.uint8)
    found, left_out = _measure(some, _discs(1)), _measure(unknown, _discs(1))
    for name in ("dice_rim", "hd95_cup", "cup_to_disc_error"):
        assert found.values[name] == left_out.values[name]
    assert found.values["dice_disc"] == _measure(truth, _discs(1)).values["dice_disc"]


def test_a_source_of_discs_alone_has_their_dice_and_leaves_the_parts_to_the_other_images():
    full = [_measure(_discs(n), _discs(), f"f{n}.png", "full") for n in range(4)]
    discs = [_measure(_disc_only(_discs(5 + n)), _discs(), f"d{n}.png", "discs") for n in range(4)]
    together, alone = summarise([*discs, *full]), summarise(full)
    assert together["dice_disc"].images == 8
    assert together["quality_error_disc"].images == 8
    for name in ("dice_rim", "dice_cup", "cup_to_disc_error", "mean_dice", "quality_error_rim"):
        assert (together[name].value, together[name].images) == (alone[name].value, 4), name
    by_source = {name: summarise(found) for name, found in measures_by_source([*discs, *full]).items()}
    found = by_source["discs"]
    assert found["dice_disc"].value == pytest.approx(np.mean([m.values["dice_disc"] for m in discs]))
    assert all(found[name].value is None for name in ("dice_rim", "cup_to_disc_error", "mean_dice"))


def test_fits_of_whole_masks_take_the_disc_and_not_its_parts():
    maps = {"mask_probability": 0.05 + 0.85 * np.eye(3)[_discs()]}
    whole, part = mask_case(maps, None, _discs(2), CARD), mask_case(maps, None, _disc_only(_discs(2)), CARD)
    assert part.areas["disc"] == whole.areas["disc"]
    assert part.dice["disc"] == whole.dice["disc"]
    assert part.expected["disc"] == whole.expected["disc"]
    assert part.expected["rim"] is part.expected["cup"] is part.ratios[1] is None


def test_validation_leaves_such_pixels_out():
    truth = np.stack([_discs(), _disc_only(_discs())])
    dice = _image_dice(truth, np.stack([_discs(), _discs()]), 3)
    np.testing.assert_array_equal(dice, [[1, 1], [np.nan, np.nan]])


@pytest.fixture
def partly_known(phantoms, tmp_path):
    """The phantoms; in every second mask the disc is not told apart."""
    folder = shutil.copytree(phantoms.root, tmp_path / "partly")
    for row in phantoms.rows[::2]:
        cv2.imwrite(str(folder / row.mask), _disc_only(read_mask(folder / row.mask)))
    return PreparedDataset.open(folder)


def test_check_counts_such_pixels_apart(partly_known):
    report = check_dataset(partly_known)
    assert report.problems == []
    assert sum(report.pixel_share.values()) == pytest.approx(1)
    (note,) = report.notes
    assert "% of the masked pixels are 254, one of the foreground classes, and which is not known" in note
    wrong = read_mask(partly_known.root / partly_known.rows[0].mask)
    wrong[0, 0] = ANY_REGION_PIXEL - 1
    cv2.imwrite(str(partly_known.root / partly_known.rows[0].mask), wrong)
    (problem,) = check_dataset(partly_known).problems
    assert problem.endswith(
        "found pixel value 253, expected class indices 0 to 2, 254 for any region, or 255 for not known"
    )


def test_reading_resizing_and_augmentation_keep_such_pixels(partly_known):
    examples = load_examples(partly_known, "train", (48, 48))
    assert set(np.unique(examples.masks)) == {0, 1, 2, ANY_REGION_PIXEL}
    strong = AugmentationSpec(rotation=30, zoom=0.3, stretch=0.2, translation=0.2, noise=0.1)
    (batch,) = training_batches(examples, np.arange(16), 16, Augmentation(strong, seed=0))
    assert set(np.unique(batch["mask"])) <= {0, 1, 2, ANY_REGION_PIXEL}
    assert (batch["mask"].numpy() == ANY_REGION_PIXEL).any()


def test_the_confidence_of_pixels_is_fitted_without_them(partly_known):
    examples = load_examples(partly_known, "val", (48, 48))
    indices = [i for i in range(len(examples)) if (examples.masks[i] == ANY_REGION_PIXEL).any()]
    assert indices
    for index in indices:
        pixels = _pixels(examples, index, 48 * 48, np.random.default_rng(0))
        assert set(examples.masks[index].ravel()[pixels]) == {0}
        assert len(pixels) == (examples.masks[index] == 0).sum()


def test_preview_draws_such_areas_in_white(partly_known, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[10:30, 10:30], mask[40:60, 40:60] = ANY_REGION_PIXEL, UNKNOWN_PIXEL
    drawn = draw_outlines(np.zeros((64, 64, 3), np.uint8), mask)
    assert tuple(drawn[10, 20]) == ANY_REGION_COLOUR != UNKNOWN_COLOUR == tuple(drawn[40, 50])
    assert preview(partly_known, tmp_path / "sheet.png", AugmentationSpec(), 64, 4, 0).stat().st_size > 10_000


def test_as_many_classes_as_would_reach_the_reserved_values_are_refused_in_one_line(phantoms, tmp_path):
    names = ["background", *(f"c{n}" for n in range(1, ANY_REGION_PIXEL))]
    path = tmp_path / "dataset.yaml"
    content = yaml.safe_load((phantoms.root / "dataset.yaml").read_text()) | {"unions": {}}
    path.write_text(yaml.safe_dump(content | {"pixel_classes": names}))
    (tmp_path / "manifest.csv").write_text((phantoms.root / "manifest.csv").read_text())
    with pytest.raises(UmlError) as refused:
        PreparedDataset.open(tmp_path)
    assert str(refused.value) == f"{path}: pixel_classes: found 254 entries, expected at most 253"
    path.write_text(yaml.safe_dump(content | {"pixel_classes": names[:MOST_CLASSES]}))
    assert len(PreparedDataset.open(tmp_path).info.pixel_classes) == 253
    text = ",".join(f"{n}={name}" for n, name in enumerate(names))
    with pytest.raises(UmlError, match="pixel classes: found 254 with the background, expected at most 253"):
        PixelValues.parse(text)


def test_a_network_trains_on_such_masks(partly_known):
    import keras

    from uml_tf.networks import UML, preset
    from uml_tf.training.averaging import WeightAverage
    from uml_tf.training.step import StepSpec, TrainStep

    keras.utils.set_random_seed(0)
    model = UML(preset("edge"), 2, 3, (32, 32))
    spec = replace(LossSpec(), skip_absent=True, fused_mask=True)
    average = WeightAverage(model.variables, 0.9)
    step = TrainStep(model, keras.optimizers.Adam(1e-3), spec, StepSpec(), average)
    examples = load_examples(partly_known, "train", (32, 32))
    for batch in training_batches(examples, np.arange(16), 8, None):
        assert all(np.isfinite(float(value)) for value in step(batch, 0).values())
