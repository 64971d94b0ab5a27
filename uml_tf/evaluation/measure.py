"""What is measured on one image: the row of numbers that every metric of a split is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.data.dataset import DatasetInfo
from uml_tf.metrics.calibration import calibration_histogram
from uml_tf.metrics.overlap import dice, false_positive_area, intersection_over_union
from uml_tf.metrics.surface import surface_distances
from uml_tf.metrics.uncertainty import overlap_counts
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.images import at_original_size
from uml_tf.runtime.regions import region_members

REGION_METRICS = ("dice", "iou", "assd", "hd95", "false_positive_area")


@dataclass(frozen=True)
class ImageMeasure:
    """One image, measured at its original size.

    Attributes:
        image: path in the manifest.
        label: class index, -1 without a label.
        probability: ``(K,)`` class probability.
        class_uncertainty: in (0, 1].
        mask_uncertainty: mean over the pixels, in (0, 1].
        regions: region -> metric -> number, nan where undefined; empty without a mask.
        calibration: ``(BINS, 3)`` pixel calibration histogram, or None without a mask.
        overlap: ``(T, 3)`` uncertainty-error counts, or None without a mask.
        cup_to_disc: (true, predicted) vertical ratio, None where there is none.
    """

    image: str
    label: int
    probability: NDArray[Any]
    class_uncertainty: float
    mask_uncertainty: float
    regions: dict[str, dict[str, float]]
    calibration: NDArray[Any] | None = None
    overlap: NDArray[Any] | None = None
    cup_to_disc: tuple[float, float] | None = None


def _measure_region(
    truth: NDArray[Any], predicted: NDArray[Any], spacing: tuple[float, float] | None
) -> dict[str, float]:
    surface = surface_distances(truth, predicted, spacing)
    values = (
        dice(truth, predicted),
        intersection_over_union(truth, predicted),
        surface.assd,
        surface.hd95,
        false_positive_area(truth, predicted),
    )
    return dict(zip(REGION_METRICS, values, strict=True))


def measure_image(
    name: str, label: int, answers: dict[str, NDArray[Any]], mask: NDArray[Any] | None, info: DatasetInfo
) -> ImageMeasure:
    """Measures one image.

    Args:
        name: path in the manifest.
        label: class index or -1.
        answers: the contract's arrays of this image, without the batch axis.
        mask: ``(H, W)`` true class indices at original size, or None.
        info: the data set's classes, unions and spacing.
    """
    measure: dict[str, Any] = {
        "image": name,
        "label": label,
        "probability": answers["class_probability"].astype(np.float64),
        "class_uncertainty": float(answers["class_uncertainty"][0]),
        "mask_uncertainty": float(answers["mask_uncertainty"].mean()),
    }
    if mask is None:
        return ImageMeasure(**measure, regions={})
    probability = at_original_size(answers["mask_probability"], mask.shape)
    uncertainty = at_original_size(answers["mask_uncertainty"], mask.shape)[..., 0]
    predicted = probability.argmax(axis=-1)
    correct = predicted == mask
    regions = {
        region: _measure_region(np.isin(mask, members), np.isin(predicted, members), info.spacing)
        for region, members in region_members(info.pixel_classes, info.unions).items()
    }
    ratios = [vertical_cup_to_disc_ratio(m, info.pixel_classes) for m in (mask, predicted)]
    return ImageMeasure(
        **measure,
        regions=regions,
        calibration=calibration_histogram(probability.max(axis=-1), correct),
        overlap=overlap_counts(uncertainty, ~correct),
        cup_to_disc=None if None in ratios else (ratios[0], ratios[1]),  # type: ignore[arg-type]
    )
