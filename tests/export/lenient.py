"""Bounds for the export of a network that was hardly trained."""

from __future__ import annotations

# After two epochs, the outputs lie close to the thresholds: one flip among nine images is no fault.
LENIENT = [
    f"--tolerance={bound}"
    for bound in (
        "accepted_agreement=0",
        "class_agreement=0.7",
        "decision_agreement=0.5",
        "class_rho=0.8",
        "mask_rho=0.7",
        "failure_auroc_drop=1",
    )
]
