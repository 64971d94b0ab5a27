"""Opening a MODEL from a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uml_tf.runtime.model_card import ModelCard
    from uml_tf.runtime.prediction import Model


def open_predictor(
    reference: str, batch_size: int, threads: int | None = None, is_compiled: bool = True
) -> tuple[Model, ModelCard]:
    """``open_model`` without the notices that TensorFlow and LiteRT print; the model and its card.

    Args:
        reference: a MODEL.
        batch_size: images at a time, for a network; a file has its own.
        threads: of the interpreter of a file; by default up to 4.
        is_compiled: see ``uml_tf.evaluation.keras_predictor.KerasPredictor``.

    Raises:
        UmlError: the model does not exist or cannot be read.
    """
    from uml_tf.cli.quiet import import_tensorflow, quiet
    from uml_tf.tracking.opening import is_exported, open_model

    if is_exported(reference):
        with quiet(2):
            model = open_model(reference, threads=threads)
    else:
        import_tensorflow()
        model = open_model(reference, batch_size, is_compiled=is_compiled)
    return model, model.card
