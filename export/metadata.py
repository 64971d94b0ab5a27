"""Writing the metadata into an exported file."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from uml_tf.export.flatbuffer import pack_model, read_model

from uml_tf import __version__
from uml_tf.networks import UML
from uml_tf.runtime.metadata import METADATA_NAME, FileMetadata, seal

_LIBRARIES = ("tensorflow", "keras", "ai-edge-litert", "ai-edge-quantizer", "onnx", "onnxruntime", "numpy")


def weights_sha256(model: UML) -> str:
    """SHA-256 of all weights, in the model's order, as float32 bytes."""
    digest = hashlib.sha256()
    for weight in model.weights:
        digest.update(np.ascontiguousarray(weight.numpy(), np.float32).tobytes())
    return digest.hexdigest()


def _versions() -> dict[str, str]:
    found = {"uml-tf": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe(model: UML, quantize: str, input_type: str) -> FileMetadata:
    """The metadata of an export of a trained model."""
    assert model.card is not None
    return FileMetadata(
        card=model.card,
        preset=model.spec.preset,
        image_size=model.image_size,
        input_type="int8" if quantize == "int8-logits" else input_type,
        normalisation=model.normalisation,
        quantize=quantize,
        outputs="logits" if quantize == "int8-logits" else "contract",
        evidential=model.spec.ablation.evidential,
        weights_sha256=weights_sha256(model),
        versions=_versions(),
    )


def add_metadata(data: bytes, metadata: FileMetadata) -> bytes:
    """The TFLite file with the metadata in it, sealed with the SHA-256 of the whole."""
    text = metadata.unsealed()
    model = read_model(data)
    model.metadata = [m for m in model.metadata or [] if m.name != METADATA_NAME.encode()]
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(text, np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers) - 1
    model.metadata.append(entry)
    return seal(pack_model(model, names=metadata.quantize == "none"), text)
