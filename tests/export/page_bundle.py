"""Bundles with a page, of a network that finds regions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lenient import ANY_FILE

from uml_tf.export.bundle import write_bundle, write_manifest
from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.export.convert import convert
from uml_tf.export.kinds import KINDS
from uml_tf.runtime.images import read_image, resize_antialiased
from uml_tf.runtime.intervals import RATIO, Interval
from uml_tf.runtime.mask_quality import DiceFit
from uml_tf.runtime.referral import FAMILIAR
from uml_tf.tracking.models import load_trained

MASK_QUALITY = {
    "rim": DiceFit(0.4, 0.1, 40, 4.0),
    "cup": DiceFit(0.9, 0.1, 40),
    "disc": DiceFit(1.2, 0.1, 40, 2.5),
}
"""Of evidence, at two scales, and of probabilities."""
INTERVALS = {
    "area_cup": Interval(1.5, 40),
    "area_disc": Interval(None, 5),  # too few images
    RATIO: Interval(0.6, 40),
}
"""More than the small data set of a test can show."""


def _between(values, share):
    """A threshold that this share of the values lies below, half-way between two of them."""
    values = sorted(values)
    place = round(len(values) * share)
    return float(values[place - 1] + values[place]) / 2


def _with_thresholds(card, model, images):
    """The card with thresholds at which the images get all three decisions, and with mask quality."""
    seen = [resize_antialiased(read_image(path), model.image_size) for path in images]
    outputs = [model(image[None]) for image in seen]
    gradable = [one for one in outputs if one["familiarity"][0, 0] >= FAMILIAR]
    assert 1 < len(gradable) < len(outputs)
    confidence = [float(one["class_confidence"][0, 0]) for one in gradable]
    return replace(
        card, accept_above=_between(confidence, 0.5), mask_quality=MASK_QUALITY, intervals=INTERVALS
    )


def write_page_bundle(folder: Path, kind: str, trained: Path, data, images: list[Path]) -> None:
    """Exports a trained network with its page, with thresholds that tell the images apart."""
    network, card = load_trained(str(trained))
    calibration = read_calibration(calibration_files(data, 30), network.image_size)
    metadata, converted = convert(network, KINDS[f"tflite-{kind}"], calibration, tolerance=ANY_FILE)
    (file,) = converted.files
    model = folder / file.name
    model.write_bytes(file.pack(metadata))
    metadata = replace(metadata, card=_with_thresholds(card, file.open(model), images))
    model.write_bytes(file.pack(metadata))
    write_bundle(folder, metadata, images[0], web=True)
    write_manifest(folder)
