"""The run that an export is logged to."""

from __future__ import annotations

import re

import mlflow

from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.card import fitted_anew, read_stated
from uml_tf.tracking.models import MODEL_NAME
from uml_tf.tracking.store import use_store

_VERSION = re.compile(r"models:/([^/@]+)/(\d+)")
_RUN = re.compile(r"runs:/(\w+)(/.*)?")


def run_of_export(card: ModelCard, reference: str | None) -> str:
    """The run of the version or training that names a model; of a file, the training on its card.

    A calibrated version has a run of its own, so that its exports are not taken for those of the version
    that it was made from.

    Args:
        card: of the model.
        reference: the MODEL that is exported, as ``fixed_reference`` returns it; None for a network without a
            name.

    Raises:
        UmlError: a file was calibrated after its training, whose exports would decide otherwise.
    """
    use_store()
    if version := _VERSION.fullmatch(reference or ""):
        return str(mlflow.MlflowClient().get_model_version(*version.groups()).run_id)
    if run := _RUN.fullmatch(reference or ""):
        return run[1]
    try:
        trained = read_stated(f"runs:/{card.run_id}/{MODEL_NAME}").card
    except UmlError:  # the run is not in this store
        return card.run_id
    if anew := fitted_anew(trained, card):
        raise UmlError(
            f"the model was calibrated after its training (another {' and '.join(anew)}); export its "
            "registered version, models:/NAME/VERSION, to log it"
        )
    return card.run_id
