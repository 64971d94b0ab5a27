"""``--tflite --quantize int8-logits``: integers throughout; the host computes the outputs from the logits."""

from __future__ import annotations

from typing import Any

from uml_tf.export.kind import Converted, ExportKind, Request
from uml_tf.export.kinds import register
from uml_tf.export.targets import TFLITE
from uml_tf.runtime.errors import UmlError

_INTEGERS = {"INT8", "INT32"}


def convert(request: Request) -> Converted:
    """Converts the network up to its logits, with int8 input and outputs, and corrects its biases.

    Raises:
        UmlError: a tensor of another type is left.
    """
    import tensorflow as tf

    from uml_tf.export.activations import observe
    from uml_tf.export.converted_biases import correct_converted_biases
    from uml_tf.export.flatbuffer import read_model, tensor_types
    from uml_tf.export.float_graph import FloatGraph
    from uml_tf.export.tflite import calibration_samples, convert_network, tflite_file

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: calibration_samples(request)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8

    graph, samples = FloatGraph(convert_network(request)), list(calibration_samples(request))
    done = request.stage("calibrating", len(samples))
    patches = observe(graph, graph.convolutions, samples, done).patches
    data, corrected = correct_converted_biases(convert_network(request, configure), graph, patches)
    types = tensor_types(read_model(data))
    if types - _INTEGERS:
        found = ", ".join(sorted(types))
        raise UmlError(f"export int8-logits: found tensors of {found}, expected INT8 and INT32 only")
    return tflite_file(data, numbers={"corrected_convolutions": float(corrected)})


register(
    ExportKind(
        TFLITE,
        "int8-logits",
        "Int8 and int32 tensors only, outputs the logits; the runtime computes beliefs and uncertainty "
        "from them. For NPUs and Edge TPU class chips.",
        convert,
        calibrated=True,
        outputs="logits",
        input_types=("int8",),
    )
)
