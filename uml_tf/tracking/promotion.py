"""Promoting a registered network, after a comparison with the one that it is to replace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.comparison import Difference, differences, measure_both, reasons_against
from uml_tf.evaluation.evaluate import check_classes
from uml_tf.evaluation.keras_predictor import KerasPredictor
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.exports import dataset_of
from uml_tf.tracking.models import load_trained
from uml_tf.tracking.registry import Version, holder, set_alias


@dataclass(frozen=True)
class Promotion:
    """What came of it.

    Attributes:
        champion: the version that had the alias before, or None.
        found: the comparison, empty without one.
        reasons: why the challenger should not replace it.
        promoted: whether it does now.
    """

    champion: Version | None
    found: list[Difference]
    reasons: list[str]
    promoted: bool


def common_dataset(first: ModelCard, second: ModelCard, given: PreparedDataset | None) -> PreparedDataset:
    """The data set to compare two networks on, of which neither has seen the held-out split.

    Raises:
        UmlError: they were trained on different data, and none is given; or its classes are not theirs.
    """
    if given is None and first.fingerprint != second.fingerprint:
        raise UmlError(
            f"models of different data sets: found {first.fingerprint[:12]} and {second.fingerprint[:12]}, "
            "expected --data with images that neither was trained on"
        )
    dataset = given or dataset_of(first)
    for card in (first, second):
        check_classes(card, dataset)
    return dataset


def promote(
    challenger: Version,
    alias: str,
    force: bool = False,
    given: PreparedDataset | None = None,
    split: str = "test",
    stage: Callable[[str, int], Callable[[int], None]] = lambda name, total: lambda done: None,
) -> Promotion:
    """Gives a version an alias, unless it is worse than the version that has it.

    Worse means: on the same images, the 95 % interval of the change in a ``DECISIVE`` metric lies wholly
    on the worse side.

    Args:
        challenger: the version.
        alias: e.g. "champion".
        force: promote it all the same.
        given: compare on this data set; None for the one both were trained on.
        split: its split.
        stage: begins a stage of work; its answer takes the number done.

    Raises:
        UmlError: there is nothing to compare on, or MLflow refuses the alias.
    """
    champion = holder(challenger.name, alias)
    found: list[Difference] = []
    if champion is not None and champion.number != challenger.number:
        models = [load_trained(version.uri) for version in (champion, challenger)]
        dataset = common_dataset(models[0][1], models[1][1], given)
        done = stage(f"comparing on {split}", len(dataset.split(split)))
        first, second = (KerasPredictor(model) for model, _ in models)
        found = differences(*measure_both((first, second), dataset, split, done))
    reasons = reasons_against(found)
    promoted = force or not reasons
    if promoted:
        set_alias(challenger, alias)
    return Promotion(champion, found, reasons, promoted)
