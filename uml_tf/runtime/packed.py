"""Arrays as plain data, for the card of a model."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Packed:
    """A float32 array that compares by its values and goes through JSON without losing a bit.

    Attributes:
        shape: of the array.
        data: its little-endian bytes, as base64 text.
    """

    shape: tuple[int, ...]
    data: str

    @classmethod
    def of(cls, array: Any) -> Packed:
        """Packs an array of any number type; it is rounded to float32."""
        values = np.ascontiguousarray(array, "<f4")
        return cls(tuple(values.shape), base64.b64encode(values.tobytes()).decode())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Packed:
        """From the fields as JSON gives them."""
        return cls(tuple(data["shape"]), data["data"])

    @property
    def array(self) -> NDArray[np.float32]:
        """The array, float32."""
        return np.frombuffer(base64.b64decode(self.data), "<f4").reshape(self.shape).astype(np.float32)

    def __repr__(self) -> str:
        return f"Packed(shape={self.shape})"
