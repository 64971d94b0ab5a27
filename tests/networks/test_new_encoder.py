"""A new encoder is one new file: the example of docs/extending.md, in a copy of the package."""

from __future__ import annotations

import pytest
from extended_package import copy_with_example, run_in_copy

FILE = "uml_tf/networks/encoders/tiny.py"

# Builds a network around the encoder, saves it and reads it again.
BUILD = """
from dataclasses import replace
from pathlib import Path
import numpy as np
from uml_tf.networks import UML, preset
from uml_tf.networks.encoders import resolve
from uml_tf.networks.files import read_network

spec = replace(preset("edge"), class_encoder=resolve("tiny"), segmentation_encoder=resolve("tiny"))
model = UML(spec, 2, 3, (64, 64))
image = np.full((1, 64, 64, 3), 90.0, np.float32)
model.save("tiny.keras")
again = read_network(Path("tiny.keras"))
np.testing.assert_array_equal(model(image)["class_belief"], again(image)["class_belief"])
print("read again:", again.spec.class_encoder.name)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the list of encoders and the code gave in the copy of the package."""
    folder = copy_with_example(tmp_path_factory.mktemp("extended"), FILE)
    found = run_in_copy(folder, ("train", "--list-encoders"), BUILD)
    for result in found:
        assert result.returncode == 0, result.stderr
    return found


def test_the_encoder_is_listed_beside_the_others(results):
    names = results[0].stdout.splitlines()
    assert {"tiny", "vgg16_bn", "keras_cv:ResNetV2Backbone"} <= set(names)
    assert "mobilenet_v2  (published weights)" in names


def test_a_network_around_it_is_built_saved_and_read(results):
    assert "read again: tiny" in results[1].stdout
