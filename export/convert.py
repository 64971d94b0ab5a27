"""Converting a network to an export kind."""

from __future__ import annotations

import tensorflow as tf

from uml_tf.export.kind import Converted, ExportKind, Images, Request, Stage, no_display
from uml_tf.export.kinds import check_packages, input_type_of
from uml_tf.export.metadata import describe
from uml_tf.export.tolerance import Tolerance
from uml_tf.networks import UML
from uml_tf.runtime.errors import UmlError, first_line
from uml_tf.runtime.metadata import FileMetadata

_LONGEST_REASON = 200


def convert(
    network: UML,
    kind: ExportKind,
    images: Images = None,
    input_type: str | None = None,
    batch: int = 1,
    tolerance: Tolerance | None = None,
    stage: Stage = no_display,
) -> tuple[FileMetadata, Converted]:
    """Converts a network; nothing is written.

    Args:
        network: a trained network, with its model card; its image size is the file's.
        kind: an entry of ``uml_tf.export.kinds.KINDS``.
        images: ``(N, H, W, 3)`` RGB in [0, 255] of the training set, for the calibrated kinds.
        input_type: "float32" or "uint8"; None for the kind's default.
        batch: the fixed batch size.
        tolerance: what the file must keep; None for the defaults.
        stage: shows progress.

    Returns:
        The metadata that belong in the files, and the files.

    Raises:
        UmlError: options that do not fit the kind, a missing package, or a failed conversion.
    """
    check_packages(kind)
    if kind.calibrated and (images is None or not len(images)):
        raise UmlError(f"{kind.options}: found no calibration image, expected at least one")
    metadata = describe(network, kind, input_type_of(kind, input_type))
    used = images if kind.calibrated else None
    try:
        return metadata, kind.convert(
            Request(network, metadata, batch, used, tolerance or Tolerance(), stage)
        )
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        reason = first_line(error)
        raise UmlError(f"export {kind.name}: the conversion failed ({reason[:_LONGEST_REASON]})") from error
