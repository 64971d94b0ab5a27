"""The packages of the extra ``dicom``, imported where a file needs them."""

from __future__ import annotations

import importlib
from typing import Any

from uml_tf.runtime.errors import UmlError


def imported(package: str, name: str) -> Any:
    """A package or module of the extra.

    Args:
        package: what is imported.
        name: the file that needs it, for the message.

    Raises:
        UmlError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise UmlError(
            f"{name}: needs the package {package.partition('.')[0]}, expected `pip install 'uml-tf[dicom]'`"
        ) from error
