"""How closely two models agree on the same images: classes, decisions, masks and uncertainties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from uml_tf.metrics.wilson import wilson_interval
from uml_tf.runtime.model_card import ModelCard
from uml_tf.runtime.placement import Placement
from uml_tf.runtime.predictor import Outputs
from uml_tf.runtime.referral import decide

Array = NDArray[Any]
Numbers = dict[str, float | None]

_FEWEST_FOR_RHO = 3


def _rho(pairs: Array) -> tuple[float | None, str]:
    """Spearman's rank correlation of ``(N, 2)``; or None, and why it is not defined.

    A constant has no ranks: nothing shows that the file keeps the network's order, so this is never accepted.
    """
    if len(pairs) < _FEWEST_FOR_RHO:
        return None, f"a rank correlation needs {_FEWEST_FOR_RHO} images and there are {len(pairs)}"
    constant = [
        f"the {name}'s uncertainty is constant at {column[0]:.4g}"
        for name, column in zip(("network", "file"), pairs.T, strict=True)
        if np.ptp(column) == 0
    ]
    if constant:
        return None, " and ".join(constant)
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic), ""


def _share(name: str, same: Array) -> Numbers:
    """The share of true values, with its interval; None where there is no value."""
    if not len(same):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    low, high = wilson_interval(int(same.sum()), len(same))
    return {name: float(same.mean()), f"{name}_low": low, f"{name}_high": high}


@dataclass
class Agreement:
    """Collects what is compared, some images at a time; pairs are network and file.

    Args:
        card: the thresholds by which both make decisions.
        stride: every so many pixels are kept for the rank correlation.
    """

    card: ModelCard
    stride: int = 1
    classes: list[Array] = field(default_factory=list)
    decisions: list[tuple[str, str]] = field(default_factory=list)
    class_uncertainty: list[Array] = field(default_factory=list)
    mask_uncertainty: list[Array] = field(default_factory=list)
    class_confidence: list[Array] = field(default_factory=list)
    pixels: int = 0
    equal_pixels: int = 0
    mask_sum: float = 0.0
    mask_largest: float = 0.0
    mask_confidence_sum: float = 0.0

    def add(self, network: Outputs, file: Outputs, placements: Sequence[Placement] | None = None) -> None:
        """Compares the outputs for the same images.

        Args:
            network: outputs of the network.
            file: outputs of the file.
            placements: where each picture lies in its input, whose padding is left out; None where the whole
                input is picture.
        """
        pair = (network, file)
        self.classes.append(np.stack([o["class_probability"].argmax(-1) for o in pair], axis=1))
        uncertainty = np.concatenate([o["class_uncertainty"] for o in pair], axis=1)
        self.class_uncertainty.append(uncertainty)
        self.class_confidence.append(np.concatenate([o["class_confidence"] for o in pair], axis=1))
        for index in range(len(uncertainty)):
            missing = "" if placements is None else placements[index].missing
            of_image = [{name: values[index] for name, values in o.items()} for o in pair]
            actions = [decide(outputs, self.card, missing).action for outputs in of_image]
            self.decisions.append((actions[0], actions[1]))
        inside: Any = ...
        if placements is not None:
            inside = np.stack([placement.inside for placement in placements])
        masks = [o["mask_probability"].argmax(-1)[inside].ravel() for o in pair]
        self.pixels += masks[0].size
        self.equal_pixels += int((masks[0] == masks[1]).sum())
        confidence = [o["mask_confidence"][..., 0][inside] for o in pair]
        self.mask_confidence_sum += float(np.abs(confidence[0] - confidence[1]).sum(dtype=np.float64))
        maps = [o["mask_uncertainty"][..., 0][inside].ravel() for o in pair]
        difference = np.abs(maps[0] - maps[1])
        self.mask_sum += float(difference.sum())
        self.mask_largest = max(self.mask_largest, float(difference.max()))
        self.mask_uncertainty.append(np.stack([m[:: self.stride] for m in maps], axis=1))

    def _counts(self) -> Numbers:
        """Classes, decisions, and the answers that are accepted.

        An answer is accepted where the decision is "accept". Where the network or the file accepts, the
        answer is the same if both accept and give the same class.
        """
        classes = np.concatenate(self.classes)
        same_class = classes[:, 0] == classes[:, 1]
        same_decision = np.array([a == b for a, b in self.decisions])
        accepted = np.array(["accept" in pair for pair in self.decisions])
        same_answer = (same_class & same_decision)[accepted]
        return {
            "images": float(len(classes)),
            "class_flips": float((~same_class).sum()),
            "accepted_images": float(accepted.sum()),
            "accepted_flips": float((~same_answer).sum()),
            **_share("class_agreement", same_class),
            **_share("decision_agreement", same_decision),
            **_share("accepted_agreement", same_answer),
        }

    def numbers(self) -> tuple[Numbers, dict[str, str]]:
        """(figure -> value, None where it is not defined; figure -> why, where that is a fault)."""
        uncertainty, pixels = np.concatenate(self.class_uncertainty), np.concatenate(self.mask_uncertainty)
        difference = np.abs(uncertainty[:, 0] - uncertainty[:, 1])
        confidence = np.concatenate(self.class_confidence)
        class_rho, class_fault = _rho(uncertainty)
        mask_rho, mask_fault = _rho(pixels)
        found: Numbers = {
            **self._counts(),
            "mask_agreement": self.equal_pixels / self.pixels,
            "class_uncertainty_mean_difference": float(difference.mean()),
            "class_uncertainty_max_difference": float(difference.max()),
            "class_uncertainty_rho": class_rho,
            "mask_uncertainty_mean_difference": self.mask_sum / self.pixels,
            "mask_uncertainty_max_difference": self.mask_largest,
            "mask_uncertainty_rho": mask_rho,
            "class_confidence_mean_difference": float(np.abs(confidence[:, 0] - confidence[:, 1]).mean()),
            "mask_confidence_mean_difference": self.mask_confidence_sum / self.pixels,
        }
        return found, {"class_uncertainty_rho": class_fault, "mask_uncertainty_rho": mask_fault}
