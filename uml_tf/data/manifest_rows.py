"""From the cases of a raw data set to the lines of the manifest: their subjects and their splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uml_tf.data.converter import ConvertOptions
from uml_tf.data.dataset import SPLITS, Row
from uml_tf.data.near_duplicates import NearPairs, Signature, linked_groups, near_duplicates
from uml_tf.data.splits import stratified_group_split
from uml_tf.runtime.errors import UmlError


@dataclass(frozen=True)
class KnownCase:
    """What remains to be known of a case whose files were read.

    Attributes:
        image, mask, agreement: paths in the prepared folder, "" for none.
        label, grades, subject, group, split, vertical_cup_to_disc_ratio: as in ``Case``.
        signature: of the image; None where near-duplicates are not looked for.
        spacing: of the manifest's row.
        more: likewise.
    """

    image: str
    mask: str
    agreement: str
    vertical_cup_to_disc_ratio: str
    label: str
    subject: str
    group: str
    split: str
    signature: Signature | None
    spacing: str = ""
    grades: str = ""
    more: tuple[tuple[str, str], ...] = ()


def _subjects(cases: Sequence[KnownCase], distance: int | None) -> list[str]:
    """The subject of each case: the known one, or "group_N" for images that are linked otherwise, or by
    nothing. Images on different published splits are not linked.

    Args:
        cases: the cases.
        distance: of near-duplicates, in bits; None to link none.
    """
    known = [case.subject for case in cases]
    splits = np.array([case.split for case in cases])
    pairs = None
    if distance is not None:
        signatures = [case.signature for case in cases if case.signature is not None]
        pairs = near_duplicates(signatures, distance)
        same = splits[pairs.first] == splits[pairs.second]
        pairs = NearPairs(pairs.first[same], pairs.second[same], pairs.distance[same])
    copies = [case.group and f"{case.split}/{case.group}" for case in cases]
    groups = linked_groups(len(cases), pairs, known, copies)
    inside: dict[int, set[str]] = defaultdict(set)
    for group, subject in zip(groups, known, strict=True):
        inside[group].add(subject)
    names = {
        group: next(iter(subjects)) if len(subjects) == 1 and "" not in subjects else f"group_{group:04d}"
        for group, subjects in inside.items()
    }
    return [names[group] for group in groups]


def _check_published(cases: Sequence[KnownCase]) -> None:
    """Refuses published splits that divide a subject."""
    first: dict[str, KnownCase] = {}
    for case in cases:
        other = first.setdefault(case.subject, case)
        if case.subject and other.split != case.split:
            raise UmlError(
                f"subject '{case.subject}': found {other.image} on {other.split} and {case.image} on "
                f"{case.split}, expected all images of a subject on one split; split anew instead"
            )


def _draw_validation(
    strata: list[str], subjects: list[str], published: list[str], options: ConvertOptions
) -> list[str]:
    """Published splits without a validation split, with one that is drawn from the training images."""
    train = [index for index, split in enumerate(published) if split == "train"]
    share = options.split[1] / max(options.split[0] + options.split[1], 1e-9)
    drawn = stratified_group_split(
        [strata[index] for index in train],
        [subjects[index] for index in train],
        (1 - share, share, 0.0),
        options.seed,
    )
    splits = list(published)
    for index, split in zip(train, drawn, strict=True):
        splits[index] = split
    return splits


def manifest_rows(cases: Sequence[KnownCase], options: ConvertOptions, distance: int | None) -> list[Row]:
    """The manifest's lines.

    Every split has its share of every label, with and without masks. Splits that the source publishes are
    kept; where it publishes none for validation, that is drawn from the training images.

    Args:
        cases: at least one; all of them, or none, have a published split.
        options: seed and shares of the splits.
        distance: of near-duplicates, in bits; None to link none.

    Raises:
        UmlError: published splits divide a subject.
    """
    published = [case.split for case in cases]
    _check_published(cases)
    subjects = _subjects(cases, distance)
    strata = [f"{case.label} {'mask' if case.mask else 'label only'}" for case in cases]
    if not all(published):
        assert not any(published), "some cases have a published split, and others have none"
        splits = stratified_group_split(strata, subjects, options.split, options.seed)
    elif SPLITS[1] not in published and SPLITS[0] in published:
        splits = _draw_validation(strata, subjects, published, options)
    else:
        splits = published
    return [
        Row(
            case.image,
            case.mask,
            case.label,
            split,
            subject,
            agreement=case.agreement,
            grades=case.grades,
            spacing=case.spacing,
            vertical_cup_to_disc_ratio=case.vertical_cup_to_disc_ratio,
            more=case.more,
        )
        for case, split, subject in zip(cases, splits, subjects, strict=True)
    ]
