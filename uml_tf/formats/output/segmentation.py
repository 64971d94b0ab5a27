"""DICOM segmentations of a prediction: its mask, binary, and the doubt about its pixels, fractional."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.formats.extra import imported
from uml_tf.formats.output.codes import category_code, class_code, concept, private
from uml_tf.formats.output.result import MANUFACTURER, ModelName, Result, header_copy
from uml_tf.runtime.version import VERSION

Array = NDArray[Any]

LARGEST_FRACTION = 255
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def _algorithm(model: ModelName) -> Any:
    hd = imported("highdicom", "--dicom")
    family = concept("123109", "DCM", "Artificial Intelligence")
    return hd.AlgorithmIdentificationSequence(
        name=model.name, family=family, version=model.version, parameters={"sha256": model.sha256}
    )


def _stand_in(result: Result) -> Any:
    """The source as highdicom takes it: what lies nowhere in a patient passes for a secondary capture."""
    if result.is_placed:
        return result.source
    source = header_copy(result.source)
    source.SOPClassUID = _SECONDARY_CAPTURE
    if "SliceThickness" not in source and "PixelSpacing" in source:
        del source.PixelSpacing  # highdicom would write it without a thickness, and then not read it
    return source


def _in_its_frame(pixels: Array, result: Result) -> Array:
    """``(H, W, S)`` of one frame as the array of all frames that highdicom knows, ``(N, H, W, S)``."""
    if not result.is_placed:
        return pixels[None]
    frames = np.zeros((result.frames, *pixels.shape), pixels.dtype)
    frames[result.frame - 1] = pixels
    return frames


def _segmentation(
    result: Result, pixels: Array, kind: str, segments: list[Any], words: str, number: int
) -> Any:
    hd = imported("highdicom", "--dicom")
    caution = f" ({result.caution})" if result.caution else ""
    made = hd.seg.Segmentation(
        source_images=[_stand_in(result)],
        pixel_array=_in_its_frame(pixels, result),
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=number,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=result.model.name,
        software_versions=VERSION,
        device_serial_number=result.model.sha256[:16],
        fractional_type="PROBABILITY",
        max_fractional_value=LARGEST_FRACTION,
        content_label="NOT_ACCEPTED" if result.caution else "UML_TF",
        content_description=f"{words}{caution}"[:64],
        series_description=f"uml-tf: {words}{caution}"[:64],
        omit_empty_frames=result.is_placed and result.frames > 1,
    )
    if not result.is_placed:
        made.PatientOrientation = result.source.get("PatientOrientation", "")
        _name_frame(made, result)
    return made


def _name_frame(made: Any, result: Result) -> None:
    """Names the source's kind and frame, of which highdicom was told nothing."""

    def name(dataset: Any, element: Any) -> None:
        if element.keyword == "ReferencedSOPInstanceUID" and element.value == result.source.SOPInstanceUID:
            dataset.ReferencedSOPClassUID = result.source.SOPClassUID

    made.walk(name)
    if result.frames == 1:
        return
    for group in made.PerFrameFunctionalGroupsSequence:
        for derivation in group.get("DerivationImageSequence", ()):
            for source in derivation.SourceImageSequence:
                source.ReferencedFrameNumber = result.frame


def mask_segmentation(result: Result) -> Any:
    """The mask as a BINARY segmentation, a segment for each foreground class, in their order.

    Args:
        result: of one picture.
    """
    hd = imported("highdicom", "--dicom")
    names = result.card.pixel_classes[1:]
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=f"{name} ({result.caution})" if result.caution else name,
            segmented_property_category=category_code(name),
            segmented_property_type=class_code(name),
            algorithm_type="AUTOMATIC",
            algorithm_identification=_algorithm(result.model),
            tracking_uid=hd.UID(),
            tracking_id=f"{name} {result.frame}",
        )
        for number, name in enumerate(names, start=1)
    ]
    mask = np.stack([result.prediction.mask == number for number in range(1, len(names) + 1)], axis=-1)
    return _segmentation(result, mask.astype(np.uint8), "BINARY", segments, "mask", 901)


def doubt_segmentation(result: Result) -> Any:
    """Doubt about the mask's pixels, 1 less their confidence, as a FRACTIONAL segmentation (PROBABILITY)."""
    hd = imported("highdicom", "--dicom")
    words = "doubt about the mask"
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=f"{words} ({result.caution})" if result.caution else words,
        segmented_property_category=concept("309825002", "SCT", "Spatial and Relational Concept"),
        segmented_property_type=private("pixel-doubt", "Doubt about the class of the pixel"),
        algorithm_type="AUTOMATIC",
        algorithm_identification=_algorithm(result.model),
    )
    doubt = np.clip(1 - result.prediction.mask_confidence, 0, 1)[..., None]
    return _segmentation(result, doubt.astype(np.float32), "FRACTIONAL", [segment], words, 902)
