"""Classes of several data sets together: what the merged set has, and what a source knows of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from uml_tf.data.dataset import YAML_NAME, DatasetInfo, PreparedDataset
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.images import Array
from uml_tf.runtime.regions import ANY_REGION_PIXEL, UNKNOWN_PIXEL


def pixel_map(source: DatasetInfo, merged: DatasetInfo) -> Array:
    """Pixel value in a source's mask -> pixel value in the merged set's, ``(256,)`` uint8.

    A class of the same name stays itself. A class that is a union of the merged set is one of the union's
    classes, and which is not known: it becomes ``ANY_REGION_PIXEL`` if the union has all foreground classes
    (a disc, where they are rim and cup), else ``UNKNOWN_PIXEL``. Background, and the source's own
    ``ANY_REGION_PIXEL``, stay if the source marks every foreground class of the merged set, by itself or in a
    union; else they become ``UNKNOWN_PIXEL``, since there may be a class that the source does not mark.

    Args:
        source: of the source.
        merged: of the merged set, which has every pixel class of the source, or a union of its name.
    """
    lookup = np.full(256, UNKNOWN_PIXEL, np.uint8)
    regions = set(merged.pixel_classes[1:])
    marked: set[str] = set()
    for index, name in enumerate(source.pixel_classes[1:], start=1):
        if name in merged.pixel_classes:
            lookup[index] = merged.pixel_classes.index(name)
            marked.add(name)
        else:
            parts = set(merged.unions[name])
            marked |= parts
            if parts == regions:
                lookup[index] = ANY_REGION_PIXEL
    if marked >= regions:
        lookup[0], lookup[ANY_REGION_PIXEL] = 0, ANY_REGION_PIXEL
    return lookup


def merged_info(datasets: Sequence[PreparedDataset], name: str | None) -> DatasetInfo:
    """The content of the merged ``dataset.yaml``.

    Args:
        datasets: the sources, at least one.
        name: of the merged set, or None for the names of the sources.

    Raises:
        UmlError: image classes differ, no source has the pixel classes of all, unions differ, or
            intensities were mapped differently.
    """
    infos = [dataset.info for dataset in datasets]
    first = infos[0]
    for dataset in datasets[1:]:
        if set(dataset.info.image_classes) != set(first.image_classes):
            raise UmlError(
                f"{dataset.root / YAML_NAME}: image_classes: found {', '.join(dataset.info.image_classes)}, "
                f"expected {', '.join(first.image_classes)} as in {datasets[0].root}"
            )
    widest = max(infos, key=lambda info: len(info.pixel_classes))
    unions = _unions(datasets, widest)
    for dataset in datasets:
        for region in dataset.info.pixel_classes[1:]:
            if region not in widest.pixel_classes and region not in unions:
                known = ", ".join((*widest.pixel_classes[1:], *unions))
                raise UmlError(
                    f"{dataset.root / YAML_NAME}: pixel_classes: found '{region}', expected a class or union "
                    f"of the merged set: {known}"
                )
    mappings = {str(info.intensity): info.intensity for info in infos if info.intensity is not None}
    if len(mappings) > 1:
        raise UmlError(
            f"intensity: found {' and '.join(mappings)}, expected the same in all sources: "
            "convert them again with the same --window or --percentiles"
        )
    spacings = {info.spacing for info in infos}
    return DatasetInfo(
        name=name or " + ".join(dict.fromkeys(info.name for info in infos)),
        image_classes=first.image_classes,
        pixel_classes=widest.pixel_classes,
        spacing=first.spacing if len(spacings) == 1 else None,
        source="; ".join(dict.fromkeys(info.source for info in infos if info.source)),
        licence="; ".join(dict.fromkeys(info.licence for info in infos if info.licence)),
        unions=unions,
        intensity=next(iter(mappings.values()), None),
    )


def _unions(datasets: Sequence[PreparedDataset], widest: DatasetInfo) -> dict[str, tuple[str, ...]]:
    """The unions of all sources whose parts the merged set has."""
    unions: dict[str, tuple[str, ...]] = {}
    for dataset in datasets:
        for region, parts in dataset.info.unions.items():
            if not set(parts) <= set(widest.pixel_classes):
                continue
            if set(unions.setdefault(region, parts)) != set(parts):
                raise UmlError(
                    f"{dataset.root / YAML_NAME}: unions.{region}: found {', '.join(parts)}, "
                    f"expected {', '.join(unions[region])} as in another source"
                )
    return unions
