"""The export: convert, prove on held-out images, write or refuse, log."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from uml_tf.export.bundle import page_possible, write_bundle
from uml_tf.export.calibration import calibration_files, read_calibration
from uml_tf.export.fidelity import Fidelity, Tolerance, as_markdown, compare, scatter
from uml_tf.export.litert_js import litert_js
from uml_tf.export.targets import Images, OnnxTarget, Target, TensorRTTarget, TFLiteTarget
from uml_tf.export.tensorrt import Precision, build_command, missing_for_build
from uml_tf.export.tflite import CALIBRATED, TFLiteSpec

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.evaluate import check_classes
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.figures.save import save_figure
from uml_tf.networks import UML
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import new_folder, write_json, write_text
from uml_tf.runtime.metadata import FileMetadata
from uml_tf.tracking.exports import dataset_of, log_export

REPORT = ("fidelity.json", "fidelity.md", "fidelity.png")
BUILD_FILE = "build_engine.txt"

Stage = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True)
class ExportJob:
    """What to export, and what it must keep.

    Attributes:
        out: a new folder.
        target: "tflite", "onnx" or "tensorrt".
        tflite: what a TFLite file is to be; its quantization and batch also hold for ONNX.
        precision: of a TensorRT engine.
        calibration: a data set or a folder of images; None for the training split of the model's data.
        calibration_images: at most so many.
        verify: the data set to compare on; None for the model's own.
        split: its split.
        tolerance: what the file must keep of the network.
        force: keep a file that does not, and mark it.
        example: the image of the device bundle; None for the first that was compared on.
        web: with the page for the browser; None where it can be had.
    """

    out: Path
    target: Literal["tflite", "onnx", "tensorrt"] = "tflite"
    tflite: TFLiteSpec = field(default_factory=TFLiteSpec)
    precision: Precision = "fp16"
    calibration: Path | None = None
    calibration_images: int = 200
    verify: Path | None = None
    split: str = "val"
    tolerance: Tolerance = field(default_factory=Tolerance)
    force: bool = False
    example: Path | None = None
    web: bool | None = None

    @property
    def quantize(self) -> str:
        """Of the file that is converted, from which a TensorRT engine is built."""
        if self.target == "tensorrt":
            return "int8" if self.precision == "int8" else "none"
        return self.tflite.quantize

    @property
    def name(self) -> str:
        """What the export is called in MLflow, e.g. "tflite-int8"."""
        return f"{self.target}-{self.precision if self.target == 'tensorrt' else self.quantize}"


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    Attributes:
        folder: where.
        numbers: the fidelity, file sizes in bytes among them.
        broken: the tolerances that were not kept.
        left_out: what was not written, and why, as sentences.
        deferred: whether a TensorRT engine was asked for and could not be built here.
        deferred: whether an engine was asked for and could not be built here.
        logged: whether the training run was found and has it now.
    """

    folder: Path
    numbers: dict[str, float | None]
    broken: list[str]
    left_out: list[str]
    deferred: bool
    logged: bool


def _datasets(model: UML, job: ExportJob) -> tuple[PreparedDataset, Path | PreparedDataset]:
    """Where to compare, and where the calibration images are."""
    assert model.card is not None
    own = None
    if job.verify is None or (job.calibration is None and job.quantize in CALIBRATED):
        try:
            own = dataset_of(model.card)
        except UmlError as error:
            if job.verify is None:
                raise UmlError(f"{error}; give one with --verify") from error
            raise UmlError(f"{error}; give training images with --calibration") from error
    verify = PreparedDataset.open(job.verify) if job.verify else own
    assert verify is not None
    check_classes(model.card, verify)
    return verify, job.calibration or own or verify


def _calibration(model: UML, job: ExportJob, source: Path | PreparedDataset, stage: Stage) -> Images:
    if job.quantize not in CALIBRATED:
        return None
    files = calibration_files(source, job.calibration_images)
    return read_calibration(files, model.image_size, stage("reading calibration images", len(files)))


def _targets(model: UML, job: ExportJob, images: Images) -> list[Target]:
    """What is written, the files that others are built from first."""
    if job.target == "tflite":
        return [TFLiteTarget(model, job.tflite, images)]
    source = OnnxTarget(model, job.quantize, job.tflite.batch, images)
    if job.target == "onnx" or missing_for_build():
        return [source]
    return [source, TensorRTTarget(source, job.precision, job.tflite.batch)]


