from __future__ import annotations

from dataclasses import replace

import pytest


@pytest.fixture(scope="session")
def fundus_model(tmp_path_factory):
    """The file of a random network of the eye's classes, which accepts what it is sure of."""
    from small_networks import random_network

    model = random_network(3)
    model.card = replace(
        model.card,
        image_classes=("healthy", "glaucoma"),
        pixel_classes=("background", "rim", "cup"),
        unions={"disc": ("rim", "cup")},
        accept_above=0.5,
    )
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path
