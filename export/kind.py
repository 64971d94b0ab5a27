"""What an export kind is: everything that the command needs to know about one form of exported file.

Nothing here imports TensorFlow, so that ``uml-tf export --help`` can read the kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from uml_tf.export.tolerance import Tolerance

if TYPE_CHECKING:
    from uml_tf.networks import UML
    from uml_tf.runtime.metadata import FileMetadata
    from uml_tf.runtime.predictor import Predictor

IMAGE = "image"
"""Name of the input in every exported file."""

Images = NDArray[Any] | None

Stage = Callable[[str, int], Callable[[int], None]]
"""Begins a stage of work, given its name and size; returns a callable that takes the number done."""


def no_display(name: str, size: int) -> Callable[[int], None]:
    """A ``Stage`` that shows nothing."""
    return lambda count: None


@dataclass(frozen=True)
class Target:
    """A file format: kinds that share one option of ``uml-tf export``, such as ``--tflite``.

    Attributes:
        name: the option without its dashes.
        help: the option's help, one line.
        setting: the option that chooses among the target's kinds, e.g. "quantize".
        default: value of that option when it is not given.
        options: the other options of ``uml-tf export`` that apply to some targets only and to this one,
            without dashes, e.g. "web".
        requires: importable names of the optional packages that it needs.
        extra: the extra of uml-tf that installs them.
        bundle: whether the file is shipped in a device bundle, with what runs it.
    """

    name: str
    help: str
    setting: str = "quantize"
    default: str = "none"
    options: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    extra: str = ""
    bundle: bool = False


@dataclass(frozen=True)
class Request:
    """What a conversion is given.

    Attributes:
        network: a trained network, with its model card.
        metadata: what will be written into the file; says its input type and outputs.
        batch: the fixed batch size.
        images: calibration images ``(N, H, W, 3)`` RGB in [0, 255], N > 0; None where the kind needs none.
        tolerance: what the file must keep; kinds that have a choice compare on the calibration images.
        stage: shows progress.
    """

    network: UML
    metadata: FileMetadata
    batch: int
    images: Images
    tolerance: Tolerance = field(default_factory=Tolerance)
    stage: Stage = no_display


@dataclass(frozen=True)
class ExportedFile:
    """A converted file that is not written yet.

    Attributes:
        name: file name, e.g. "model.tflite".
        pack: returns the content of the file with the metadata in it, as far as its format has room for them.
        open: opens the written file in the runtime that will run it.
    """

    name: str
    pack: Callable[[FileMetadata], bytes]
    open: Callable[[Path], Predictor]


@dataclass(frozen=True)
class Converted:
    """The result of a conversion.

    Attributes:
        files: what to write, sources before what is built from them. The last one is compared with the
            network.
        deferred: why the file that was asked for must be built elsewhere, or None.
        notes: further text files, name -> content.
        remarks: what the report says about the conversion, one sentence each.
        numbers: figures of the conversion for the report.
    """

    files: tuple[ExportedFile, ...]
    deferred: str | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ExportKind:
    """One form of exported file.

    Attributes:
        target: its file format.
        value: value of the target's setting that selects this kind, e.g. "int8".
        help: one line: what it is and what it is for.
        convert: converts a network; imports its libraries when called, not before.
        calibrated: whether it needs calibration images.
        outputs: "contract", or "logits" where the host computes the contract from them.
        input_types: types that the input can have, the default first. The values are RGB 0 to 255.
    """

    target: Target
    value: str
    help: str
    convert: Callable[[Request], Converted]
    calibrated: bool = False
    outputs: Literal["contract", "logits"] = "contract"
    input_types: tuple[str, ...] = ("float32",)

    @property
    def name(self) -> str:
        """Name in the registry and in MLflow, e.g. "tflite-int8"."""
        return f"{self.target.name}-{self.value}"

    @property
    def options(self) -> str:
        """The options that select it, e.g. "--tflite --quantize int8"."""
        return f"--{self.target.name} --{self.target.setting} {self.value}"
