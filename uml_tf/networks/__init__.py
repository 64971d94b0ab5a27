"""The joint network and its presets.

The names below are imported when they are first used, so that presets and specs can be read without
TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uml_tf.networks.heads import DirichletHead
    from uml_tf.networks.presets import PRESETS, preset
    from uml_tf.networks.spec import NetworkSpec, without
    from uml_tf.networks.uml import UML

_HOME = {
    "DirichletHead": "heads",
    "NetworkSpec": "spec",
    "PRESETS": "presets",
    "UML": "uml",
    "preset": "presets",
    "without": "spec",
}

__all__ = ["PRESETS", "UML", "DirichletHead", "NetworkSpec", "preset", "without"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
