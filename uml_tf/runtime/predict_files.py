"""From image files to prediction files: what `uml-tf predict` and a device bundle's run.py both do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from uml_tf.runtime.batches import predict_each
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.file_state import KEY, state_of
from uml_tf.runtime.files import remove, write_text
from uml_tf.runtime.images import read_image, read_picture
from uml_tf.runtime.intensity import Intensity
from uml_tf.runtime.picture import Picture
from uml_tf.runtime.prediction import Model, Prediction
from uml_tf.runtime.prediction_files import (
    earlier_answer,
    files_of,
    is_outdated,
    overlay_of,
    plan_predictions,
    remove_prediction,
    write_prediction,
)
from uml_tf.runtime.predictions_page import (
    MOST,
    PAGE,
    Shown,
    counts_of,
    most_doubtful,
    predictions_page,
    thumbnail,
)
from uml_tf.runtime.predictions_table import TABLE, UNREADABLE, Answer, predictions_table, unreadable
from uml_tf.runtime.tally import Tally

_SECONDS_BETWEEN_COUNTS = 1.0

Reader = Callable[[Path, Intensity, str], Picture]
"""Reads a file by a mapping of intensities; the text is what messages call the file."""


class Beside(Protocol):
    """What is written of each prediction beside its files, by the same stem; called in a thread."""

    def write(self, stem: str, picture: Picture, prediction: Prediction) -> None:
        """Writes what belongs to a new prediction."""

    def remove(self, stem: str) -> None:
        """Removes what belongs to an earlier prediction, whose files are removed after it."""


@dataclass(frozen=True)
class PredictOptions:
    """How many images are predicted.

    Attributes:
        pictures: write mask, overlay, uncertainty and doubt; the JSON is always written.
        again: also predict images whose prediction by the same model is there already.
        lines: say one line for each image.
        workers: threads beside the network's; by default one for each core.
        read: reads a file; by default PNG, JPEG, TIFF, BMP and WebP alone.
        aliases: image -> what stands for its name, where that may be a patient's.
        beside: what else is written of each prediction.
        tally: counts every new answer, that is, none for an image that the same model has answered already;
            None to count none.
    """

    pictures: bool = True
    again: bool = False
    lines: bool = True
    workers: int | None = None
    read: Reader = read_picture
    aliases: Mapping[Path, str] = field(default_factory=dict)
    beside: Beside | None = None
    tally: Tally | None = None


@dataclass(frozen=True)
class _Job:
    """One image.

    Attributes:
        place: among the images.
        path: its file.
        name: what lines and the JSON call it.
        stem: what the names of its predictions begin with.
        state: of its file.
    """

    place: int
    path: Path
    name: str
    stem: str
    state: str


@dataclass(frozen=True)
class _Done:
    """What was found in one image, with its thumbnail; empty where there are no pictures."""

    place: int
    answer: Answer
    thumbnail: bytes = b""


def _earlier(out: Path, job: _Job, identity: str) -> Answer | None:
    """What an earlier run with the same model has answered for an image that is unchanged since, or None."""
    (file,) = files_of(out, job.stem, pictures=False)
    return earlier_answer(file, {"image": job.name, "model": identity, KEY: job.state})


def _is_whole(out: Path, job: _Job, pictures: bool) -> bool:
    """Whether all files of a prediction are there."""
    return all(file.exists() for file in files_of(out, job.stem, pictures))


def line_of(answer: Answer) -> str:
    """What a command says of one prediction."""
    name = answer["class"]
    probability = answer["class_probability"][name]
    return f"{answer['image']}: {name} {probability:.3f}, {answer['decision']}: {answer['reason']}"


def predict_files(
    model: Model,
    images: Sequence[Path],
    out: Path,
    say: Callable[[str], None],
    complain: Callable[[str], None],
    options: PredictOptions = PredictOptions(),
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Writes the prediction of each image; one that cannot be read does not stop the others.

    Of more than one image ``predictions.csv`` and, with pictures, ``index.html`` are written too, and images
    that were finished by an earlier run with the same model are passed over, so that a run that was stopped
    is resumed.

    Args:
        model: in any form.
        images: the files.
        out: folder for the predictions.
        say: called with one line for each prediction, and one at the end.
        complain: called with one line for each image that could not be read.
        options: see ``PredictOptions``.
        progress: called with the number of images done.

    Raises:
        UmlError: as ``plan_predictions``; a prediction cannot be written or removed; or, at the end, some
            images could not be read.
    """
    several, identity = len(images) > 1, model.identity
    stems = plan_predictions(images, out, [TABLE, PAGE] if several else [], options.aliases)
    answers: list[Answer | None] = [None] * len(images)
    jobs = [
        _Job(place, path, options.aliases.get(path, str(path)), stem, state_of(path))
        for place, (path, stem) in enumerate(zip(images, stems, strict=True))
    ]
    earlier = [_earlier(out, job, identity) for job in jobs]
    if several and not options.again:
        for job, answer in zip(jobs, earlier, strict=True):
            answers[job.place] = answer if _is_whole(out, job, options.pictures) else None
    left = [job for job in jobs if answers[job.place] is None]
    done = len(jobs) - len(left)
    progress(done)
    thumbnails: dict[int, bytes] = {}
    is_new = [answer is None for answer in earlier]
    for result in _counted(_predictions(model, identity, left, out, options), options.tally, is_new):
        answer = answers[result.place] = result.answer
        if several and len(thumbnails) < MOST:
            thumbnails[result.place] = result.thumbnail
        done += 1
        if answer["decision"] == UNREADABLE:
            complain(answer["reason"])
        elif options.lines:
            say(line_of(answer))
        progress(done)
    found = [answer for answer in answers if answer is not None]
    if several:
        write_text(out / TABLE, predictions_table(found, model.card))
    if several and options.pictures:
        write_text(out / PAGE, _page(found, stems, thumbnails, out, identity))
    elif several:  # one of an earlier run may show other answers
        remove(out / PAGE)
    _conclude(found, len(jobs) - len(left), out, say)


