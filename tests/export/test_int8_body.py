"""Equalization keeps what a network computes; with corrected biases, int8 keeps uneven channels."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from inverted_residuals import inverted_residuals, run, samples

from uml_tf.export.activations import channel_ranges, observe
from uml_tf.export.bias_correction import correct_biases, mean_result, rounded
from uml_tf.export.calibration_check import CalibrationCheck
from uml_tf.export.equalization import equalize, streams
from uml_tf.export.float_graph import FloatGraph
from uml_tf.export.int8_body import layer_of
from uml_tf.export.int8_recipe import int8_recipe, quantize, uneven_convolutions
from uml_tf.export.kind import no_display
from uml_tf.export.mixed_precision import MOST_IN_FLOAT, blocks, choose
from uml_tf.export.tolerance import Tolerance
from uml_tf.runtime.model_card import ModelCard

CALIBRATION, HELD_OUT = samples(24), samples(12, seed=2)
SPREAD = 50.0


def _no_progress(count):
    pass


def _convolutions(graph):
    return sorted(set(graph.convolutions) & set(graph.body))


def _equalized(data):
    graph = FloatGraph(data)
    tensors = [tensor for stream in streams(graph) for tensor in stream.tensors]
    equalize(graph, channel_ranges(graph, tensors, CALIBRATION, _no_progress))
    return graph.pack()


def _quantized(data, corrected, in_float=frozenset()):
    graph = FloatGraph(data)
    found = observe(graph, _convolutions(graph), CALIBRATION)
    each_channel = uneven_convolutions(graph)
    if corrected:
        patches = {c: patch for c, patch in found.patches.items() if c not in in_float}
        correct_biases(graph, patches, each_channel)
    return quantize(graph.pack(), int8_recipe(graph, each_channel, in_float), found)


def _error(data, expected):
    found = run(data, HELD_OUT)
    names = ("class_uncertainty", "mask_uncertainty")
    return sum(float(np.abs(found[name] - expected[name]).mean()) for name in names)


@pytest.fixture(scope="module")
def uneven():
    return inverted_residuals(SPREAD)


@pytest.fixture(scope="module")
def even():
    return inverted_residuals()


@pytest.fixture(scope="module")
def expected(uneven):
    return run(uneven, HELD_OUT)


def test_bottlenecks_tied_by_additions_are_one_stream(uneven):
    graph = FloatGraph(uneven)
    (stream,) = streams(graph)
    kinds = [graph.kinds[operator] for operator in (*stream.writers, *stream.readers)]
    assert (len(stream.tensors), len(stream.writers), len(stream.readers)) == (5, 3, 3)
    assert set(kinds) == {"CONV_2D"}


def test_equalization_keeps_what_the_network_computes(uneven, expected):
    data = _equalized(uneven)
    found = run(data, HELD_OUT)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)
    (before, after) = (FloatGraph(uneven), FloatGraph(data))
    spreads = []
    for graph in (before, after):
        (stream,) = streams(graph)
        ranges = channel_ranges(graph, stream.tensors, CALIBRATION, _no_progress)
        largest = np.max(list(ranges.values()), axis=0)
        spreads.append(largest.max() / largest.min())
    assert spreads[1] < spreads[0] / 5


def test_int8_keeps_a_network_of_uneven_channels(uneven, even, expected):
    plain = _error(_quantized(uneven, corrected=False), expected)
    biases = _error(_quantized(uneven, corrected=True), expected)
    both = _error(_quantized(_equalized(uneven), corrected=True), expected)
    without_spread = _error(_quantized(even, corrected=False), run(even, HELD_OUT))
    assert both < plain / 3
    assert both < biases
    assert both < 1.5 * without_spread


def test_corrected_biases_keep_the_mean_of_each_convolution(uneven):
    graph = FloatGraph(uneven)
    before = observe(graph, _convolutions(graph), CALIBRATION).patches
    changed = FloatGraph(uneven)
    correct_biases(changed, before, uneven_convolutions(graph))
    for convolution, patch in before.items():
        depthwise = graph.kinds[convolution] == "DEPTHWISE_CONV_2D"
        means = [
            mean_result(g.weights(convolution).astype(float), patch, depthwise) + g.bias(convolution)
            for g in (graph, changed)
        ]
        np.testing.assert_allclose(means[1], means[0], atol=1e-4 * (1 + np.abs(means[0]).max()))
        assert np.any(graph.weights(convolution) != changed.weights(convolution))


def test_mean_patches_are_those_of_the_convolutions_result(uneven):
    """With the mean of what its taps read, padding included, the mean of a linear result is exact."""
    graph = FloatGraph(uneven)
    (stream,) = streams(graph)
    found = observe(graph, stream.writers, CALIBRATION[:3])
    data = graph.pack()
    for writer in stream.writers:
        expected = _means(data, graph.result(writer), CALIBRATION[:3])
        mean = mean_result(graph.weights(writer).astype(float), found.patches[writer], False)
        np.testing.assert_allclose(mean + graph.bias(writer), expected, rtol=1e-4, atol=1e-4)


def _means(data, tensor, inputs):
    interpreter = Interpreter(model_content=data, experimental_preserve_all_tensors=True)
    runner = interpreter.get_signature_runner()
    totals = []
    for sample in inputs:
        runner(**sample)
        totals.append(interpreter.get_tensor(tensor).mean(axis=(0, 1, 2)))
    return np.mean(totals, axis=0)


def test_rounded_weights_are_what_127_steps_hold():
    weights = np.array([[1.27, -0.014, 0.006], [0.254, 0.0031, -0.1]]).reshape(2, 1, 1, 3)
    found = rounded(weights, 0, each_channel=False)
    np.testing.assert_allclose(found.reshape(2, 3), [[1.27, -0.01, 0.01], [0.25, 0, -0.1]], atol=1e-9)
    own = rounded(weights, 0, each_channel=True)
    assert abs(own - weights)[1].max() <= 0.001 < abs(found - weights)[1].max()


def test_a_channel_without_weights_keeps_its_bias_in_int8(even):
    graph = FloatGraph(even)
    stem = graph.convolutions[0]
    weights, bias = graph.weights(stem).copy(), graph.bias(stem).copy()
    weights[3], bias[3], weights[0] = 0.0, 2.5, weights[0] * 20
    graph.set_weights(stem, weights)
    graph.set_bias(stem, bias)
    data = graph.pack()
    assert stem in uneven_convolutions(FloatGraph(data)), "the channels must have scales of their own"
    with np.errstate(invalid="raise"):
        with pytest.raises(FloatingPointError):
            _quantized(data, corrected=False)
        assert _error(_quantized(data, corrected=True), run(data, HELD_OUT)) < 0.02


def test_where_int8_is_not_enough_the_worst_parts_stay_in_float(uneven, expected):
    data = _equalized(uneven)
    graph = FloatGraph(data)
    card = ModelCard(image_classes=("a", "b", "c"), pixel_classes=("d", "e"), accept_above=0.5)

    def mixed(**bounds):
        check = CalibrationCheck(uneven, CALIBRATION, card, Tolerance(**bounds))
        return choose(graph, lambda kept: _quantized(data, True, kept), check, no_display)

    shares = ("class_agreement", "accepted_agreement", "decision_agreement", "mask_agreement")
    loose = dict.fromkeys((*shares, "class_rho", "mask_rho"), 0.5)
    loose |= {"class_confidence_difference": 0.5, "mask_confidence_difference": 0.5}
    plain = mixed(**loose, class_difference=0.5, mask_difference=0.5)
    assert not plain.in_float
    found = mixed(**loose, class_difference=0.5, mask_difference=1e-6)
    assert found.in_float
    assert 0 < found.share <= MOST_IN_FLOAT
    assert [check.name for check in found.reason] == ["mask_difference"]
    assert found.in_float <= set(graph.body)
    assert _error(found.data, expected) < _error(plain.data, expected)


def test_blocks_hold_every_operator_of_the_body_once(uneven):
    graph = FloatGraph(uneven)
    assert [operator for block in blocks(graph) for operator in block] == graph.body


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("uml_1/contract_1/mixer_1/out_conv/convolution", "mixer/out_conv"),
        ("uml_1/contract_1/enc_1/Relu6;uml_1/contract_1/enc_1/bn_BN_1/batchnorm/add_1", "enc/bn_BN"),
        ("uml_1/enc_1/relu_1/Relu6;uml_1/enc_1/conv_1/convolution;", "enc/conv"),
        ("uml_1/enc_1/dw_1/depthwise;;uml_1/enc_1/block_1_pad_1/Pad", "enc/dw"),
        ("uml_1/enc_1/block_1_pad_1/Pad", "enc/block_1_pad"),
    ],
)
def test_the_report_names_layers_also_where_norms_were_folded(name, layer):
    assert layer_of(name) == layer
