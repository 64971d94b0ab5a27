"""Hides what libraries write to the process's descriptors while a command runs; not with ``--debug``."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import click

from uml_tf.networks.lean_imports import absent
from uml_tf.runtime.silence import silenced


def _is_debug() -> bool:
    context = click.get_current_context(silent=True)
    return bool(context and context.find_root().params.get("debug"))


@contextmanager
def quiet(*descriptors: int) -> Iterator[None]:
    """``silenced`` inside the block, unless the root command was given ``--debug``.

    Args:
        descriptors: file descriptors, 1 standard output and 2 standard error.
    """
    if _is_debug():
        yield
        return
    with silenced(*descriptors):
        yield


# Keras imports these where they are installed, for parts of it that nothing here uses.
OPTIONAL_IN_KERAS = ("matplotlib", "pandas", "sklearn")


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras without the notices that they print then, which ``--debug`` shows.

    Keras comes without its optional packages, which a command may still import afterwards.
    """
    # Otherwise the first process reserves the whole memory of the GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if _is_debug():
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    with silenced(2), absent(*OPTIONAL_IN_KERAS):
        import keras  # noqa: F401
    # Of networks that are traced one after the other, and of functions that it will remove.
    logging.getLogger("tensorflow").addFilter(
        lambda record: not any(word in str(record.msg) for word in ("retracing", "deprecated"))
    )
