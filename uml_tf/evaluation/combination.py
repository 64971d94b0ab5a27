"""A model that answers with the mean of several predictions, as it was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from uml_tf.evaluation.mean_model import ensemble, with_flips
from uml_tf.runtime.prediction import Model


def combined_model(
    models: Sequence[Model], passes: int | None, flips: bool, asked_by: str = "--passes"
) -> Model:
    """The mean of several passes, of an image and its mirror image, or of several models; at most one.

    Args:
        models: one, or the members of an ensemble.
        passes: with dropout, at least 2; None for none.
        flips: whether each image is mirrored too.
        asked_by: the option or field that asks for the passes, for messages.

    Returns:
        The model itself where nothing is asked for.

    Raises:
        UmlError: as ``ensemble`` and ``with_passes``.
    """
    if passes is not None:
        from uml_tf.evaluation.dropout_passes import with_passes  # imports TensorFlow, which no file needs

        return with_passes(models[0], passes, asked_by=asked_by)
    if len(models) > 1:
        return ensemble(models)
    return with_flips(models[0]) if flips else models[0]
