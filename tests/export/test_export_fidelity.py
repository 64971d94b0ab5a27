"""The fidelity check fails where a file does not follow its network, and reports what it found."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_networks import random_network

from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.export.fidelity import compare
from uml_tf.export.report import write_report
from uml_tf.export.tolerance import Tolerance
from uml_tf.metrics.wilson import wilson_interval
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.predictor import predict_all
from uml_tf.runtime.trust import NO_TRUST

NAMES = tuple(Tolerance.__dataclass_fields__)


class Changed:
    """A file that returns what the network returns, after a change to one output."""

    def __init__(self, network, name, change):
        self.image_size, self.batch_size = network.image_size, network.batch_size
        self.place = network.place
        self._network, self._name, self._change = network, name, change

    def __call__(self, images):
        outputs = dict(self._network(images))
        outputs[self._name] = self._change(outputs[self._name])
        return outputs


def _constant(values):
    return np.full_like(values, 0.5)


@pytest.fixture(scope="module")
def network():
    return KerasPredictor(random_network(4))


@pytest.fixture(scope="module")
def card(network, phantoms):
    """Thresholds at which a third of the images are referred, and none is ungradable."""
    images = phantoms.split("val")
    assert len(images) == 9
    card = replace(network.model.card, trust=NO_TRUST)
    network.model.card = card  # so that none is ungradable
    inputs = np.concatenate([chunk.inputs(network).images for chunk in read_chunks(phantoms, "val")])
    confidence = np.sort(predict_all(network, inputs)["class_confidence"][:, 0])
    return replace(card, accept_above=float(0.4 * confidence[2] + 0.6 * confidence[3]))


@pytest.fixture
def compared(network, card, phantoms):
    def run(file=network, of=network, **bounds):
        return compare(of, file, card, phantoms, "val", Tolerance(**bounds))

    return run


def test_a_file_like_its_network_keeps_everything(compared):
    found = compared()
    assert found.broken == []
    assert [check.name for check in found.checks] == list(NAMES)
    assert found.numbers["class_uncertainty_rho"] == pytest.approx(1)
    assert found.numbers["decision_agreement"] == 1


@pytest.mark.parametrize(("part", "name"), [("class", "class_rho"), ("mask", "mask_rho")])
def test_constant_uncertainty_of_the_file_is_refused(compared, network, part, name):
    loose = dict.fromkeys(("class_difference", "mask_difference"), 1.0)
    file = Changed(network, f"{part}_uncertainty", _constant)
    found = compared(file, decision_agreement=0, accepted_agreement=0, **loose)
    assert found.numbers[f"{part}_uncertainty_rho"] is None
    assert len(found.broken) == 1
    assert found.broken[0].startswith(f"{name}: not defined, the file's uncertainty is constant at 0.5")


def test_constant_uncertainty_of_the_network_is_refused_even_where_the_file_has_it_too(compared, network):
    constant = Changed(network, "class_uncertainty", _constant)
    found = compared(network, of=constant)
    assert any(line.startswith("class_rho: not defined, the network's") for line in found.broken)
    found = compared(constant, of=constant)
    assert found.broken == [
        "class_rho: not defined, the network's uncertainty is constant at 0.5 and the file's uncertainty is "
        "constant at 0.5, expected at least 0.99"
    ]


def _of_order(order):
    """The same values in another order of the images; ``order`` says which rank takes which value."""

    def change(values):
        ranks = values[:, 0].argsort()
        changed = values.copy()
        changed[ranks] = values[ranks][order(len(ranks))]
        return changed

    return change


def test_neighbours_that_change_places_are_kept_and_a_lost_order_is_refused(compared, network):
    loose = {"class_difference": 1.0, "decision_agreement": 0, "accepted_agreement": 0}

    def swapped(count):
        return np.r_[1, 0, 2:count]

    found = compared(Changed(network, "class_uncertainty", _of_order(swapped)), **loose)
    check = next(check for check in found.checks if check.name == "class_rho")
    # Of 9 ranks, two off by one: 1 - 6 * 2 / (9 * 80).
    assert check.found == pytest.approx(1 - 12 / 720)
    assert check.found < check.bound < check.interval[1]
    assert found.broken == []
    found = compared(
        Changed(network, "class_uncertainty", _of_order(lambda n: np.roll(np.arange(n), 2))), **loose
    )
    assert [line.split(":")[0] for line in found.broken] == ["class_rho"]
    assert found.numbers["class_uncertainty_rho_high"] < 0.99


def test_other_decisions_are_refused_where_the_numbers_are_close(compared, network, card):
    def up_to_the_threshold(values):
        near = np.abs(values - card.accept_above)
        return np.where(near == near.min(), 2 * card.accept_above - values, values)

    # One image of nine crosses the threshold by as much as it was away from it.
    found = compared(Changed(network, "class_confidence", up_to_the_threshold))
    assert found.numbers["class_uncertainty_mean_difference"] < 0.01
    assert found.numbers["decision_agreement"] == pytest.approx(8 / 9)
    # One of nine decisions does not contradict .98; one of six or seven accepted answers contradicts .99.
    accepted = int(found.numbers["accepted_images"])
    low, high = wilson_interval(accepted - 1, accepted)
    assert found.broken == [
        f"accepted_agreement: found {1 - 1 / accepted:.4f} (95 % interval {low:.4f} to {high:.4f}), "
        "expected at least 0.99"
    ]


def test_metrics_of_file_and_network_are_reported_with_their_difference(compared, network):
    found = compared(Changed(network, "class_probability", lambda p: p[:, ::-1])).numbers
    assert found["file_accuracy"] == pytest.approx(1 - found["network_accuracy"])
    by_confidence = "class_failure_auroc_confidence"
    for name in ("accuracy", by_confidence, "class_failure_auroc", "dice_rim", "dice_cup", "dice_disc"):
        before, after = found[f"network_{name}"], found[f"file_{name}"]
        assert found[f"change_{name}"] == pytest.approx(after - before)
    # With the classes swapped, right and wrong are swapped: so is what the confidence detects.
    assert found[f"drop_{by_confidence}"] == pytest.approx(2 * found[f"network_{by_confidence}"] - 1)


def test_the_bound_of_failure_detection_is_on_the_confidence(compared, network, phantoms):
    labels = np.array([phantoms.label_index(row) for row in phantoms.split("val")])
    wrong = np.arange(len(labels)) % 3 == 0

    def with_confidences(of_wrong, of_right):
        """The network with every third class wrong, and with these confidences."""

        def in_turn(values):
            order = iter(values)
            return lambda p: np.stack([next(order, row) for row in p])

        classes = np.eye(2, dtype=np.float32)[np.where(wrong, 1 - labels, labels)]
        confidences = np.where(wrong, of_wrong, of_right).astype(np.float32)[:, None]
        of_classes = Changed(network, "class_probability", in_turn(classes))
        return Changed(of_classes, "class_confidence", in_turn(confidences))

    loose = {"class_confidence_difference": 1.0, "decision_agreement": 0, "accepted_agreement": 0}
    found = compared(with_confidences(0.9, 0.4), of=with_confidences(0.4, 0.9), **loose)
    assert found.broken == [
        "failure_auroc_drop: found 1.0000 (95 % interval 1.0000 to 1.0000), expected at most 0.01"
    ]
    assert found.numbers["change_class_failure_auroc"] == 0, "the uncertainty is the network's"
    assert compared(with_confidences(0.3, 0.7), of=with_confidences(0.4, 0.9), **loose).broken == []


def test_failure_detection_that_only_the_network_has_is_refused(compared, network, phantoms):
    labels = [phantoms.label_index(row) for row in phantoms.split("val")]

    def with_classes(classes):
        order = iter(np.eye(2, dtype=np.float32)[classes])
        # Padding rows of the last chunk keep what the network gave them.
        return lambda p: np.stack([next(order, row) for row in p])

    one_wrong = [1 - labels[0], *labels[1:]]
    all_wrong = [1 - label for label in labels]
    loose = dict.fromkeys(("class_agreement", "decision_agreement", "accepted_agreement"), 0.0)

    def drop_check(network_classes, file_classes):
        sources = [
            Changed(network, "class_probability", with_classes(classes))
            for classes in (network_classes, file_classes)
        ]
        found = compared(sources[1], of=sources[0], **loose)
        (check,) = [check for check in found.checks if check.name == "failure_auroc_drop"]
        assert check.found is None
        return check

    assert not drop_check(one_wrong, all_wrong).kept
    assert "the file's is not defined" in drop_check(one_wrong, all_wrong).sentence()
    assert drop_check(one_wrong, labels).kept, "without an error there is nothing to detect"
    assert drop_check(labels, labels).kept


def test_numbers_that_are_not_finite_are_refused(compared, network):
    file = Changed(network, "mask_belief", lambda values: np.where(values > values.mean(), np.nan, values))
    with pytest.raises(UmlError, match="exported file: mask_belief: found values that are not finite"):
        compared(file)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN"])
@pytest.mark.parametrize("name", ["class_agreement", "mask_difference"])
def test_bounds_that_are_not_finite_are_refused(name, value):
    with pytest.raises(UmlError, match=f"--tolerance: found '{name}=-?(nan|inf)', expected a finite number"):
        Tolerance.parse([f"{name}={value}"])
    with pytest.raises(UmlError, match="expected a finite number"):
        Tolerance(**{name: float(value)})


def test_report_has_every_bound_beside_what_was_found(compared, network, tmp_path):
    found = compared(Changed(network, "class_uncertainty", lambda u: u + 0.02), class_agreement=0.7)
    numbers = {**found.numbers, "bytes_model.tflite": 40000.0}
    write_report(tmp_path, "tflite-x", "nine images", found, numbers, ["One sentence about the conversion."])
    report = json.loads((tmp_path / "fidelity.json").read_text())
    assert report["kept"] is False
    assert set(report["tolerances"]) == set(NAMES)
    assert report["tolerances"]["class_agreement"] == {
        "found": 1,
        "least": 0.7,
        "kept": True,
        "note": "",
        "interval": list(wilson_interval(9, 9)),
    }
    difference = report["tolerances"]["class_difference"]
    assert difference["found"] == pytest.approx(0.02, abs=1e-6)
    assert (difference["most"], difference["kept"]) == (0.01, False)
    text = (tmp_path / "fidelity.md").read_text()
    assert "NOT every tolerance was kept" in text
    assert "| share of images with the same class | 1 (0.7009 to 1.0000) | at least 0.7 | yes |" in text
    flips = found.numbers["accepted_flips"]
    assert f"The class differs on 0 of 9 images; the accepted answer on {flips:.0f} of" in text
    assert "One sentence about the conversion." in text
    assert report["remarks"] == ["One sentence about the conversion."]
    assert "| 0.02 | at most 0.01 | **NO** |" in text
    assert f"| dice_cup | {found.numbers['network_dice_cup']:.6g} |" in text
    assert "| bytes_model.tflite | 40000 |" in text


def test_report_of_a_constant_uncertainty_is_written(compared, network, tmp_path):
    found = compared(Changed(network, "mask_uncertainty", _constant))
    write_report(tmp_path, "tflite-x", "nine images", found, found.numbers)
    report = json.loads((tmp_path / "fidelity.json").read_text())
    assert report["tolerances"]["mask_rho"]["note"] == "the file's uncertainty is constant at 0.5"
    assert (tmp_path / "fidelity.png").is_file()
