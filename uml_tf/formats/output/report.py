"""A prediction as a DICOM structured report, Measurement Report (TID 1500).

What is not accepted is no finding: then the report has no Finding (121071, DCM), says so in every group, and
of an image that the model cannot grade it holds nothing but that.
"""

from __future__ import annotations

from typing import Any

from uml_tf.formats.extra import imported
from uml_tf.formats.output.codes import class_code, concept, private
from uml_tf.formats.output.result import MANUFACTURER, ModelName, Result
from uml_tf.runtime.intervals import LEVEL, RATIO, area_name
from uml_tf.runtime.outline_words import WORDS, outline_level

_DECISIONS = {
    "accept": "Accepted",
    "refer": "Not accepted: to be read by a specialist",
    "ungradable": "Not accepted: image cannot be graded",
}
_PIXELS = ("{pixels}", "UCUM", "pixels")
_SQUARE_MM = ("mm2", "UCUM", "square millimeter")
_NO_UNIT = ("1", "UCUM", "no units")
_WHOLE_PERCENT = f"{LEVEL:.0%}"


def _measurement(name: Any, value: float, unit: tuple[str, str, str]) -> Any:
    hd = imported("highdicom", "--dicom")
    return hd.sr.Measurement(name=name, value=round(float(value), 6), unit=concept(*unit))


def _decision(result: Result) -> Any:
    hd = imported("highdicom", "--dicom")
    action = result.prediction.decision.action
    name = private("decision", "Decision about the answer of the algorithm")
    return hd.sr.QualitativeEvaluation(name, private(action, _DECISIONS[action]))


def _algorithm(model: ModelName) -> Any:
    hd = imported("highdicom", "--dicom")
    return hd.sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[f"SHA-256 of the model: {model.sha256}"],
        manufacturer=MANUFACTURER,
    )


def _tracking(words: str, result: Result) -> Any:
    hd = imported("highdicom", "--dicom")
    caution = f" ({result.caution})" if result.caution else ""
    return hd.sr.TrackingIdentifier(uid=hd.UID(), identifier=f"{words}{caution}")


def _of_image(result: Result) -> Any:
    """Class, probabilities, confidence and decision, of the image as a whole."""
    hd = imported("highdicom", "--dicom")
    found = result.prediction
    measured = [
        _measurement(private("familiarity", "How like the training images"), found.familiarity, _NO_UNIT)
    ]
    if found.decision.action != "ungradable":
        for number, (name, value) in enumerate(found.class_probability.items(), start=1):
            coded = private(f"probability-{number}", f"Probability of {name}")
            measured.append(_measurement(coded, value, _NO_UNIT))
        uncertainty = private("vacuity", "Class uncertainty: lack of evidence, 0 to 1")
        measured.append(_measurement(uncertainty, found.class_uncertainty, _NO_UNIT))
        certainty = private("confidence", "Confidence in the most probable class, 0 to 1")
        measured.append(_measurement(certainty, found.class_confidence, _NO_UNIT))
        measured += _ratio(result)
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking("image", result),
        finding_type=class_code(found.class_name) if result.is_accepted else None,
        algorithm_id=_algorithm(result.model),
        measurements=measured,
        qualitative_evaluations=[_decision(result)],
        source_images=[_source(hd.sr.SourceImageForMeasurementGroup, result)],
    )


def _source(kind: Any, result: Result) -> Any:
    frames = [result.frame] if result.frames > 1 else None
    return kind(result.source.SOPClassUID, result.source.SOPInstanceUID, frames)


def _ratio(result: Result) -> list[Any]:
    """The vertical cup-to-disc ratio with its interval."""
    found = result.prediction
    if found.cup_to_disc is None:
        return []
    measured = [_measurement(private("vcdr", "Vertical cup-to-disc ratio"), found.cup_to_disc, _NO_UNIT)]
    return measured + _ends("vcdr", "Vertical cup-to-disc ratio", found.intervals.get(RATIO), 1, _NO_UNIT)


