"""Tallies of devices against what the model was measured on: is it still used on what it was made for?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from uml_tf.evaluation.measure import ImageMeasure
from uml_tf.metrics.stability import Stability, control_limits, stability
from uml_tf.reports.words import percent
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.predictions_table import UNREADABLE
from uml_tf.runtime.tally import BINS, HISTOGRAMS, DayTally, bin_of, read_tally

WATCHED = ("refer", "ungradable")
"""The decisions whose daily share has control limits."""


@dataclass(frozen=True)
class Counts:
    """What was decided on some images.

    Attributes:
        images: that were read.
        decisions: decision -> number of images.
        classes: class -> number of images.
        histograms: number of a prediction -> ``(BINS,)`` numbers of images.
    """

    images: int
    decisions: Mapping[str, int]
    classes: Mapping[str, int]
    histograms: Mapping[str, Sequence[int]]

    def share(self, decision: str) -> float:
        """Share of the images with a decision, in [0, 1]; nan without images."""
        return self.decisions.get(decision, 0) / self.images if self.images else float("nan")


class DayShare(NamedTuple):
    """One decision on one day.

    Attributes:
        day: as YYYY-MM-DD.
        decision: its name.
        images: that were read.
        share: of them, with this decision.
        low, high: control limits.
    """

    day: str
    decision: str
    images: int
    share: float
    low: float
    high: float

    @property
    def outside(self) -> bool:
        """Whether the share is beyond its limits."""
        return not self.low <= self.share <= self.high


@dataclass(frozen=True)
class Monitoring:
    """Tallies compared with a reference.

    Attributes:
        reference: the images that the model was measured on.
        found: the images of the tallies.
        unreadable: images of the tallies that could not be read.
        stabilities: number of a prediction, "decision" or "class" -> index.
        whole: the watched decisions over all days together.
        days: the watched decisions of each day.
    """

    reference: Counts
    found: Counts
    unreadable: int
    stabilities: Mapping[str, Stability]
    whole: Sequence[DayShare]
    days: Sequence[DayShare] = field(default_factory=tuple)

    @property
    def alarms(self) -> list[str]:
        """A sentence for everything that is more than chance."""
        lines = [
            f"{name}: {found.verdict}, index {found.index:.3f} above {found.limit:.3f}"
            for name, found in self.stabilities.items()
            if found.verdict != "stable"
        ]
        for one in (*self.whole, *self.days):
            if one.outside:
                limits = f"{percent(one.low)} to {percent(one.high)}"
                lines.append(
                    f"{one.day}: {one.decision} {percent(one.share)} of {one.images}, expected {limits}"
                )
        return lines


def counts_of_measures(measures: Sequence[ImageMeasure], image_classes: Sequence[str]) -> Counts:
    """The counts of images that a model was measured on.

    Raises:
        UmlError: no decisions were made on them.
    """
    decided = [m for m in measures if m.decision]
    if not decided:
        raise UmlError("reference: found no image with a decision, expected an evaluation of one model")
    histograms = {name: [0] * BINS for name in HISTOGRAMS}
    for m in decided:
        for name in HISTOGRAMS:
            value = float(getattr(m, name))
            if not np.isnan(value):
                histograms[name][bin_of(value)] += 1
    classes = Counter(image_classes[int(m.probability.argmax())] for m in decided)
    return Counts(len(decided), Counter(m.decision for m in decided), classes, histograms)


def _added(tallies: Iterable[DayTally]) -> Counts:
    decisions: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    histograms = {name: np.zeros(BINS, int) for name in HISTOGRAMS}
    images = 0
    for tally in tallies:
        read = {name: count for name, count in tally.decisions.items() if name != UNREADABLE}
        images += sum(read.values())
        decisions.update(read)
        classes.update(tally.classes)
        for name in HISTOGRAMS:
            histograms[name] += np.array(tally.histograms[name])
    return Counts(images, decisions, classes, {n: h.tolist() for n, h in histograms.items()})


def _days(folder: Path) -> list[Path]:
    """The files of a tally; what a power cut has left half written begins with a point."""
    return sorted(path for path in folder.glob("*.json") if not path.name.startswith("."))


def read_tallies(paths: Sequence[Path], run_id: str, identity: str = "") -> list[DayTally]:
    """The tallies in files and folders, of one model.

    Args:
        paths: files of one day each, or folders of them.
        run_id: of the model's training.
        identity: of the file that the devices run; "" where any of this training may be it.

    Raises:
        UmlError: a file cannot be read or is of another model, or there is none.
    """
    files = [file for path in paths for file in (_days(path) if path.is_dir() else [path])]
    found = []
    for file in dict.fromkeys(file.resolve() for file in files):
        tally = read_tally(file)
        if tally.run_id != run_id:
            raise UmlError(
                f"{file}: run_id: found '{tally.run_id}', expected '{run_id}', the training of --model"
            )
        if identity and tally.model != identity:
            raise UmlError(
                f"{file}: model: found '{tally.model[:12]}', expected '{identity[:12]}', the file of --model"
            )
        found.append(tally)
    if not found:
        raise UmlError(f"TALLY: found no tally in {', '.join(map(str, paths))}, expected what run.py keeps")
    return found


def _share(day: str, decision: str, reference: Counts, found: Counts) -> DayShare:
    limits = control_limits(reference.decisions.get(decision, 0), reference.images, found.images)
    return DayShare(day, decision, found.images, found.share(decision), *limits)


def _named(reference: Mapping[str, int], found: Mapping[str, int]) -> Stability:
    names = sorted({*reference, *found})
    return stability(*(np.array([counts.get(name, 0) for name in names]) for counts in (reference, found)))


def compare(reference: Counts, tallies: Sequence[DayTally]) -> Monitoring:
    """Compares tallies with a reference.

    Args:
        reference: of images like those that the model is meant for.
        tallies: of one model; those of the same day, from several devices, are added.
    """
    found = _added(tallies)
    days: dict[str, list[DayTally]] = defaultdict(list)
    for tally in tallies:
        days[tally.day].append(tally)
    by_day = {day: _added(own) for day, own in sorted(days.items())}
    indices = {
        name: stability(np.array(reference.histograms[name]), np.array(found.histograms[name]))
        for name in HISTOGRAMS
    }
    indices |= {
        "decision": _named(reference.decisions, found.decisions),
        "class": _named(reference.classes, found.classes),
    }
    return Monitoring(
        reference,
        found,
        sum(tally.decisions.get(UNREADABLE, 0) for tally in tallies),
        indices,
        [_share("all days", name, reference, found) for name in WATCHED] if found.images else [],
        [_share(day, name, reference, own) for day, own in by_day.items() for name in WATCHED if own.images],
    )


def as_json(monitoring: Monitoring) -> dict[str, Any]:
    """The comparison as plain data."""

    def number(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    return {
        "reference_images": monitoring.reference.images,
        "images": monitoring.found.images,
        "unreadable": monitoring.unreadable,
        "stability": {
            name: {"index": number(one.index), "limit": number(one.limit), "verdict": one.verdict}
            for name, one in monitoring.stabilities.items()
        },
        "whole": [{**one._asdict(), "outside": one.outside} for one in monitoring.whole],
        "days": [{**one._asdict(), "outside": one.outside} for one in monitoring.days],
        "alarms": monitoring.alarms,
    }


def as_text(monitoring: Monitoring) -> str:
    """The comparison as lines for a terminal."""
    found, reference = monitoring.found, monitoring.reference
    lines = [
        f"{found.images} images of the tallies ({monitoring.unreadable} more could not be read), "
        f"{reference.images} of the reference",
        "",
        f"{'population stability':22s} {'index':>8s} {'by chance':>10s}",
    ]
    for name, one in monitoring.stabilities.items():
        lines.append(f"{name:22s} {one.index:8.3f} {one.limit:10.3f}  {one.verdict}")
    lines += ["", f"{'day':10s} {'decision':10s} {'images':>7s} {'share':>8s}   control limits"]
    for share in (*monitoring.days, *monitoring.whole):
        limits = f"{percent(share.low)} to {percent(share.high)}"
        mark = "  OUTSIDE" if share.outside else ""
        counted = f"{share.images:7d} {percent(share.share):>8s}"
        lines.append(f"{share.day:10s} {share.decision:10s} {counted}   {limits}{mark}")
    alarms = monitoring.alarms
    lines += ["", *(f"DRIFT {line}" for line in alarms)] if alarms else ["", "no drift beyond chance"]
    return "\n".join(lines)
