"""Trust parameters: what is fitted after training, so that the outputs mean what they say.

``uml_tf.runtime.contract`` applies them, in the network's graph and on a host alike. Whatever is None was not
fitted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from uml_tf.runtime.confidence import Confidence
from uml_tf.runtime.density import Density


@dataclass(frozen=True)
class Trust:
    """What is fitted on training and validation images.

    Attributes:
        density: of the training images; it gives the familiarity, which scales the evidence.
        class_temperature, mask_temperature: T of the calibrated probabilities p^(1/T) / sum p^(1/T).
        class_confidence, mask_confidence: the chance of being right; None for the largest mean probability.
    """

    density: Density | None = None
    class_temperature: float | None = None
    mask_temperature: float | None = None
    class_confidence: Confidence | None = None
    mask_confidence: Confidence | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trust:
        """The inverse of ``to_dict``."""
        values = dict(data)
        for name, kind in (
            ("density", Density),
            ("class_confidence", Confidence),
            ("mask_confidence", Confidence),
        ):
            if values.get(name) is not None:
                values[name] = kind.from_dict(values[name])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return asdict(self)


NO_TRUST = Trust()
"""Nothing is fitted."""
