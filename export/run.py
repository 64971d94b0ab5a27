"""The export: convert, compare on held-out images, write or refuse, log."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlflow.exceptions import MlflowException

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import check_classes
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.export.bundle import MANIFEST, page_possible, write_bundle, write_manifest
from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.export.convert import convert
from uml_tf.export.fidelity import Fidelity, compare
from uml_tf.export.kind import Converted, ExportKind, Images, Stage
from uml_tf.export.kinds import KINDS, check_packages, input_type_of
from uml_tf.export.litert_js import litert_js
from uml_tf.export.report import REPORT, Numbers, write_report
from uml_tf.export.tolerance import Tolerance
from uml_tf.networks import UML
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder, write_text
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.tracking.exports import dataset_of, log_export


@dataclass(frozen=True)
class ExportJob:
    """What to export, and what it must keep.

    Attributes:
        out: a new folder.
        kind: name of an export kind, e.g. "tflite-int8" (``uml_tf.export.kinds.KINDS``).
        input_type: "float32" or "uint8"; None for the kind's default.
        batch: the fixed batch size.
        calibration: a data set or a folder of images; None for the training split of the model's data.
        calibration_images: at most so many.
        verify: the data set to compare on; None for the model's own.
        split: its split.
        tolerance: what the file must keep of the network.
        force: keep a file that breaks the tolerance, and mark it in its metadata.
        example: the image of the device bundle; None for the first that was compared on.
        web: with the page for the browser; None where it is possible.
    """

    out: Path
    kind: str = "tflite-none"
    input_type: str | None = None
    batch: int = 1
    calibration: Path | None = None
    calibration_images: int = 200
    verify: Path | None = None
    split: str = "val"
    tolerance: Tolerance = field(default_factory=Tolerance)
    force: bool = False
    example: Path | None = None
    web: bool | None = None


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    Attributes:
        folder: where.
        numbers: the figures of the comparison, and file sizes in bytes.
        broken: the tolerances that were not kept, one sentence each.
        remarks: about the conversion, e.g. which layers stay in float, as sentences.
        left_out: what was not written, and why, as sentences.
        deferred: whether the file that was asked for must be built elsewhere.
        logged: whether the export was logged to the training run; if not, ``left_out`` says why.
    """

    folder: Path
    numbers: Numbers
    broken: list[str]
    remarks: tuple[str, ...]
    left_out: list[str]
    deferred: bool
    logged: bool


def _datasets(
    network: UML, job: ExportJob, kind: ExportKind
) -> tuple[PreparedDataset, Path | PreparedDataset]:
    """The data set to compare on, and the source of the calibration images."""
    assert network.card is not None
    own = None
    if job.verify is None or (job.calibration is None and kind.calibrated):
        try:
            own = dataset_of(network.card)
        except UmlError as error:
            if job.verify is None:
                raise UmlError(f"{error}; give one with --verify") from error
            raise UmlError(f"{error}; give training images with --calibration") from error
    verify = PreparedDataset.open(job.verify) if job.verify else own
    assert verify is not None
    check_classes(network.card, verify)
    return verify, job.calibration or own or verify


def _calibration(
    network: UML, job: ExportJob, kind: ExportKind, source: Path | PreparedDataset, stage: Stage
) -> Images:
    if not kind.calibrated:
        return None
    files = calibration_files(source, job.calibration_images)
    return read_calibration(files, network.image_size, stage("reading calibration images", len(files)))


def _remove_refused(out: Path) -> None:
    """Removes what an earlier refusal left: a report and nothing else."""
    if out.is_dir() and {p.name for p in out.iterdir()} == set(REPORT):
        shutil.rmtree(out)


@dataclass(frozen=True)
class _Written:
    """The files in the new folder, and how they compare with the network."""

    folder: Path
    metadata: FileMetadata
    converted: Converted
    fidelity: Fidelity
    numbers: Numbers

    def mark(self) -> None:
        """Writes the files again, with metadata that say that they were kept by force."""
        for file in self.converted.files:
            content = file.pack(replace(self.metadata, kept_by_force=True))
            (self.folder / file.name).write_bytes(content)

    def remove(self) -> None:
        """Removes the files; the report stays."""
        for file in self.converted.files:
            (self.folder / file.name).unlink()