def _predictions(
    model: Model, identity: str, jobs: Sequence[_Job], out: Path, options: PredictOptions
) -> Iterator[_Done]:
    def read(job: _Job) -> Picture:
        return options.read(job.path, model.card.mapping, job.name)

    def use(job: _Job, picture: Picture, prediction: Prediction) -> _Done:
        data = prediction.to_dict(job.name) | {"model": identity, KEY: job.state}
        if options.beside is not None:
            options.beside.write(job.stem, picture, prediction)
        overlay = write_prediction(out, job.stem, data, picture.pixels, prediction, options.pictures)
        return _Done(job.place, data, b"" if overlay is None else thumbnail(overlay))

    def failed(job: _Job, error: UmlError) -> _Done:
        if is_outdated(out, job.stem, job.name, job.state):
            if options.beside is not None:
                options.beside.remove(job.stem)
            remove_prediction(out, job.stem)
        return _Done(job.place, unreadable(job.name, str(error)))

    return predict_each(model, jobs, read, use, failed, options.workers)


def _counted(results: Iterator[_Done], tally: Tally | None, is_new: Sequence[bool]) -> Iterator[_Done]:
    """The results; a tally counts the new ones once a second, because it waits for the disk each time."""
    uncounted: list[Answer] = []
    counted_at = time.monotonic()
    try:
        for result in results:
            if is_new[result.place]:
                uncounted.append(result.answer)
            if tally is not None and time.monotonic() - counted_at >= _SECONDS_BETWEEN_COUNTS:
                tally.count(*uncounted)
                uncounted.clear()
                counted_at = time.monotonic()
            yield result
    finally:
        if tally is not None:
            tally.count(*uncounted)


def _page(
    answers: Sequence[Answer], stems: Sequence[str], kept: dict[int, bytes], out: Path, identity: str
) -> str:
    def small(place: int) -> bytes:
        if place in kept or answers[place]["decision"] == UNREADABLE:
            return kept.get(place, b"")
        try:
            return thumbnail(read_image(overlay_of(out, stems[place])))
        except UmlError:  # it was written, but may have been taken away since
            return b""

    shown = [Shown(answers[place], stems[place], small(place)) for place in most_doubtful(answers)]
    return predictions_page(shown, counts_of(answers), identity)


def _conclude(answers: Sequence[Answer], resumed: int, out: Path, say: Callable[[str], None]) -> None:
    """Says how many predictions there are; raises where images could not be read."""
    failed = sum(answer["decision"] == UNREADABLE for answer in answers)
    before = f", {resumed} of them by an earlier run" if resumed else ""
    say(f"{len(answers) - failed} of {len(answers)} images written to {out}{before}")
    if failed:
        raise UmlError(f"{failed} of {len(answers)} images could not be read")
