"""Metadata of an exported ``.tflite`` file, and the check that the file is unchanged since its export."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.tflite_buffer import buffer_named

METADATA_NAME = "uml_tf"
"""Name of the metadata buffer in the file."""

FORMAT = 8
"""Number of the metadata format; it is increased when an older runtime would misread or refuse a file.

Format 2 has the card's ``fit``, which a runtime of format 1 would take for "stretch". Format 3 has confidence
and familiarity, format 4 what the card says of mask quality and intervals, format 5 ``fused_mask``,
format 6 ``prior_weight``, format 7 the scale of evidence of mask quality, format 8 the least confidence."""

CONFIDENT_FORMAT = 3
"""Files of an older format return neither confidence nor familiarity."""

_UNSEALED = b'{"sha256": "' + b"0" * 64
_SEAL = slice(len(b'{"sha256": "'), len(_UNSEALED))

INTENDED_USE = (
    "Decision support for trained medical staff, who decide themselves. Not a medical device: not "
    "validated for diagnosis. The uncertainty is a relative score of evidence, not a probability of error."
)


@dataclass(frozen=True)
class FileMetadata:
    """The metadata buffer of an exported file.

    Attributes:
        card: the model's names, origin and thresholds.
        preset: name of the network preset, e.g. "edge".
        image_size: (height, width) of the input, pixels.
        input_type: "float32", "uint8" or "int8". The values are RGB 0 to 255; for an int8 input the host
            quantizes them by the input tensor's scale and zero point.
        normalisation: (scale, offset) that the graph applies to the input.
        quantize: kind of quantization, e.g. "int8".
        outputs: "contract", or "logits" from which the host computes the contract.
        evidential: whether the class head and the mutual head are Dirichlet heads.
        weights_sha256: of the Keras weights that were exported.
        versions: package -> version at export.
        intended_use: a statement for the user.
        kept_by_force: whether it broke the fidelity tolerance and was kept with ``--force``.
        colour_order: "RGB".
        evidential_mask: whether the head that draws the mask is a Dirichlet head.
        fused_mask: whether the evidence of the mutual head counts for the mask too.
        prior_weight: of the Dirichlet heads.
        format: number of the metadata format.
    """

    card: ModelCard
    preset: str
    image_size: tuple[int, int]
    input_type: str
    normalisation: tuple[float, float]
    quantize: str
    outputs: Literal["contract", "logits"]
    evidential: bool
    weights_sha256: str
    versions: dict[str, str] = field(default_factory=dict)
    intended_use: str = INTENDED_USE
    kept_by_force: bool = False
    colour_order: str = "RGB"
    evidential_mask: bool = False
    fused_mask: bool = False
    prior_weight: float = 1.0
    format: int = FORMAT

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FileMetadata:
        """From the buffer's JSON; lists become tuples."""
        values = {name: value for name, value in data.items() if name != "sha256"}
        for key in ("image_size", "normalisation"):
            values[key] = tuple(values[key])
        values["card"] = ModelCard.from_dict(values["card"])
        return cls(**values)

    def unsealed(self) -> bytes:
        """The buffer's content, with zeros in place of the SHA-256."""
        data = {"sha256": "0" * 64, **asdict(self), "card": self.card.to_dict()}
        text = json.dumps(data, sort_keys=False)
        return text.encode()


def seal(data: bytes, unsealed: bytes) -> bytes:
    """Writes the file's SHA-256 into the metadata in it.

    Args:
        data: the file, with ``unsealed`` in it.
        unsealed: the metadata with zeros in place of the SHA-256.

    Returns:
        The file with the SHA-256 of ``data`` in place of the zeros.
    """
    start = data.index(unsealed)
    digest = hashlib.sha256(data).hexdigest().encode()
    return data[: start + _SEAL.start] + digest + data[start + _SEAL.stop :]


def _metadata_text(data: bytes, path: Path) -> bytes:
    if data[4:8] != b"TFL3":
        raise UmlError(f"{path}: found no TFLite file, expected one that `uml-tf export --tflite` wrote")
    try:
        text = buffer_named(data, METADATA_NAME)
    except Exception as error:  # in a damaged file, flatbuffers raises whatever struct or NumPy raises
        raise UmlError(f"{path}: damaged or cut off, cannot be read as a TFLite file") from error
    if text is None:
        raise UmlError(f"{path}: found a TFLite file without uml-tf metadata, expected an exported network")
    return text


def _check_seal(data: bytes, text: bytes, path: Path) -> None:
    start = data.find(text)
    found = text[_SEAL]
    zeroed = data[: start + _SEAL.start] + b"0" * len(found) + data[start + _SEAL.stop :]
    digest = hashlib.sha256(zeroed).hexdigest()
    if start < 0 or found != digest.encode():
        raise UmlError(
            f"{path}: sha256: found {digest[:12]}..., expected {found[:12].decode(errors='replace')}...: "
            "the file was damaged or changed after its export"
        )


def read_metadata(data: bytes, path: Path) -> FileMetadata:
    """The metadata of a TFLite file, after comparing the whole file with its SHA-256.

    Args:
        data: the whole file.
        path: for messages.

    Raises:
        UmlError: it is damaged, cut off, not an export of uml-tf, or of a newer format.
    """
    text = _metadata_text(data, path)
    _check_seal(data, text, path)
    try:
        values = json.loads(text)
        found = int(values["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise UmlError(f"{path}: metadata: found no uml-tf format number") from error
    if found > FORMAT:
        raise UmlError(f"{path}: format: found {found}, expected at most {FORMAT}: use a newer uml-tf")
    try:
        return FileMetadata.from_dict(values)
    except (KeyError, TypeError, ValueError) as error:
        raise UmlError(f"{path}: metadata: found fields unlike those of format {found} ({error})") from error
