"""Fixtures of the runtime's tests: an exported file."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def exported(once):
    """A random network as ``uml-tf export --tflite --quantize none`` writes it."""
    from small_networks import random_network

    from uml_tf.export.convert import convert
    from uml_tf.export.kinds import KINDS

    with once("exported") as (folder, done):
        if not done.exists():
            metadata, converted = convert(random_network(1), KINDS["tflite-none"])
            (folder / "model.tflite").write_bytes(converted.files[0].pack(metadata))
            done.touch()
        return folder / "model.tflite"
