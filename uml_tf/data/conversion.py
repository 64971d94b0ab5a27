"""The part that all converters share: check the cases, group, split and write them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from uml_tf.data.converter import Case, Converter, ConvertOptions, RawDataset, RawOptions
from uml_tf.data.dataset import DatasetInfo, PreparedDataset, Row, write_dataset
from uml_tf.data.masks import check_mask, read_mask
from uml_tf.data.near_duplicates import difference_hash, linked_groups, near_pairs
from uml_tf.data.splits import stratified_group_split
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder, read_bytes
from uml_tf.runtime.image_header import read_header
from uml_tf.runtime.images import Array, decode_image, encode_png, write_png

Stage = Callable[[str, int], Callable[[int], None]]
"""Begins a stage of so many steps; returns a callable that takes the number of steps done."""

_SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WebP": ".webp"}


@dataclass(frozen=True)
class _Loaded:
    """A case whose files are read and checked."""

    case: Case
    content: bytes
    image: Array
    mask: Array | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Written:
    """What remains to be known of a case whose files are in the prepared folder: its split is still open."""

    image: str
    mask: str
    label: str
    subject: str
    group: str
    hash: Array


def _load(raw: RawDataset, item: object) -> _Loaded:
    """Reads one case.

    Raises:
        UmlError: the case as a whole does not fit; a mask that does not fit is a problem of the case.
    """
    try:
        case = raw.read(item)
    except OSError as error:
        raise UmlError(f"{error.filename or item}: cannot be read ({error.strerror or error})") from error
    source = case.source or str(case.image if isinstance(case.image, Path) else case.name)
    if isinstance(case.image, Path):
        content = read_bytes(case.image)
    else:
        content = case.image if isinstance(case.image, bytes) else encode_png(case.image)
    image = decode_image(content, source)
    if case.label and case.label not in raw.info.image_classes:
        known = ", ".join(raw.info.image_classes)
        raise UmlError(f"{source}: label: found '{case.label}', expected one of {known}")
    mask, problems = _load_mask(case, image, raw.info, source)
    if mask is None and not case.label:
        reason = (
            problems[-1] if problems else f"{source}: found neither label nor mask, expected at least one"
        )
        raise UmlError(reason)
    return _Loaded(case, content, image, mask, problems)


def _load_mask(
    case: Case, image: Array, info: DatasetInfo, source: str
) -> tuple[Array | None, tuple[str, ...]]:
    """The mask, or None where there is none that fits; and the problems of the case."""
    if case.mask is None:
        return None, case.problems
    name = str(case.mask) if isinstance(case.mask, Path) else f"{source}: mask"
    try:
        mask = read_mask(case.mask) if isinstance(case.mask, Path) else case.mask
        check_mask(mask, image.shape[:2], len(info.pixel_classes), name, Path(source).name)
    except UmlError as error:
        return None, (*case.problems, str(error))
    return mask.astype(np.uint8), case.problems


def _file_name(name: str, taken: set[str]) -> str:
    """A name that every file system takes, and that no other case has."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "image"
    free, number = plain, 1
    while free.lower() in taken:
        number += 1
        free = f"{plain}_{number}"
    taken.add(free.lower())
    return free


def _write(folder: Path, loaded: _Loaded, taken: set[str]) -> _Written:
    case = loaded.case
    name = _file_name(case.name, taken)
    header = read_header(loaded.content)
    assert header is not None, "it was decoded before"
    image, mask = f"images/{name}{_SUFFIX[header.format]}", ""
    (folder / image).write_bytes(loaded.content)
    if loaded.mask is not None:
        mask = f"masks/{name}.png"
        write_png(folder / mask, loaded.mask)
    return _Written(image, mask, case.label, case.subject, case.group, difference_hash(loaded.image))


def _subjects(written: list[_Written], distance: int | None) -> list[str]:
    """The subject of each case: the known one, or "group_N" for images that are linked otherwise, or by
    nothing.

    Args:
        written: the cases.
        distance: of near-duplicates, in bits; None to link none.
    """
    known = [w.subject for w in written]
    pairs = None if distance is None else near_pairs([w.hash for w in written], distance)
    groups = linked_groups(len(written), pairs, known, [w.group for w in written])
    inside: dict[int, set[str]] = defaultdict(set)
    for group, subject in zip(groups, known, strict=True):
        inside[group].add(subject)
    names = {
        group: next(iter(subjects)) if len(subjects) == 1 and "" not in subjects else f"group_{group:04d}"
        for group, subjects in inside.items()
    }
    return [names[group] for group in groups]


def _rows(written: list[_Written], options: ConvertOptions, distance: int | None) -> list[Row]:
    """The manifest's lines: every split has its share of every label, with and without masks."""
    subjects = _subjects(written, distance)
    strata = [f"{w.label} {'mask' if w.mask else 'label only'}" for w in written]
    splits = stratified_group_split(strata, subjects, options.split, options.seed)
    return [
        Row(w.image, w.mask, w.label, split, subject)
        for w, split, subject in zip(written, splits, subjects, strict=True)
    ]


def convert(
    converter: Converter,
    raw: Path | None,
    out: Path,
    options: ConvertOptions,
    stage: Stage = lambda name, total: lambda done: None,
) -> tuple[PreparedDataset, list[str]]:
    """Writes the prepared form of a raw data set, as a whole or not at all.

    Args:
        converter: one of ``CONVERTERS``.
        raw: the raw folder; None for a converter that takes none.
        out: the new folder.
        options: of the converter's own model.
        stage: begins the progress display.

    Returns:
        The data set, and a line for each file that was left out.

    Raises:
        UmlError: the raw folder is not of the format, holds nothing that fits, or (``strict``) anything that
            does not fit; or ``out`` exists or cannot be written.
    """
    # A converter without a raw folder draws its images: what does not fit there is a fault, not a damaged
    # file.
    strict = options.strict if isinstance(options, RawOptions) else True
    distance = options.near_duplicate_distance if isinstance(options, RawOptions) else None
    found = converter.find(raw, options)
    done = stage(converter.stage, len(found.items))
    problems: list[str] = []

    def leave_out(line: str) -> None:
        if strict:
            raise UmlError(line)
        problems.append(f"{line}; left out")

    with new_folder(out) as folder:
        (folder / "images").mkdir()
        written: list[_Written] = []
        taken: set[str] = set()
        for number, item in enumerate(found.items, start=1):
            try:
                loaded = _load(found, item)
            except UmlError as error:
                leave_out(str(error))
            else:
                for problem in loaded.problems:
                    leave_out(problem)
                written.append(_write(folder, loaded, taken))
            done(number)
        if not written:
            raise UmlError(f"{raw}: none of {len(found.items)} images fits; the first: {problems[0]}")
        write_dataset(folder, found.info, _rows(written, options, distance))
    return PreparedDataset.open(out), problems
