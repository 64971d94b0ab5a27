"""The watched folder: images are predicted as they land, each once, until the program is stopped.

What is known after a kill or a power cut is what is in the folder of the predictions: an image is answered
when its JSON is there, which is written last, and the table is written anew from them at the start.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from uml_tf.runtime.batches import predict_each
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.file_state import KEY, file_state
from uml_tf.runtime.files import write_json, write_text
from uml_tf.runtime.image_arguments import images_in
from uml_tf.runtime.images import read_picture
from uml_tf.runtime.picture import Picture
from uml_tf.runtime.predict_files import line_of
from uml_tf.runtime.prediction import Model, Prediction
from uml_tf.runtime.prediction_files import check_folders, remove_pictures, write_prediction
from uml_tf.runtime.predictions_table import (
    TABLE,
    UNREADABLE,
    Answer,
    predictions_table,
    table_row,
    unreadable,
)
from uml_tf.runtime.tally import Tally

LOCK = ".watch.lock"
_TEMPORARY = re.compile(r"\..+-[a-z0-9_]{8}\.(png|json|csv)")


@dataclass(frozen=True)
class WatchOptions:
    """How a folder is watched.

    Attributes:
        pictures: write mask, overlay, uncertainty and doubt; the JSON is always written.
        interval: seconds between two looks at the folder.
        patience: seconds that a file must be unchanged before it counts as unreadable; until then somebody
            may still be writing it.
        workers: threads beside the network's; by default one for each core.
        tally: counts every new answer; None to count none.
    """

    pictures: bool = True
    interval: float = 1.0
    patience: float = 30.0
    workers: int | None = None
    tally: Tally | None = None


@dataclass
class _Waiting:
    """A file without an answer: its state, since when, and whether it was tried like this."""

    state: str
    since: float
    is_tried: bool = False


@dataclass(frozen=True)
class _Job:
    path: Path
    stem: str
    state: str
    is_last_try: bool


def watch_folder(
    model: Model,
    folder: Path,
    out: Path,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    options: WatchOptions = WatchOptions(),
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Predicts the images that are in a folder and those that land there.

    Args:
        model: in any form.
        folder: where images land. A hidden file, such as one that is copied under a temporary name, is none.
        out: folder for the predictions.
        say: called with one line for each prediction.
        complain: called with one line for each image that could not be read.
        options: see ``WatchOptions``.
        is_over: asked after each look at the folder.

    Raises:
        UmlError: ``folder`` is missing or is ``out``, another program watches for ``out``, or a prediction
            cannot be written.
    """
    if not folder.is_dir():
        raise UmlError(f"--watch {folder}: found no folder")
    check_folders([folder], out)
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        _Watch(model, folder.resolve(), out, say, complain, options).run(is_over)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Holds a lock that ends with the process, however it ends."""
    try:
        import fcntl
    except ImportError:  # not on this system
        yield
        return
    with (out / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UmlError(f"--out {out}: found another program that watches for this folder") from error
        yield


class _Watch:
    def __init__(
        self,
        model: Model,
        folder: Path,
        out: Path,
        say: Callable[[str], None],
        complain: Callable[[str], None],
        options: WatchOptions,
    ) -> None:
        self._model, self._folder, self._out, self._options = model, folder, out, options
        self._say, self._complain = say, complain
        self._identity = model.identity
        self._stems: dict[str, str] = {}  # image -> what the names of its files begin with
        self._taken: set[str] = set()  # these stems
        self._answered: dict[str, str] = {}  # image -> the state of its file that was answered
        self._waiting: dict[Path, _Waiting] = {}

    def run(self, is_over: Callable[[], bool]) -> None:
        self._begin()
        while True:
            self._look()
            if is_over():
                return
            time.sleep(self._options.interval)

    def _begin(self) -> None:
        """Reads what earlier runs have answered, and removes what they had half written."""
        for path in self._out.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                path.unlink()
        for path, answer in self._write_table():
            stem = self._stems[answer["image"]] = path.name.removesuffix(".json")
            self._taken.add(stem)
            self._answered[answer["image"]] = answer.get(KEY, "")

    def _write_table(self) -> list[tuple[Path, Answer]]:
        """Writes the table of all answers; returns each with its file."""
        read = [(path, _read(path)) for path in sorted(self._out.glob("[!.]*.json"))]
        found = [(path, answer) for path, answer in read if answer is not None]
        answers = [answer for _, answer in found]
        write_text(self._out / TABLE, predictions_table(answers, self._model.card), durable=True)
        return found

    def _look(self) -> None:
        """Predicts what has landed and is complete."""
        jobs = list(self._ready())
        for job, answer in predict_each(
            self._model,
            jobs,
            lambda job: read_picture(job.path, self._model.card.mapping),
            self._write,
            self._failed,
            self._options.workers,
        ):
            if answer is not None:
                self._keep(job, answer)

    def _ready(self) -> Iterator[_Job]:
        """The files that have not changed since the last look, and have no answer."""
        now, found = time.monotonic(), {}
        for path in images_in(self._folder):
            try:
                state = file_state(path.stat())
            except OSError:  # taken away meanwhile
                continue
            if self._answered.get(str(path)) == state:
                continue
            waiting = self._waiting.get(path)
            if waiting is None or waiting.state != state:  # somebody may still be writing it
                found[path] = _Waiting(state, now)
                continue
            found[path] = waiting
            is_last = now - waiting.since >= self._options.patience
            if not waiting.is_tried or is_last:
                waiting.is_tried = True
                yield _Job(path, self._stem_of(path), state, is_last)
        self._waiting = found

    def _stem_of(self, path: Path) -> str:
        """What the names of an image's files begin with: its stem, its name, or its name with a number.

        The first that is free when the image is first read.
        """
        image = str(path)
        if image not in self._stems:
            numbered = (f"{path.name}-{number}" for number in itertools.count(2))
            candidates = itertools.chain((path.stem, path.name), numbered)
            stem = next(stem for stem in candidates if stem not in self._taken)
            self._stems[image] = stem
            self._taken.add(stem)
        return self._stems[image]

    def _write(self, job: _Job, picture: Picture, prediction: Prediction) -> tuple[_Job, Answer | None]:
        answer = prediction.to_dict(str(job.path)) | {"model": self._identity, KEY: job.state}
        write_prediction(
            self._out, job.stem, answer, picture.pixels, prediction, self._options.pictures, durable=True
        )
        return job, answer

    def _failed(self, job: _Job, error: UmlError) -> tuple[_Job, Answer | None]:
        if not job.is_last_try:
            return job, None
        answer = dict(unreadable(str(job.path), str(error))) | {"model": self._identity, KEY: job.state}
        remove_pictures(self._out, job.stem)
        write_json(self._out / f"{job.stem}.json", answer, durable=True)
        return job, answer

    def _keep(self, job: _Job, answer: Answer) -> None:
        is_new = answer["image"] not in self._answered
        self._answered[answer["image"]] = job.state
        self._waiting.pop(job.path, None)
        if is_new:
            with (self._out / TABLE).open("a", encoding="utf-8", newline="") as table:
                table.write(table_row(answer, self._model.card))
        else:
            self._write_table()
        if self._options.tally is not None:
            self._options.tally.count(answer)
        if answer["decision"] == UNREADABLE:
            self._complain(answer["reason"])
        else:
            self._say(line_of(answer))


def _read(path: Path) -> Answer | None:
    """The answer in a JSON; None where it is none."""
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_answer = isinstance(answer, dict) and {"image", "decision", "reason"} <= answer.keys()
    return answer if is_answer else None
