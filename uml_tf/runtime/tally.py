"""A local tally of what a device decides: counts by day, no images and no names.

``uml-tf monitor`` compares it with what the model was validated on. A folder holds one small file for each
day and model. A file is replaced as a whole, and reaches the disk before it takes the old one's place: after
a power cut it has all images or all but the last. The tally never stops a prediction.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import write_json
from uml_tf.runtime.predictions_table import UNREADABLE

try:
    import fcntl
except ImportError:  # Windows: one run at a time counts right
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
BINS = 20
"""Equal bins of [0, 1] of every histogram."""

HISTOGRAMS = ("class_confidence", "class_uncertainty", "familiarity")
"""Numbers of a prediction whose histograms are kept: two kinds of doubt, and the density."""

DECISIONS = ("accept", "refer", "ungradable", UNREADABLE)

_LOCK = ".lock"


@dataclass
class DayTally:
    """What one model decided on one day.

    Attributes:
        day: as YYYY-MM-DD, in UTC.
        model: identity of the model.
        run_id: MLflow run of its training.
        images: number of images, unreadable ones too.
        decisions: "accept", "refer", "ungradable" or "unreadable" -> number of images.
        classes: class -> number of images of which it is the most probable.
        histograms: each of ``HISTOGRAMS`` -> ``BINS`` numbers of images.
    """

    day: str
    model: str
    run_id: str
    images: int = 0
    decisions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DECISIONS, 0))
    classes: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, list[int]] = field(
        default_factory=lambda: {name: [0] * BINS for name in HISTOGRAMS}
    )

    def add(self, answer: Mapping[str, Any]) -> None:
        """Counts one prediction.

        Args:
            answer: as its JSON file has it; of an unreadable image only "decision" is read.
        """
        self.images += 1
        decision = str(answer["decision"])
        self.decisions[decision] = self.decisions.get(decision, 0) + 1
        if decision == UNREADABLE:
            return
        name = str(answer["class"])
        self.classes[name] = self.classes.get(name, 0) + 1
        for key in HISTOGRAMS:
            self.histograms[key][bin_of(float(answer[key]))] += 1

    def to_dict(self) -> dict[str, Any]:
        """The content of its file."""
        return {"format": FORMAT, **vars(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DayTally:
        """The inverse of ``to_dict``.

        Raises:
            ValueError: of another form, or its numbers do not add up.
        """
        values = dict(data)
        if values.pop("format", None) != FORMAT:
            raise ValueError(f"format: found {data.get('format')!r}, expected {FORMAT}")
        found = cls(**values)
        read = found.images - found.decisions.get(UNREADABLE, 0)
        counted = [found.histograms[name] for name in HISTOGRAMS]
        if sum(found.decisions.values()) != found.images or sum(found.classes.values()) != read:
            raise ValueError("counts: do not add up to the number of images")
        if any(len(counts) != BINS or sum(counts) != read for counts in counted):
            raise ValueError(f"histograms: expected {BINS} counts each, of all images that were read")
        return found


def bin_of(number: float) -> int:
    """The bin of a number in [0, 1]."""
    return min(max(int(number * BINS), 0), BINS - 1)


def read_tally(path: Path) -> DayTally:
    """Reads the file of one day.

    Raises:
        UmlError: it is missing, damaged or of another form.
    """
    try:
        return DayTally.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UmlError(f"{path}: cannot be read as a tally ({error})") from error


def beside(out: Path) -> Path:
    """The folder of the tally where none is named: ``OUT-tally``, beside the folder of the predictions."""
    whole = out.resolve()
    return whole.with_name(f"{whole.name}-tally")


def today() -> str:
    """The day in UTC, as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


class Tally:
    """Counts predictions into the files of a folder. Several processes may do so at once.

    Args:
        folder: of the tally; made when the first image is counted.
        model: identity of the model; with another one the day gets another file.
        run_id: MLflow run of its training.
        complain: called with one line where something could not be counted.
    """

    def __init__(self, folder: Path, model: str, run_id: str, complain: Callable[[str], None]) -> None:
        self.folder, self.model, self.run_id = folder, model, run_id
        self._complain = complain
        self._failed = False

    def count(self, *answers: Mapping[str, Any]) -> None:
        """Counts predictions and writes once; see ``DayTally.add``. A failure is one line, no error."""
        if not answers:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with _locked(self.folder):
                self._count(answers, today())
        except (UmlError, OSError) as error:
            if not self._failed:
                self._complain(f"tally: {error}; predictions go on, and are not counted")
            self._failed = True

    def _count(self, answers: Sequence[Mapping[str, Any]], day: str) -> None:
        name = re.sub(r"[^\w.-]+", "-", self.model)[:12]
        path = self.folder / f"{day}_{name}.json"
        found = self._earlier(path) or DayTally(day, self.model, self.run_id)
        for answer in answers:
            found.add(answer)
        write_json(path, found.to_dict(), durable=True)

    def _earlier(self, path: Path) -> DayTally | None:
        """What was counted before; a damaged file is put aside and said."""
        if not path.exists():
            return None
        try:
            return read_tally(path)
        except UmlError as error:
            path.replace(path.with_suffix(".damaged"))
            self._complain(f"{error}; it is kept as {path.with_suffix('.damaged').name}")
            return None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system frees when a process ends, however it ends."""
    with (folder / _LOCK).open("a") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
