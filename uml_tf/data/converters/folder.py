"""Converter of any folder: images, labels and masks as a hospital or a data set happens to have them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from uml_tf.data.converter import CONVERTERS, Case, Converter, RawDataset
from uml_tf.data.dataset import DatasetInfo
from uml_tf.data.raw.coco import CocoMasks, read_coco
from uml_tf.data.raw.file_patterns import find_images, owners
from uml_tf.data.raw.folder_facts import existing_file, find_facts
from uml_tf.data.raw.folder_options import FolderOptions
from uml_tf.data.raw.mask_files import FOREGROUND, MaskFiles
from uml_tf.data.raw.values import LabelNames, PixelValues, pixel_classes
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array


def _image_classes(options: FolderOptions, labels: Sequence[str]) -> tuple[str, ...]:
    if options.classes is not None:
        classes = LabelNames.parse(options.classes).names
    else:
        classes = tuple(sorted({label for label in labels if label}))
    if len(classes) < 2:
        found = ", ".join(classes) or "none"
        raise UmlError(
            f"--classes: found {found}, expected at least two image classes: "
            "--labels from-folder or --labels FILE.csv, or named by --classes"
        )
    return classes


def _unions(text: str | None, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    unions: dict[str, tuple[str, ...]] = {}
    for part in (text or "").split(",") if text else ():
        region, equals, members = part.partition("=")
        names = tuple(member.strip() for member in members.split("+"))
        if not equals or not region.strip() or not set(names) <= set(classes):
            known = ", ".join(classes)
            raise UmlError(f"--unions: found '{part}', expected REGION=CLASS+CLASS of {known}")
        unions[region.strip()] = names
    return unions


def _without_masks(images: list[Path], masks: MaskFiles) -> tuple[list[Path], int]:
    """The images that are not masks of others, and the number of mask files.

    Raises:
        UmlError: no mask is found, the images are masks themselves, or a mask belongs to two images.
    """
    text = ", ".join(pattern.text for pattern in masks.patterns)
    found = owners(images, masks.patterns)
    if not found:
        example = masks.patterns[0].expand(images[0])
        raise UmlError(f"--masks: found no file for '{text}', e.g. {example} for {images[0]}")
    kept = [image for image in images if image not in found]
    if not kept:
        raise UmlError(f"--masks: found every image of --images as a mask by '{text}', expected other names")
    for mask, belongs in found.items():
        real = [image for image in belongs if image not in found]
        if len(real) > 1:
            raise UmlError(
                f"--masks: found {mask} for two images, {real[0].name} and {real[1].name}, "
                "expected it for one"
            )
    return kept, sum(any(image not in found for image in belongs) for belongs in found.values())


_MASK_ENDING = re.compile(r"[ _.-](?:\w*mask|seg|segmentation|gt|groundtruth|label)\w*", re.IGNORECASE)


def _refuse_masks_as_images(images: Sequence[Path]) -> None:
    """Refuses images that are called like the mask of another image in their folder.

    Raises:
        UmlError: there is one, with the options that say what it is.
    """
    stems = {(image.parent, image.stem): image for image in images}
    found = []
    for image in images:
        for ending in re.finditer(r"[ _.-]", image.stem):
            owner = stems.get((image.parent, image.stem[: ending.start()]))
            if owner is not None and _MASK_ENDING.fullmatch(image.stem[ending.start() :]):
                found.append((image, owner))
                break
    if found:
        image, owner = found[0]
        raise UmlError(
            f"{image}: found a name like that of a mask of {owner.name} ({len(found)} such files), expected "
            f"--masks '{{stem}}{image.stem[len(owner.stem) :]}*' (and --pixel-values for the classes of its "
            "pixels), or --images if they are images"
        )


def _find(raw: Path, options: FolderOptions) -> RawDataset:
    images = find_images(raw, options.images)
    values = None if options.pixel_values is None else PixelValues.parse(options.pixel_values)
    masks: MaskFiles | None = None
    coco: CocoMasks | None = None
    notes = []
    if options.masks is not None and options.coco is not None:
        raise UmlError("--coco: found it beside --masks, expected one of the two")
    if options.masks is not None:
        masks = MaskFiles.parse(options.masks, raw, values)
        images, count = _without_masks(images, masks)
        notes.append(f"{count} mask files belong to {len(images)} images")
    names = [image.relative_to(raw).as_posix() for image in images]
    if options.coco is not None:
        coco = read_coco(existing_file(options.coco, raw), names, values)
    facts = find_facts(options, raw, names)
    known = masks or coco
    if known is None and values is not None:
        raise UmlError("--pixel-values: found it without masks, expected --masks or --coco")
    pixels = known.values.classes if known is not None else pixel_classes([FOREGROUND])
    info = DatasetInfo(
        name=options.name or raw.resolve().name,
        image_classes=_image_classes(options, facts.labels),
        pixel_classes=pixels,
        spacing=options.spacing,
        source=options.source,
        licence=options.licence,
        unions=_unions(options.unions, pixels),
    )

    if known is None and options.images == type(options).model_fields["images"].default:
        _refuse_masks_as_images(images)
    stems = Counter(image.stem for image in images)

    def read(place: int) -> Case:
        if place in facts.problems:
            raise UmlError(facts.problems[place])
        image = images[place]
        size = options.reading().size(image) if masks or coco else (0, 0)
        mask, problems = _read_mask(image, place, size, masks, coco)
        return Case(
            image.stem if stems[image.stem] == 1 else str(Path(names[place]).with_suffix("")),
            image,
            facts.labels[place],
            mask,
            subject=facts.subjects[place],
            split=facts.splits[place],
            problems=tuple(problems),
            columns=facts.columns[place],
        )

    return RawDataset(info, range(len(images)), read, (*notes, *facts.notes))


def _read_mask(
    image: Path, place: int, size: tuple[int, int], masks: MaskFiles | None, coco: CocoMasks | None
) -> tuple[Array | None, list[str]]:
    if masks is not None:
        return masks.read(image, size)
    if coco is not None:
        return coco.read(place, size)
    return None, []


CONVERTERS.add(
    "folder",
    Converter(
        "Convert any folder RAW of images, with labels and masks as you have them, into OUT.",
        FolderOptions,
        _find,
    ),
)
