"""The last step of a strictly integer network: from its logits to the contract, computed on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.contract import Heads, contract, fused, head_output
from uml_tf.runtime.density import sharpness
from uml_tf.runtime.images import at_original_size
from uml_tf.runtime.trust import NO_TRUST, Trust

Array = NDArray[Any]


def quantize(values: Array, detail: dict[str, Any]) -> Array:
    """Real values to the type of an input tensor, rounded and clipped."""
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def dequantize(values: Array, detail: dict[str, Any]) -> Array:
    """An output tensor's integers as real values, float32."""
    scale, zero_point = detail["quantization"]
    return ((values.astype(np.float32) - zero_point) * scale).astype(np.float32)


def _at_input_size(maps: Array, size: tuple[int, int]) -> Array:
    if maps.shape[1:3] == size:
        return maps
    return np.stack([at_original_size(one, size) for one in maps])


def finish(
    logits: dict[str, Array],
    images: Array,
    evidential: bool,
    evidential_mask: bool,
    trust: Trust = NO_TRUST,
    fuses: bool = False,
    prior_weight: float = 1.0,
) -> dict[str, Array]:
    """The contract's outputs from real-valued ``LOGITS``; the heads' outputs are resized, as in the network.

    Args:
        logits: ``class_logits`` (B, K), ``mutual_logits`` and ``segmentation_logits`` (B, h, w, C), and
            ``features`` (B, D).
        images: ``(B, H, W, 3)`` in [0, 255] that they are of.
        evidential: whether the class head and the mutual head are Dirichlet heads.
        evidential_mask: whether the head that draws the mask is one.
        trust: what was fitted.
        fuses: whether the evidence of the mutual head counts for the mask too.
        prior_weight: of the Dirichlet heads.
    """
    size = (images.shape[1], images.shape[2])
    mutual = head_output(logits["mutual_logits"], evidential, prior_weight=prior_weight)
    drawn = head_output(logits["segmentation_logits"], evidential_mask, prior_weight=prior_weight)
    heads = Heads(
        head_output(logits["class_logits"], evidential, prior_weight=prior_weight),
        _at_input_size(mutual, size),
        _at_input_size(fused(drawn, mutual) if fuses else drawn, size),
        logits.get("features"),
        sharpness(images),
    )
    return contract(heads, evidential, evidential_mask, trust)
