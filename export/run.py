"""The export: convert, compare on held-out images, write or refuse, log."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mlflow.exceptions import MlflowException

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import check_classes
from uml_tf.evaluation.opening import as_model
from uml_tf.export.bundle import MANIFEST, REQUIRED, write_bundle, write_manifest
from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.export.convert import convert
from uml_tf.export.fidelity import Fidelity, compare
from uml_tf.export.job import ExportJob, ExportResult
from uml_tf.export.kind import Converted, ExportKind, Images, Stage
from uml_tf.export.kinds import KINDS, check_packages, input_type_of
from uml_tf.export.locator import LocatorFile, check_boxes, convert_locator
from uml_tf.export.page import page_possible
from uml_tf.export.page_libraries import page_libraries
from uml_tf.export.report import REPORT, Numbers, write_report
from uml_tf.export.sbom import write_sbom
from uml_tf.networks import UML
from uml_tf.runtime.errors import UmlError, first_line
from uml_tf.runtime.files import new_folder, write_text
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.opening import LOCATOR_FILE
from uml_tf.runtime.prediction import Model
from uml_tf.tracking.export_run import run_of_export
from uml_tf.tracking.exports import dataset_of, log_export


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
    model: Model, job: ExportJob, kind: ExportKind, source: Path | PreparedDataset, stage: Stage
) -> Images:
    """The calibration images as a model reads them; None where the kind needs none."""
    if not kind.calibrated:
        return None
    files = calibration_files(source, job.calibration_images)
    return read_calibration(
        files,
        model.image_size,
        stage("reading calibration images", len(files)),
        model.place,
        model.card.mapping,
    )


def _remove_refused(out: Path) -> None:
    """Removes what an earlier refusal left: a report and nothing else."""
    if out.is_dir() and {p.name for p in out.iterdir()} == set(REPORT):
        shutil.rmtree(out)


@dataclass(frozen=True)
class _Source:
    """What is exported: a network, and its locator where it has one."""

    network: UML
    locator: UML | None

    @cached_property
    def model(self) -> Model:
        """Both as one model."""
        return as_model(self.network, self.locator)


@dataclass(frozen=True)
class _Made:
    """The converted files, and that of the locator."""

    metadata: FileMetadata
    converted: Converted
    locator: LocatorFile | None


def _convert(
    source: _Source, job: ExportJob, kind: ExportKind, images: Path | PreparedDataset, stage: Stage
) -> _Made:
    input_type = input_type_of(kind, job.input_type)
    calibration = _calibration(source.model, job, kind, images, stage)
    done = stage(f"converting to {kind.name}", 1)
    metadata, converted = convert(
        source.network, kind, calibration, input_type, job.batch, job.tolerance, stage
    )
    done(1)
    if source.locator is None:
        return _Made(metadata, converted, None)
    calibration = _calibration(as_model(source.locator, None), job, kind, images, stage)
    done = stage(f"converting the locator to {kind.name}", 1)
    locator = convert_locator(source.locator, kind, calibration, input_type, job.batch, stage)
    done(1)
    return _Made(metadata, converted, locator)


@dataclass(frozen=True)
class _Written:
    """The files in the new folder, and how they compare with the network."""

    folder: Path
    metadata: FileMetadata
    converted: Converted
    fidelity: Fidelity
    numbers: Numbers
    locator: LocatorFile | None

    def mark(self) -> None:
        """Writes the files again, with metadata that say that they were kept by force."""
        for file in self.converted.files:
            content = file.pack(replace(self.metadata, kept_by_force=True))
            (self.folder / file.name).write_bytes(content)
        if self.locator is not None:
            self.locator.write(self.folder, kept_by_force=True)

    def remove(self) -> None:
        """Removes the files; the report stays."""
        for file in self.converted.files:
            (self.folder / file.name).unlink()
        (self.folder / LOCATOR_FILE).unlink(missing_ok=True)


def _write_and_compare(
    source: _Source,
    job: ExportJob,
    folder: Path,
    made: _Made,
    verify: PreparedDataset,
    stage: Stage,
) -> _Written:
    """Writes the files, compares the last of them with the network, and reports."""
    network, converted = source.network, made.converted
    assert network.card is not None
    for one in converted.files:
        (folder / one.name).write_bytes(one.pack(made.metadata))
    last, count = converted.files[-1], len(verify.split(job.split))
    fidelity = compare(
        source.model,
        last.open(folder / last.name),
        network.card,
        verify,
        job.split,
        job.tolerance,
        stage(f"comparing on {job.split}", count),
    )
    names = [file.name for file in converted.files]
    if made.locator is not None and source.locator is not None and network.card.roi is not None:
        made.locator.write(folder)
        done, path = stage(f"comparing the locator on {job.split}", count), folder / LOCATOR_FILE
        check = check_boxes(source.locator, path, network.card.roi, verify, job.split, done)
        fidelity = fidelity.with_check(check)
        names.append(LOCATOR_FILE)
    sizes = {f"bytes_{name}": float((folder / name).stat().st_size) for name in names}
    numbers: Numbers = {**fidelity.numbers, **converted.numbers, **sizes}
    numbers["bytes_float32_weights"] = 4.0 * network.count_params()
    compared_on = f"the {count} images of the split '{job.split}' of {verify.info.name}"
    write_report(folder, job.kind, compared_on, fidelity, numbers, converted.remarks)
    return _Written(folder, made.metadata, converted, fidelity, numbers, made.locator)


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
        page_libraries()
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
        if job.sbom:
            write_sbom(written.folder, written.metadata, REQUIRED)
        write_manifest(written.folder)
    return left_out


def _log(card: ModelCard, job: ExportJob, written: _Written) -> str | None:
    """Logs the export to the model's run; returns why it was not logged, or None.

    What is written stays, whatever the store refuses.
    """
    files = [*REPORT, MANIFEST, LOCATOR_FILE, *(file.name for file in written.converted.files)]
    kept = job.force or not written.fidelity.broken
    try:
        run_id = run_of_export(card, job.model)
        logged = log_export(run_id, job.out, job.kind, files, written.numbers, kept)
    except (UmlError, MlflowException, OSError) as error:  # no store, it refuses, or its disk is full
        return first_line(error)
    return None if logged else "the training run is not in this MLflow store"


def export(network: UML, job: ExportJob, stage: Stage, locator: UML | None = None) -> ExportResult:
    """Writes the exported network into a new folder; past the tolerance, only the report.

    Args:
        network: a trained network, with its card.
        job: what to write.
        stage: begins a stage of work, given its name and size; returns a callable that takes the number done.
        locator: the network's locator, where its card names a region of interest; a bundle has both.

    Raises:
        UmlError: options that do not fit, no data to compare on, or a conversion that failed.
    """
    assert network.card is not None
    kind = KINDS[job.kind]
    check_packages(kind)
    if job.calibration is not None and not kind.calibrated:
        raise UmlError(f"calibration: found {job.calibration} for {kind.name}, which is not calibrated")
    input_type_of(kind, job.input_type)
    source = _Source(network, locator)
    if locator is not None and not kind.target.bundle:
        raise UmlError(
            f"{kind.options}: found a network with a locator, expected --tflite, which bundles both"
        )
    verify, images = _datasets(network, job, kind)
    example = job.example or verify.root / verify.split(job.split)[0].image
    _remove_refused(job.out)
    left_out: list[str] = []
    with new_folder(job.out) as folder:
        made = _convert(source, job, kind, images, stage)
        written = _write_and_compare(source, job, folder, made, verify, stage)
        broken = written.fidelity.broken
        if broken and job.force:
            written.mark()
        elif broken:
            written.remove()
        if job.force or not broken:
            left_out = _complete(job, kind, written, example)
    reason = _log(network.card, job, written)
    if reason:
        left_out.append(f"not logged: {reason}")
    deferred = written.converted.deferred is not None
    remarks = written.converted.remarks
    checks = written.fidelity.checks
    return ExportResult(job.out, written.numbers, checks, remarks, left_out, deferred, logged=reason is None)