def _ends(code: str, words: str, bounds: Any, scale: float, unit: tuple[str, str, str]) -> list[Any]:
    """Both ends of an interval, where there is one."""
    if bounds is None:
        return []
    return [
        _measurement(
            private(f"{code}-{end}", f"{words}, {end} end of {_WHOLE_PERCENT} interval"), value * scale, unit
        )
        for end, value in zip(("lower", "upper"), bounds, strict=True)
    ]


def _areas(name: str, result: Result) -> list[Any]:
    """Area of a region, in mm2 where the size of a pixel is known, with its interval."""
    found = result.prediction
    scale, unit = 1.0, _PIXELS
    if found.spacing is not None:
        scale, unit = found.spacing[0] * found.spacing[1], _SQUARE_MM
    measured = [_measurement(concept("42798000", "SCT", "Area"), found.regions[name].area * scale, unit)]
    return measured + _ends("area", "Area", found.intervals.get(area_name(name)), scale, unit)


def _estimated_dice(name: str, result: Result) -> list[Any]:
    """The Dice that the outline of a region is estimated to get, where it is estimated."""
    dice = result.prediction.mask_quality.get(name)
    if dice is None:
        return []
    return [_measurement(private("estimated-dice", "Estimated Dice of the outline, 0 to 1"), dice, _NO_UNIT)]


def _outline(name: str, result: Result) -> list[Any]:
    """How good the outline of a region is, in words; nothing of a model that estimates no Dice."""
    quality = result.prediction.mask_quality
    if not quality:
        return []
    hd, level = imported("highdicom", "--dicom"), outline_level(quality, name)
    found = private(f"mask-{level}", WORDS[level])
    return [hd.sr.QualitativeEvaluation(private("mask-quality", "Outline"), found)]


def _of_region(name: str, result: Result, mask: Any) -> Any:
    """Measurements of one region; of a pixel class they refer to its segment."""
    hd = imported("highdicom", "--dicom")
    shared = {
        "tracking_identifier": _tracking(name, result),
        "finding_type": class_code(name) if result.is_accepted else None,
        "algorithm_id": _algorithm(result.model),
        "measurements": [*_areas(name, result), *_estimated_dice(name, result)],
        "qualitative_evaluations": [_decision(result), *_outline(name, result)],
    }
    names = result.card.pixel_classes
    if name in names:
        segment = _segment(names.index(name), result, mask)
        return hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(referenced_segment=segment, **shared)
    source = _source(hd.sr.SourceImageForMeasurementGroup, result)
    return hd.sr.MeasurementsAndQualitativeEvaluations(source_images=[source], **shared)


def _segment(number: int, result: Result, mask: Any) -> Any:
    """The reference to a segment of the mask, and to the source's frame."""
    hd = imported("highdicom", "--dicom")
    frames = [
        place
        for place, group in enumerate(mask.PerFrameFunctionalGroupsSequence, start=1)
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
    ]
    source = _source(hd.sr.SourceImageForSegmentation, result)
    made = hd.sr.ReferencedSegmentationFrame(
        mask.SOPClassUID, mask.SOPInstanceUID, frames, number, source_image=source
    )
    # The frame says it already, and PS3.3, table 10-3, allows one of the two.
    del made[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
    return made


def report(result: Result, mask: Any | None) -> Any:
    """The structured report of a prediction.

    Args:
        result: of one picture.
        mask: its mask as a segmentation; None for an image that cannot be graded.
    """
    hd = imported("highdicom", "--dicom")
    observer = hd.sr.ObserverContext(
        observer_type=concept("121007", "DCM", "Device"),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=hd.UID(), manufacturer_name=MANUFACTURER, model_name=result.model.name
        ),
    )
    groups = [_of_image(result)]
    if mask is not None:
        present = [name for name, region in result.prediction.regions.items() if region.area]
        groups += [_of_region(name, result, mask) for name in present]
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=concept("110003", "DCM", "Computer Aided Diagnosis"),
        imaging_measurements=groups,
        title=concept("126000", "DCM", "Imaging Measurement Report"),
        referenced_images=[result.source],
    )
    caution = f" ({result.caution})" if result.caution else ""
    return hd.sr.Comprehensive3DSR(
        evidence=[result.source] if mask is None else [result.source, mask],
        content=content,
        series_instance_uid=hd.UID(),
        series_number=903,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description=f"uml-tf: report{caution}"[:64],
    )
