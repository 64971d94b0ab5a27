"""Every kind of file, from random networks, answers opinions: beliefs and uncertainty sum to 1."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from ai_edge_litert.schema_py_generated import TensorType
from small_networks import SIZE, random_images, random_network
from uml_tf.export.flatbuffer import operator_name, read_model, tensor_types
from uml_tf.export.targets import OnnxTarget, TFLiteTarget
from uml_tf.export.tflite import TFLiteSpec, convert

from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.runtime.contract import CONTRACT
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.metadata import METADATA_NAME, read_metadata
from uml_tf.runtime.predictor import predict_all

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

# kind, image classes, pixel classes, mean difference of the class uncertainty allowed
KINDS = [
    (TFLiteSpec(), 2, 3, 1e-5),
    (TFLiteSpec("float16", batch=2), 3, 2, 1e-3),
    (TFLiteSpec("dynamic"), 2, 2, 0.05),
    (TFLiteSpec("int8", "uint8"), 4, 3, 0.05),
    (TFLiteSpec("int8-logits", batch=2), 3, 4, 0.05),
    ("none", 2, 3, 1e-5),
    ("int8", 3, 3, 0.05),
]


def _name(case):
    spec = case[0]
    kind = f"onnx {spec}" if isinstance(spec, str) else f"tflite {spec.quantize} {spec.input_type}"
    return f"{kind} {case[1]} {case[2]}"


@pytest.fixture(scope="module", params=KINDS, ids=_name)
def exported(request, tmp_path_factory):
    spec, image_classes, pixel_classes, allowed = request.param
    seed = KINDS.index(request.param)
    model = random_network(seed, image_classes, pixel_classes)
    images = random_images(30, seed)
    if isinstance(spec, str):
        target = OnnxTarget(model, spec, 2, images)
    else:
        target = TFLiteTarget(model, spec, images)
    path = tmp_path_factory.mktemp("kinds") / target.file_name
    path.write_bytes(target.packed(kept_by_force=False))
    return model, spec, path, target.open(path), allowed


def test_answers_are_opinions_and_near_the_network(exported):
    model, _, _, source, allowed = exported
    images = random_images(25, 99)
    images = np.rint(images)  # an 8-bit input takes no others
    answers, expected = predict_all(source, images), predict_all(KerasPredictor(model), images)
    assert tuple(answers) == CONTRACT
    for name, value in answers.items():
        assert value.shape == expected[name].shape, name
        assert value.dtype == np.float32
        assert np.isfinite(value).all()
        assert value.min() >= 0
        assert value.max() <= 1 + 1e-6
    for part in ("class", "mask"):
        total = answers[f"{part}_belief"].sum(-1, keepdims=True) + answers[f"{part}_uncertainty"]
        np.testing.assert_allclose(total, 1, atol=1e-5)
        np.testing.assert_allclose(answers[f"{part}_probability"].sum(-1), 1, atol=1e-5)
        assert (answers[f"{part}_uncertainty"] > 0).all()
        difference = np.abs(answers[f"{part}_uncertainty"] - expected[f"{part}_uncertainty"]).mean()
        assert difference <= allowed


def test_file_says_what_it_is(exported):
    model, spec, path, _, _ = exported
    if isinstance(spec, str):
        properties = {p.key: p.value for p in onnx.load(path).metadata_props}
        assert '"run_id": "' + model.card.run_id in properties[METADATA_NAME]
        return
    found = read_metadata(path.read_bytes(), path)
    assert found.card == model.card
    assert found.image_size == SIZE
    assert found.quantize == spec.quantize
    assert found.colour_order == "RGB"
    assert len(found.weights_sha256) == 64
    assert {"tensorflow", "keras", "ai-edge-litert"} <= set(found.versions)
    assert "not a probability of error" in found.intended_use


def test_arithmetic_is_of_the_kind_asked_for(exported):
    _, spec, path, _, _ = exported
    if isinstance(spec, str):
        operators = [node.op_type for node in onnx.load(path).graph.node]
        assert ("QuantizeLinear" in operators) == (spec == "int8")
        return
    types = tensor_types(read_model(path.read_bytes()))
    expected = {
        "none": {"FLOAT32", "INT32"},
        "float16": {"FLOAT32", "FLOAT16", "INT32"},
        "dynamic": {"FLOAT32", "INT8", "INT32"},
        "int8": {"FLOAT32", "INT8", "INT32"},
        "int8-logits": {"INT8", "INT32"},
    }
    extra = {"UINT8"} if spec.input_type == "uint8" else set()
    assert types == expected[spec.quantize] | extra
    if spec.quantize == "int8":
        _check_heads(read_model(path.read_bytes()))


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


def test_ablated_network_exports_too(tmp_path):
    model = random_network(7, 2, 3, "evidential", "instructor")
    target = TFLiteTarget(model, TFLiteSpec("int8-logits"), random_images(10))
    path = tmp_path / target.file_name
    path.write_bytes(target.packed(kept_by_force=False))
    images = random_images(8, 3)
    answers, expected = predict_all(target.open(path), images), predict_all(KerasPredictor(model), images)
    total = answers["class_belief"].sum(-1, keepdims=True) + answers["class_uncertainty"]
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert np.abs(answers["class_uncertainty"] - expected["class_uncertainty"]).mean() < 0.05


def test_int8_without_images_is_refused():
    with pytest.raises(UmlError, match="--quantize int8: found no calibration image"):
        convert(random_network(0), TFLiteSpec("int8"), None)


def test_int8_logits_takes_no_uint8():
    with pytest.raises(UmlError, match="not for int8-logits"):
        TFLiteSpec("int8-logits", "uint8")
