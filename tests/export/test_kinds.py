"""Every export kind, from random networks: outputs are opinions, that is beliefs and uncertainty sum to 1."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import onnx
import pytest
from ai_edge_litert.schema_py_generated import TensorType
from lenient import ANY_FILE
from small_networks import SIZE, random_images, random_network

from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.export.convert import convert
from uml_tf.export.flatbuffer import operator_name, read_model, tensor_types
from uml_tf.export.kinds import KINDS
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.metadata import METADATA_NAME, read_metadata
from uml_tf.runtime.predictor import predict_all

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

# kind, input type, batch, image classes, pixel classes, mean difference of the class uncertainty allowed
CASES = [
    ("tflite-none", "float32", 1, 2, 3, 1e-5),
    ("tflite-float16", "float32", 2, 3, 2, 1e-3),
    ("tflite-dynamic", "float32", 1, 2, 2, 0.05),
    ("tflite-int8", "uint8", 1, 4, 3, 0.05),
    ("tflite-int8-logits", "int8", 2, 3, 4, 0.05),
    ("onnx-none", "float32", 2, 2, 3, 1e-5),
    ("onnx-int8", "float32", 2, 3, 3, 0.05),
]


@cache
def _network(seed, image_classes=2, pixel_classes=3):
    return random_network(seed, image_classes, pixel_classes)


def _write(network, name, folder, **options):
    """Converts, writes and opens a file: (path, predictor)."""
    # A random network's classes hang on a thread: with the usual bounds, parts of it would stay in float.
    metadata, converted = convert(network, KINDS[name], tolerance=ANY_FILE, **options)
    (file,) = converted.files
    path = folder / file.name
    path.write_bytes(file.pack(metadata))
    return path, file.open(path)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: " ".join(map(str, case[:5])))
def exported(request, tmp_path_factory):
    name, input_type, batch, image_classes, pixel_classes, allowed = request.param
    seed = CASES.index(request.param)
    network = _network(seed, image_classes, pixel_classes)
    options = {"images": random_images(30, seed), "input_type": input_type, "batch": batch}
    path, predictor = _write(network, name, tmp_path_factory.mktemp("kinds"), **options)
    return network, KINDS[name], path, predictor, allowed


def test_every_kind_that_runs_here_is_tested():
    assert {case[0] for case in CASES} == {n for n, k in KINDS.items() if k.target.name != "tensorrt"}


def test_outputs_are_opinions_close_to_the_network(exported):
    network, _, _, predictor, allowed = exported
    images = np.rint(random_images(25, 99))  # whole numbers: an 8-bit input takes no others
    outputs, expected = predict_all(predictor, images), predict_all(KerasPredictor(network), images)
    assert tuple(outputs) == CONTRACT
    for name, value in outputs.items():
        assert value.shape == expected[name].shape, name
        assert value.dtype == np.float32
        assert np.isfinite(value).all()
        assert value.min() >= 0
        assert value.max() <= 1 + 1e-6
    for part in ("class", "mask"):
        total = outputs[f"{part}_belief"].sum(-1, keepdims=True) + outputs[f"{part}_uncertainty"]
        np.testing.assert_allclose(total, 1, atol=1e-5)
        np.testing.assert_allclose(outputs[f"{part}_probability"].sum(-1), 1, atol=1e-5)
        assert (outputs[f"{part}_uncertainty"] > 0).all()
        difference = np.abs(outputs[f"{part}_uncertainty"] - expected[f"{part}_uncertainty"]).mean()
        assert difference <= allowed
    for name in ("class_confidence", "mask_confidence", "familiarity"):
        assert np.abs(outputs[name] - expected[name]).mean() <= allowed, name


def test_metadata_are_in_the_file(exported):
    network, kind, path, _, _ = exported
    if kind.target.name == "onnx":
        properties = {p.key: p.value for p in onnx.load(path).metadata_props}
        assert '"run_id": "' + network.card.run_id in properties[METADATA_NAME]
        return
    found = read_metadata(path.read_bytes(), path)
    assert found.card == network.card
    assert found.image_size == SIZE
    assert (found.quantize, found.outputs) == (kind.value, kind.outputs)
    assert found.colour_order == "RGB"
    assert len(found.weights_sha256) == 64
    assert {"tensorflow", "keras", "ai-edge-litert"} <= set(found.versions)
    assert "not a probability of error" in found.intended_use


def test_tensor_types_are_those_of_the_kind(exported):
    _, kind, path, _, _ = exported
    if kind.target.name == "onnx":
        operators = [node.op_type for node in onnx.load(path).graph.node]
        assert ("QuantizeLinear" in operators) == (kind.value == "int8")
        return
    model = read_model(path.read_bytes())
    expected = {
        "none": {"FLOAT32", "INT32"},
        "float16": {"FLOAT32", "FLOAT16", "INT32"},
        "dynamic": {"FLOAT32", "INT8", "INT32"},
        "int8": {"FLOAT32", "INT8", "INT32"},
        "int8-logits": {"INT8", "INT32"},
    }
    extra = {"UINT8"} if read_metadata(path.read_bytes(), path).input_type == "uint8" else set()
    assert tensor_types(model) == expected[kind.value] | extra
    if kind.value == "int8":
        _check_heads(model)


def _check_heads(model):
    """Only the heads of an int8 file compute in float."""
    graph = model.subgraphs[0]
    weighted = [o for o in graph.operators if operator_name(model, o) in WEIGHTED]
    kinds = [
        (operator_name(model, operator), graph.tensors[operator.inputs[1]].type) for operator in weighted
    ]
    in_float = {name: kinds.count((name, TensorType.FLOAT32)) for name in WEIGHTED}
    # Mutual learning and segmentation; the class from both encoders.
    assert in_float == {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 2}
    assert sum(kind == TensorType.INT8 for _, kind in kinds) > 100


def test_ablated_network_is_exported(tmp_path):
    network = random_network(7, 2, 3, "evidential", "instructor")
    _, predictor = _write(network, "tflite-int8-logits", tmp_path, images=random_images(10))
    images = random_images(8, 3)
    outputs, expected = predict_all(predictor, images), predict_all(KerasPredictor(network), images)
    total = outputs["class_belief"].sum(-1, keepdims=True) + outputs["class_uncertainty"]
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert np.abs(outputs["class_uncertainty"] - expected["class_uncertainty"]).mean() < 0.05


def test_int8_without_images_is_refused():
    with pytest.raises(UmlError, match="--tflite --quantize int8: found no calibration image"):
        convert(_network(0), KINDS["tflite-int8"])


def test_int8_logits_takes_no_uint8():
    with pytest.raises(UmlError, match="--input: found uint8, --tflite --quantize int8-logits takes int8"):
        convert(_network(0), KINDS["tflite-int8-logits"], random_images(3), "uint8")


def test_unknown_kind_is_refused():
    with pytest.raises(UmlError, match="export kind: found 'tflite-int4', expected one of onnx-int8"):
        KINDS["tflite-int4"]


def _python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_help_lists_the_kinds_without_tensorflow():
    _python(
        "import sys; from click.testing import CliRunner; from uml_tf.cli.main import main;"
        "from uml_tf.export.kinds import KINDS;"
        "shown = CliRunner().invoke(main, ['export', '--help']).output;"
        "assert all(kind.options in shown for _, kind in KINDS.items()), shown;"
        "heavy = {'tensorflow', 'keras', 'onnx', 'onnxruntime', 'scipy', 'mlflow'} & set(sys.modules);"
        "assert not heavy, heavy"
    )


def test_tflite_export_imports_no_onnx():
    _python(
        "import sys; import uml_tf.export.run, uml_tf.export.tflite;"
        "from uml_tf.export.kinds import KINDS; len(KINDS);"
        "found = {'onnx', 'onnxruntime', 'tf2onnx'} & set(sys.modules); assert not found, found"
    )


@pytest.mark.parametrize(("option", "absent"), [("--onnx", "onnx"), ("--tensorrt", "tf2onnx")])
def test_export_without_the_onnx_extra_names_it(tmp_path, option, absent):
    code = (
        f"import sys; sys.modules['{absent}'] = None; from uml_tf.cli.main import main;"
        f"main(['export', 'last', '{option}', '--out', 'never'])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"uml-tf: export {option}: the package {absent} is not installed, expected the extra [onnx]: "
        "pip install 'uml-tf[onnx]'\n"
    )
    assert not (tmp_path / "never").exists()
