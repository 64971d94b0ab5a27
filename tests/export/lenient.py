"""Bounds for the export of a network that was hardly trained."""

from __future__ import annotations

from dataclasses import asdict, fields

from uml_tf.export.tolerance import Tolerance

ANY_FILE = Tolerance(
    **{bound.name: -1.0 if bound.metadata["side"] == "least" else 1.0 for bound in fields(Tolerance)}
)
"""Every file keeps these bounds: the int8 kinds look for no part to keep in float."""

ANY_FILE_OPTIONS = [f"--tolerance={name}={value}" for name, value in asdict(ANY_FILE).items()]
"""``ANY_FILE`` for the command line."""

# After two epochs, the outputs lie close to the thresholds: one flip among nine images is no fault.
LENIENT = [
    f"--tolerance={bound}"
    for bound in (
        "accepted_agreement=0",
        "class_agreement=0.7",
        "decision_agreement=0.5",
        "class_rho=0.8",
        "mask_rho=0.7",
        "class_confidence_difference=0.1",
        "mask_confidence_difference=0.1",
        "failure_auroc_drop=1",
    )
]
