"""Writing metadata into an exported TFLite file."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from uml_tf.export.flatbuffer import pack_model, read_model
from uml_tf.export.kind import ExportKind
from uml_tf.networks import UML
from uml_tf.networks.files import weights_sha256
from uml_tf.runtime.metadata import METADATA_NAME, FileMetadata, seal
from uml_tf.runtime.version import VERSION

_LIBRARIES = ("tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer", "onnx", "onnxruntime", "numpy")


def _versions() -> dict[str, str]:
    found = {"uml-tf": VERSION}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe(network: UML, kind: ExportKind, input_type: str) -> FileMetadata:
    """The metadata of a trained network exported as a kind."""
    assert network.card is not None
    return FileMetadata(
        card=network.card,
        preset=network.spec.preset,
        image_size=network.image_size,
        input_type=input_type,
        normalisation=network.normalisation,
        quantize=kind.value,
        outputs=kind.outputs,
        evidential=network.spec.ablation.evidential,
        evidential_mask=network.spec.draws_by_evidence,
        fused_mask=network.spec.fuses_evidence,
        prior_weight=network.spec.prior_weight,
        weights_sha256=weights_sha256(network),
        versions=_versions(),
    )


def add_metadata(data: bytes, metadata: FileMetadata, names: bool) -> bytes:
    """The TFLite file with the metadata in it and, at their start, the SHA-256 of the whole file.

    Args:
        data: the file without metadata.
        metadata: what to add.
        names: keep the tensors' names (see ``flatbuffer.pack_model``).
    """
    text = metadata.unsealed()
    model = read_model(data)
    model.metadata = [m for m in model.metadata or [] if m.name != METADATA_NAME.encode()]
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(text, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    model.metadata.append(entry)
    return seal(pack_model(model, names), text)
