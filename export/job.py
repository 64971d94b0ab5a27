"""An export job: what to export and what it must keep; and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from uml_tf.export.report import Numbers
from uml_tf.export.tolerance import Check, Tolerance, broken_lines


@dataclass(frozen=True)
class ExportJob:
    """What to export, and what it must keep.

    Attributes:
        out: a new folder.
        model: the MODEL that is exported, as ``uml_tf.tracking.models.fixed_reference`` returns it; the
            export is logged to its run, and without one to that on its card.
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
        sbom: with the software bill of materials of the bundle.
    """

    out: Path
    model: str | None = None
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
    sbom: bool = False


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    Attributes:
        folder: where.
        numbers: the figures of the comparison, and file sizes in bytes.
        checks: every tolerance with what was found.
        remarks: about the conversion, e.g. which layers stay in float, as sentences.
        left_out: what was not written, and why, as sentences.
        deferred: whether the file that was asked for must be built elsewhere.
        logged: whether the export was logged to the model's run; if not, ``left_out`` says why.
    """

    folder: Path
    numbers: Numbers
    checks: list[Check]
    remarks: tuple[str, ...]
    left_out: list[str]
    deferred: bool
    logged: bool

    @property
    def broken(self) -> list[str]:
        """The tolerances that were not kept, one sentence each."""
        return broken_lines(self.checks)
