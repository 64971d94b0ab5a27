"""A plugin of pytest with what tests compare with: raw data beside the checkout, and reference values."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _shared(part: str) -> Path:
    path = SHARED / part
    if not path.is_dir():
        message = f"{part}/ with the reference material is not beside this checkout: NOT CHECKED"
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of the reference values, which belongs to the repository: a missing file is a failure."""
    return Path(__file__).parent / "reference"


@pytest.fixture(scope="session")
def busi_raw() -> Path:
    return _shared("data") / "busi"


@pytest.fixture(scope="session")
def drishti_raw() -> Path:
    return _shared("data/drishti")


@pytest.fixture(scope="session")
def origa_raw() -> Path:
    return _shared("data/origa")


@pytest.fixture(scope="session")
def isic_raw() -> Path:
    return _shared("data/isic2017")
