"""Size of the int8 edge network, written by the TFLite schema's packer and by ``uml_tf.export.flatbuffer``.

Run: ``python benchmarks/packing.py``. The weights are random; the structure, which decides the sizes, is that
of every edge network.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import flatbuffers
import numpy as np

from uml_tf.export.flatbuffer import FILE_IDENTIFIER, pack_model, read_model
from uml_tf.export.int8_body import quantize_body
from uml_tf.export.kind import Request
from uml_tf.export.kinds import KINDS
from uml_tf.export.metadata import describe
from uml_tf.export.tflite import convert_network
from uml_tf.networks import UML, preset
from uml_tf.runtime.model_card import ModelCard


def schema_packed(data: bytes, names: bool) -> bytes:
    """The file read and written again by the classes that are generated from the schema."""
    model = read_model(data)
    if not names:
        for tensor in model.subgraphs[0].tensors:
            tensor.name = None
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def main() -> None:
    """Converts once and prints the sizes."""
    model = UML(preset("edge"), 2, 3, (256, 256))
    model.card = ModelCard(("healthy", "ill"), ("background", "rim", "cup"))
    images = np.random.default_rng(0).uniform(0, 255, (8, 256, 256, 3)).astype(np.float32)
    kind = KINDS["tflite-int8"]
    request = Request(model, describe(model, kind, "float32"), 1, images)
    data = quantize_body(convert_network(request), request).data
    sizes = {
        "weights in int8": model.count_params(),
        "as the quantizer writes it": len(data),
        "schema's packer, without names": len(schema_packed(data, names=False)),
        "pack_model": len(pack_model(read_model(data), names=False)),
    }
    for name, size in sizes.items():
        print(f"{name:32s} {size / 1e3:6.1f} kB")


if __name__ == "__main__":
    main()