def _write_report(folder: Path, name: str, fidelity: Fidelity, numbers: dict[str, Any]) -> None:
    write_json(
        folder / REPORT[0],
        {"export": name, "kept": not fidelity.broken, "broken": fidelity.broken, **numbers},
    )
    failures = "".join(f"\n**Not kept:** {line}\n" for line in fidelity.broken)
    write_text(folder / REPORT[1], as_markdown(f"Fidelity of {name} to the network", numbers) + failures)
    save_figure(scatter(fidelity, name), folder / REPORT[2])


def _remove_refused(out: Path) -> None:
    """Makes way for another try: an earlier refusal left its report and nothing else."""
    if out.is_dir() and {p.name for p in out.iterdir()} == set(REPORT):
        shutil.rmtree(out)


def _prove(
    model: UML, job: ExportJob, targets: list[Target], folder: Path, verify: PreparedDataset, stage: Stage
) -> tuple[Fidelity, dict[str, float | None]]:
    """Writes the files, runs the last of them against the network, and reports."""
    for target in targets:
        (folder / target.file_name).write_bytes(target.packed(kept_by_force=False))
    file = targets[-1].open(folder / targets[-1].file_name)
    done = stage(f"comparing on {job.split}", len(verify.split(job.split)))
    fidelity = compare(KerasPredictor(model), file, verify, job.split, job.tolerance, done)
    sizes = {f"bytes_{t.file_name}": float((folder / t.file_name).stat().st_size) for t in targets}
    numbers = {**fidelity.numbers, **sizes, "bytes_float32_weights": 4.0 * model.count_params()}
    _write_report(folder, job.name, fidelity, numbers)
    return fidelity, numbers


def _settle(job: ExportJob, targets: list[Target], folder: Path, example: Path) -> list[str]:
    """Adds what goes with the kept files; says what was left out."""
    left_out = []
    missing = missing_for_build() if job.target == "tensorrt" else None
    if missing:
        command = build_command(job.precision)
        write_text(folder / BUILD_FILE, command + "\n")
        left_out.append(f"no engine was built: {missing}; on the target device run: {command}")
    if job.target == "tflite":
        metadata = targets[0].metadata
        web, reason = _with_page(job, metadata)
        if reason:
            left_out.append(reason)
        write_bundle(folder, metadata, example, web)
    return left_out


def _with_page(job: ExportJob, metadata: FileMetadata) -> tuple[bool, str | None]:
    """Whether the bundle gets the page for the browser, and why not where it might have."""
    if job.web is False:
        return False, None
    if not page_possible(metadata, job.tflite.batch):
        reason = "no page for the browser: it runs files of batch 1 that answer the contract themselves"
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


def export(model: UML, job: ExportJob, stage: Stage) -> ExportResult:
    """Writes the exported network into a new folder, or, past the tolerance, the report alone.

    Args:
        model: a trained network, with its card.
        job: what to write.
        stage: begins a stage of work; its answer takes the number done.

    Raises:
        UmlError: options that do not fit, no data to compare on, or a conversion that failed.
    """
    assert model.card is not None
    verify, source = _datasets(model, job)
    example = job.example or verify.root / verify.split(job.split)[0].image
    _remove_refused(job.out)
    left_out: list[str] = []
    with new_folder(job.out) as folder:
        images = _calibration(model, job, source, stage)
        done = stage(f"converting to {job.name}", 1)
        targets = _targets(model, job, images)
        done(1)
        fidelity, numbers = _prove(model, job, targets, folder, verify, stage)
        for target in targets if fidelity.broken else ():
            (folder / target.file_name).unlink()
            if job.force:
                (folder / target.file_name).write_bytes(target.packed(kept_by_force=True))
        if job.force or not fidelity.broken:
            left_out = _settle(job, targets, folder, example)
    files = [*REPORT, *(target.file_name for target in targets)]
    deferred = job.target == "tensorrt" and not isinstance(targets[-1], TensorRTTarget)
    kept = job.force or not fidelity.broken
    logged = log_export(model.card.run_id, job.out, job.name, files, numbers, kept)
    return ExportResult(job.out, numbers, fidelity.broken, left_out, deferred, logged)