def _write_and_compare(
    network: UML,
    job: ExportJob,
    folder: Path,
    made: tuple[FileMetadata, Converted],
    verify: PreparedDataset,
    stage: Stage,
) -> _Written:
    """Writes the files, compares the last of them with the network, and reports."""
    metadata, converted = made
    assert network.card is not None
    for one in converted.files:
        (folder / one.name).write_bytes(one.pack(metadata))
    last = converted.files[-1]
    fidelity = compare(
        KerasPredictor(network),
        last.open(folder / last.name),
        network.card,
        verify,
        job.split,
        job.tolerance,
        stage(f"comparing on {job.split}", len(verify.split(job.split))),
    )
    sizes = {f"bytes_{f.name}": float((folder / f.name).stat().st_size) for f in converted.files}
    numbers: Numbers = {**fidelity.numbers, **converted.numbers, **sizes}
    numbers["bytes_float32_weights"] = 4.0 * network.count_params()
    compared_on = (
        f"the {len(verify.split(job.split))} images of the split '{job.split}' of {verify.info.name}"
    )
    write_report(folder, job.kind, compared_on, fidelity, numbers, converted.remarks)
    return _Written(folder, metadata, converted, fidelity, numbers)


def _with_page(job: ExportJob, metadata: FileMetadata) -> tuple[bool, str | None]:
    """Whether the bundle gets the page for the browser, and why not where one could be expected."""
    if job.web is False:
        return False, None
    if not page_possible(metadata, job.batch):
        reason = "no page for the browser: it needs a file with batch 1 that outputs the contract itself"
        if job.web:
            raise UmlError(f"--web: {reason}")
        return False, reason
    try:
        litert_js()
    except UmlError as error:
        if job.web:
            raise
        return False, f"no page for the browser: {error}"
    return True, None


def _complete(job: ExportJob, kind: ExportKind, written: _Written, example: Path) -> list[str]:
    """Adds everything that belongs beside the kept files; returns what was left out, as sentences."""
    converted, left_out = written.converted, []
    for name, content in converted.notes.items():
        write_text(written.folder / name, content)
    if converted.deferred:
        left_out.append(converted.deferred)
    if kind.target.bundle:
        web, reason = _with_page(job, written.metadata)
        if reason:
            left_out.append(reason)
        write_bundle(written.folder, written.metadata, example, web)
        write_manifest(written.folder)
    return left_out


def _log(run_id: str, job: ExportJob, written: _Written) -> str | None:
    """Logs the export to the training run; returns why it was not logged, or None.

    What is written stays, whatever the store refuses.
    """
    files = [*REPORT, MANIFEST, *(file.name for file in written.converted.files)]
    kept = job.force or not written.fidelity.broken
    try:
        logged = log_export(run_id, job.out, job.kind, files, written.numbers, kept)
    except (MlflowException, OSError) as error:  # the store refuses, or the disk of the artifacts is full
        return (str(error).splitlines() or ["MLflow refused it"])[0]
    return None if logged else "the training run is not in this MLflow store"


def export(network: UML, job: ExportJob, stage: Stage) -> ExportResult:
    """Writes the exported network into a new folder; past the tolerance, only the report.

    Args:
        network: a trained network, with its card.
        job: what to write.
        stage: begins a stage of work, given its name and size; returns a callable that takes the number done.

    Raises:
        UmlError: options that do not fit, no data to compare on, or a conversion that failed.
    """
    assert network.card is not None
    kind = KINDS[job.kind]
    check_packages(kind)
    input_type = input_type_of(kind, job.input_type)
    verify, source = _datasets(network, job, kind)
    example = job.example or verify.root / verify.split(job.split)[0].image
    _remove_refused(job.out)
    left_out: list[str] = []
    with new_folder(job.out) as folder:
        images = _calibration(network, job, kind, source, stage)
        done = stage(f"converting to {kind.name}", 1)
        made = convert(network, kind, images, input_type, job.batch, job.tolerance, stage)
        done(1)
        written = _write_and_compare(network, job, folder, made, verify, stage)
        broken = written.fidelity.broken
        if broken and job.force:
            written.mark()
        elif broken:
            written.remove()
        if job.force or not broken:
            left_out = _complete(job, kind, written, example)
    reason = _log(network.card.run_id, job, written)
    if reason:
        left_out.append(f"not logged: {reason}")
    deferred = written.converted.deferred is not None
    remarks = written.converted.remarks
    return ExportResult(job.out, written.numbers, broken, remarks, left_out, deferred, logged=reason is None)
