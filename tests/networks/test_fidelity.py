"""The published networks, number for number, against what the authors' PyTorch networks returned.

``pytest tests/networks/test_fidelity.py -n 0 -s`` prints the figures that docs/fidelity.md states.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from uml_tf.losses import LossSpec, joint_loss
from uml_tf.networks import UML, preset
from uml_tf.networks.torch.names import layer_of, load_state, variable_of


def _draw_parameters(manifest):
    """The recorded recipe: every parameter is drawn from its name."""
    for name, shape in manifest["parameters"]:
        r = np.random.RandomState((zlib.crc32(name.encode()) + manifest["seed"]) % 2**32)
        last = name.split(".")[-1]
        if last == "running_var":
            value = r.uniform(0.8, 1.2, shape)
        elif last in ("running_mean", "bias"):
            value = 0.1 * r.randn(*shape)
        elif len(shape) == 1:
            value = r.uniform(0.8, 1.2, shape)
        else:
            value = r.randn(*shape) * np.sqrt(1.35 / np.prod(shape[1:]))
        yield name, value.astype(np.float32)


class Case:
    """A network with the recorded weights, the recorded outputs, and the figures that were measured."""

    def __init__(self, reference, name):
        self.manifest = json.loads((reference / f"{name}.json").read_text())
        self.arrays = np.load(reference / f"{name}.npz")
        self.state = dict(_draw_parameters(self.manifest))
        # Recorded with all dropout off.
        spec = preset(name)
        self.spec = replace(
            spec,
            conv=replace(spec.conv, dropout=0.0),
            instructor=replace(spec.instructor, dropout=0.0),
        )
        size = self.manifest["size"]
        self.model = UML(self.spec, self.manifest["cls_classes"], self.manifest["seg_classes"], (size, size))
        self.report = load_state(self.model, self.state)
        # The authors' input is the image / 255; that division is inside our network.
        self.images = tf.constant(self.arrays["input"].transpose(0, 2, 3, 1) * np.float32(255))
        self.figures = {}

    def outputs(self, training):
        """Our outputs by their recorded names."""
        outputs = self.model.training_model(self.images, training=training)
        outputs = {name: value.numpy() for name, value in outputs.items()}
        alpha = outputs["class_head"]
        found = {"cls_alpha": alpha, "cls_uncertainty": alpha.shape[1] / alpha.sum(1, keepdims=True)}
        one_level = "mutual_head_2" not in outputs
        for key, value in outputs.items():
            for ours, theirs in (
                ("mutual_head", "mut_evidence"),
                ("mutual_uncertainty", "mut_uncertainty"),
                ("segmentation_logits", "seg_logits"),
                ("reliable_mask", "reliable_mask"),
            ):
                if key.startswith(ours):
                    value = value - 1 if ours == "mutual_head" else value
                    found[key.replace(ours, theirs)] = value
                    if one_level or ours == "segmentation_logits":
                        found[theirs] = found.get(theirs, value)
        return found


@pytest.fixture(scope="module")
def figures():
    """preset -> figure -> value; printed when the file's tests are done."""
    measured = {}
    yield measured
    if measured:
        print("\n\n| | " + " | ".join(f"`{name}`" for name in measured) + " |")
        print("| --- |" + " --- |" * len(measured))
        for figure in next(iter(measured.values())):
            print(f"| {figure} | " + " | ".join(found.get(figure, "-") for found in measured.values()) + " |")


@pytest.fixture(scope="module", params=["released", "paper"])
def case(request, reference, figures):
    case = Case(reference, request.param)
    figures[request.param] = case.figures
    return case


def test_every_name_is_mapped_and_fits(case):
    assert case.report.fits, (case.report.unknown, case.report.misfits, case.report.missing)
    assert case.report.loaded + len(case.report.unused) == len(case.state)
    assert all("layer4" in name or "conv5_" in name for name in case.report.unused)
    loaded, unused = case.report.loaded, len(case.report.unused)
    case.figures["parameters of the checkpoint mapped"] = f"{loaded} of {loaded + unused}, {unused} unused"


