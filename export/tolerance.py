"""What an exported file must keep of its network: the bounds, and whether they hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from uml_tf.runtime.errors import UmlError

Side = Literal["least", "most"]


def _bound(figure: str, side: Side, default: float, meaning: str, by_interval: bool = False) -> float:
    metadata = {"figure": figure, "side": side, "meaning": meaning, "by_interval": by_interval}
    value: float = field(default=default, metadata=metadata)
    return value


@dataclass(frozen=True)
class Check:
    """One bound, and what was found.

    Attributes:
        name: of the tolerance, e.g. "class_rho".
        figure: name of the measured figure, e.g. "class_uncertainty_rho".
        meaning: what is measured, in words.
        found: the measured figure, None where it is not defined on these images.
        side: whether the bound is the least or the most that is allowed.
        bound: in the figure's own unit.
        kept: whether the bound holds.
        note: why the figure is not defined, or "".
        interval: the figure's 95 % interval, where its bound is judged by it; or None.
    """

    name: str
    figure: str
    meaning: str
    found: float | None
    side: Side
    bound: float
    kept: bool
    note: str = ""
    interval: tuple[float, float] | None = None

    def sentence(self) -> str:
        """The check in one line, for a message."""
        found = f"found {self.found:.4f}" if self.found is not None else f"not defined, {self.note}"
        if self.interval is not None:
            found += f" (95 % interval {self.interval[0]:.4f} to {self.interval[1]:.4f})"
        return f"{self.name}: {found}, expected at {self.side} {self.bound:g}"


@dataclass(frozen=True)
class Tolerance:
    """What an exported file must keep of its network, all finite numbers.

    What hangs on single images is judged by its 95 % interval (``by_interval``): a bound is broken where the
    whole interval lies on its wrong side, because fewer images show nothing. For shares of images this is
    Wilson's interval, for the rank correlation over images Bonett and Wright's, for the AUROC that of a
    paired bootstrap over the subjects.

    Attributes:
        accepted_agreement: least share of images with the same accepted answer, of those that the network or
            the file accepts, in [0, 1]. The answer is the same where both accept, with the same class.
        class_agreement, mask_agreement: least share of equal classes, of images and of pixels, in [0, 1].
        decision_agreement: least share of images with the same decision (accept, refer, ungradable).
        class_rho, mask_rho: least Spearman correlation of the uncertainties, in [-1, 1].
        class_difference, mask_difference: largest mean absolute difference of the uncertainties, in [0, 1].
        class_confidence_difference, mask_confidence_difference: the same of the confidences, by size and not
            by rank, because decisions are made at fixed confidences.
        failure_auroc_drop: largest loss of the AUROC with which the class confidence detects wrong classes.

    Raises:
        UmlError: a bound is not a finite number.
    """

    accepted_agreement: float = _bound(
        "accepted_agreement", "least", 0.99, "share of accepted images with the same answer", by_interval=True
    )
    class_agreement: float = _bound(
        "class_agreement", "least", 0.98, "share of images with the same class", by_interval=True
    )
    mask_agreement: float = _bound("mask_agreement", "least", 0.995, "share of pixels with the same class")
    decision_agreement: float = _bound(
        "decision_agreement", "least", 0.98, "share of images with the same decision", by_interval=True
    )
    class_rho: float = _bound(
        "class_uncertainty_rho",
        "least",
        0.99,
        "Spearman correlation of the class uncertainties",
        by_interval=True,
    )
    mask_rho: float = _bound(
        "mask_uncertainty_rho", "least", 0.98, "Spearman correlation of the pixel uncertainties"
    )
    class_difference: float = _bound(
        "class_uncertainty_mean_difference",
        "most",
        0.01,
        "mean absolute difference of the class uncertainties",
    )
    mask_difference: float = _bound(
        "mask_uncertainty_mean_difference",
        "most",
        0.01,
        "mean absolute difference of the pixel uncertainties",
    )
    class_confidence_difference: float = _bound(
        "class_confidence_mean_difference", "most", 0.02, "mean absolute difference of the class confidences"
    )
    mask_confidence_difference: float = _bound(
        "mask_confidence_mean_difference", "most", 0.01, "mean absolute difference of the pixel confidences"
    )
    failure_auroc_drop: float = _bound(
        "drop_class_failure_auroc_confidence",
        "most",
        0.01,
        "loss of the failure-detection AUROC of the class confidence",
        by_interval=True,
    )

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            if not math.isfinite(value):
                raise UmlError(f"--tolerance: found '{bound.name}={value}', expected a finite number")

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Tolerance:
        """The defaults, changed by "name=value" entries.

        Raises:
            UmlError: an unknown name, or a value that is not a finite number.
        """
        known = [bound.name for bound in fields(cls)]
        values = {}
        for entry in entries:
            name, _, value = entry.partition("=")
            try:
                values[name] = float(value)
            except ValueError:
                raise UmlError(f"--tolerance: found '{entry}', expected NAME=NUMBER") from None
            if name not in known:
                raise UmlError(f"--tolerance: found '{name}', expected one of {', '.join(known)}")
        return replace(cls(), **values)

    def tightened(self, part: float) -> Tolerance:
        """The same with every bound at this part of its distance from perfect agreement.

        Args:
            part: in (0, 1]; with 0.5, at least 0.98 becomes at least 0.99, at most 0.01 at most 0.005.
        """
        values = {}
        for bound in fields(self):
            value = getattr(self, bound.name)
            values[bound.name] = 1 - (1 - value) * part if bound.metadata["side"] == "least" else value * part
        return replace(self, **values)

    def checks(self, numbers: Mapping[str, float | None], undefined: Mapping[str, str]) -> list[Check]:
        """Compares measured figures with the bounds.

        Args:
            numbers: figure -> value, None where it is not defined.
            undefined: figure -> why it is not defined although it must be. A figure that is None and not
                named here has nothing to measure on these images, and its bound holds.
        """
        return [self._check(bound.name, bound.metadata, numbers, undefined) for bound in fields(self)]

    def _check(
        self,
        name: str,
        bound: Mapping[str, Any],
        numbers: Mapping[str, float | None],
        undefined: Mapping[str, str],
    ) -> Check:
        figure, limit = bound["figure"], getattr(self, name)
        side: Side = "least" if bound["side"] == "least" else "most"
        found, note = numbers[figure], undefined.get(figure, "")
        if found is None:
            return Check(name, figure, bound["meaning"], None, side, limit, not note, note)
        low, high = (numbers.get(f"{figure}_{end}") for end in ("low", "high"))
        interval = (low, high) if bound["by_interval"] and low is not None and high is not None else None
        judged = found if interval is None else interval[1 if side == "least" else 0]
        # Both comparisons are false for not-a-number: it breaks every bound.
        kept = judged >= limit if side == "least" else judged <= limit
        return Check(name, figure, bound["meaning"], found, side, limit, kept, interval=interval)


def broken_lines(checks: Sequence[Check]) -> list[str]:
    """The tolerances that were not kept, one sentence each."""
    return [check.sentence() for check in checks if not check.kept]


def tolerance_help() -> str:
    """Name and default of every bound, for ``--help``."""
    return ", ".join(f"{bound.name}={bound.default}" for bound in fields(Tolerance))
