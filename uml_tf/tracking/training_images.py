"""The images that a model was trained on, as its run recorded them."""

from __future__ import annotations

from uml_tf.evaluation.seen_images import TRAINING_IMAGES_FILE, training_image_hashes
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.files import read_text
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.exports import dataset_of
from uml_tf.tracking.models import fetch


def trained_on(card: ModelCard) -> frozenset[str]:
    """SHA-256 of every training image of a model.

    Read from the run's ``training_images.txt``; for a run without it, from the data set itself, if that is
    still where it was.

    Raises:
        UmlError: neither can be read.
    """
    try:
        return frozenset(read_text(fetch(f"runs:/{card.run_id}/{TRAINING_IMAGES_FILE}")).split())
    except UmlError:
        pass
    try:
        return frozenset(training_image_hashes(dataset_of(card)))
    except UmlError as error:
        raise UmlError(
            f"run '{card.run_id}': found neither {TRAINING_IMAGES_FILE} nor its data ({error}); expected one "
            "of them, to know which images the model was trained on"
        ) from error