@pytest.mark.parametrize(("mode", "tolerance"), [("eval", 1e-4), ("train", 1e-3)])
def test_recorded_outputs(case, mode, tolerance):
    before = case.model.get_weights()
    found = case.outputs(training=mode == "train")
    case.model.set_weights(before)
    errors = {}
    for key in case.arrays.files:
        if key.startswith(f"{mode}/"):
            expected = case.arrays[key]
            if expected.ndim == 4:
                expected = expected.transpose(0, 2, 3, 1)
            difference = np.abs(found[key.split("/")[1]] - expected).max()
            errors[key] = difference / np.abs(expected).max()
    assert len(errors) >= 10
    name = {"eval": "inference", "train": "training mode"}[mode]
    case.figures[f"largest relative error of the outputs, {name}"] = f"{max(errors.values()):.0e}"
    assert max(errors.values()) < tolerance, errors


def test_recorded_losses_and_gradient_norms(case):
    form = "dice" if case.spec.preset == "paper" else "dice+ce"
    spec = LossSpec(segmentation=form)
    batch = {
        "label": tf.constant(case.arrays["label"], tf.int32),
        "mask": tf.constant(case.arrays["mask"][:, 0], tf.uint8),
        "has_mask": tf.ones(len(case.arrays["label"])),
    }
    before = case.model.get_weights()
    variables = case.model.training_model.trainable_variables
    with tf.GradientTape() as tape:
        outputs = case.model.training_model(case.images, training=True)
        total = joint_loss(outputs, batch, 25.0, spec)["total"]
    gradients = tape.gradient(total, variables)
    case.model.set_weights(before)
    errors = {}
    for epoch in ("0", "25", "80"):
        recorded = case.manifest["losses"][epoch]
        terms = joint_loss(outputs, batch, float(epoch), spec)
        for term in ("cls", "seg", "mut", "total"):
            errors[epoch, term] = abs(float(terms[term]) / recorded[term] - 1)
    case.figures["largest relative error of the loss terms at epochs 0, 25, 80"] = (
        f"{max(errors.values()):.0e}"
    )
    assert max(errors.values()) < 1e-3, errors
    norms = {id(v): float(tf.norm(g)) for v, g in zip(variables, gradients, strict=True)}
    _check_norms(case, norms)


def _check_norms(case, norms):
    recorded = case.manifest["losses"]["grad_norm_epoch_25"]
    largest = max(recorded.values())
    errors = {}
    for name, expected in recorded.items():
        found = norms[id(variable_of(case.model, name))]
        # Biases before a batch norm have a gradient of 0; what is recorded there is rounding.
        errors[name] = max(abs(found - expected) - 1e-6 * largest, 0.0) / max(expected, 1e-6 * largest)
    within = sum(error <= 0.01 for error in errors.values())
    case.figures["gradient norms within 1 %"] = f"{within} of {len(recorded)}"
    case.figures["largest relative error of a gradient norm"] = f"{max(errors.values()):.0e}"
    if case.spec.preset == "paper":
        assert within == len(recorded), errors
        return
    # In the released network the path through level 3 (mixer, stage 3 and the layers below it) is ill
    # conditioned in float32: the recorded norms there are themselves 3 % from the exact gradient, which
    # the same graph computed in float64 gives, and ours 1 % on its other side (docs/fidelity.md).
    # How many of its norms lie within 1 % depends on the processor: 307 and 276 of all 374 by the same code.
    path = re.compile(r"(cls|seg)_feature_encoder\.(conv1|layer1|layer2)|mut_feature_mixer\.")
    beside = [error for name, error in errors.items() if not path.match(name)]
    assert len(beside) >= 0.6 * len(recorded)
    assert sum(error <= 0.01 for error in beside) >= 0.98 * len(beside)
    assert within >= 0.7 * len(recorded), f"{within} of {len(recorded)}"
    assert max(errors.values()) < 0.05, {n: e for n, e in errors.items() if e > 0.05}


def test_names_that_are_not_the_networks_are_reported(case):
    assert layer_of("somewhere.else", case.spec.preset) is None
    first = next(name for name in case.state if name.endswith("weight"))
    report = load_state(case.model, {"x.weight": np.zeros(3), first: np.zeros((1, 1, 1, 1))})
    assert report.unknown == ["x.weight"]
    assert report.misfits[0].startswith(f"{first}: found (1, 1, 1, 1), expected")
    assert len(report.missing) == case.report.loaded - 1
