"""How grey values of more than 8 bits become 0 to 255: part of a data set and of its models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

Method = Literal["file", "window", "percentile"]
METHODS: tuple[str, ...] = get_args(Method)


class Window(NamedTuple):
    """A window of grey values, as DICOM defines it.

    Attributes:
        centre, width: in the file's units, after its rescaling.
        function: "LINEAR", "LINEAR_EXACT" or "SIGMOID".

    Source: DICOM PS3.3, C.11.2.1.2.
    """

    centre: float
    width: float
    function: str = "LINEAR"

    def to_unit(self, values: Array) -> Array:
        """``values`` mapped to [0, 1], float64."""
        shifted = np.asarray(values, np.float64) - self.centre
        if self.function == "SIGMOID":
            return np.asarray(1 / (1 + np.exp(np.clip(-4 * shifted / self.width, -700, 700))))
        if self.function == "LINEAR_EXACT":
            return np.clip(shifted / self.width + 0.5, 0, 1)
        if self.width <= 1:
            return (shifted > -0.5).astype(np.float64)
        return np.clip((shifted + 0.5) / (self.width - 1) + 0.5, 0, 1)


@dataclass(frozen=True)
class Intensity:
    """A mapping of grey values to 0 to 255.

    Grey pictures alone are mapped: 8-bit pictures other than DICOM stay as they are, and colour of more than
    8 bits is divided by its largest value.

    Attributes:
        method: "file": the window that the file states (DICOM); without one, 8-bit values stay as they are,
            and others are mapped as by "percentile". "window": always ``window``. "percentile": always
            ``percentiles`` of the picture, of a NIfTI file those of the whole volume.
        window: (centre, width) in the file's units, for "window".
        percentiles: those that become 0 and 255.

    Raises:
        ValueError: a value is out of range.
    """

    method: Method = "file"
    window: tuple[float, float] | None = None
    percentiles: tuple[float, float] = (0.5, 99.5)

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method: found {self.method!r}, expected one of {', '.join(METHODS)}")
        if (self.method == "window") != (self.window is not None):
            raise ValueError("window: expected it with method 'window', and only there")
        if self.window is not None and not (
            len(self.window) == 2 and np.isfinite(self.window).all() and self.window[1] > 0
        ):
            raise ValueError(f"window: found {self.window}, expected a centre and a width above 0")
        if not (len(self.percentiles) == 2 and 0 <= self.percentiles[0] < self.percentiles[1] <= 100):
            raise ValueError(f"percentiles: found {self.percentiles}, expected two from 0 to 100, rising")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Intensity:
        """From a card's plain data; lists become tuples."""
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in data.items()
        }
        return cls(**values)

    def __str__(self) -> str:
        between = f"percentiles {self.percentiles[0]:g} to {self.percentiles[1]:g}"
        if self.window is not None:
            return f"window of centre {self.window[0]:g} and width {self.window[1]:g}"
        return between if self.method == "percentile" else f"the file's window, else {between}"

    def applied(self, stated: Window | None = None, small: bool = False) -> str:
        """What ``to_8_bits`` does with a grey picture, in words; "" where it changes no value."""
        if self.window is not None:
            return str(self)
        if self.method == "file" and stated is not None:
            return f"the file's window of centre {stated.centre:g} and width {stated.width:g}"
        if self.method == "file" and small:
            return ""
        return f"percentiles {self.percentiles[0]:g} to {self.percentiles[1]:g}"

    def limits(self, values: Array) -> tuple[float, float]:
        """The two percentiles of the finite ``values``; (0, 0) where there are none."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return 0.0, 0.0
        low, high = np.percentile(finite, self.percentiles)
        return float(low), float(high)

    def to_8_bits(
        self,
        values: Array,
        stated: Window | None = None,
        small: bool = False,
        limits: tuple[float, float] | None = None,
    ) -> Array:
        """``(H, W)`` grey values as uint8.

        Args:
            values: in the file's units; NaN becomes 0.
            stated: the window that the file states.
            small: whether the file stores 8 bits or fewer, whose values are 0 to 255 already.
            limits: the values that become 0 and 255 by "percentile"; by default those of ``values``.
        """
        window = Window(*self.window) if self.window is not None else stated
        if self.method == "percentile":
            window = None
        if window is not None:
            unit = window.to_unit(values)
        elif small and self.method == "file":
            unit = np.clip(np.asarray(values, np.float64) / 255, 0, 1)
        else:
            low, high = limits or self.limits(values)
            unit = np.clip((np.asarray(values, np.float64) - low) / max(high - low, 1e-12), 0, 1)
        return (np.nan_to_num(unit) * 255 + 0.5).astype(np.uint8)
