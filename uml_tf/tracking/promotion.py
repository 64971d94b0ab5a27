"""Promoting a registered network, after a comparison with the one that it is to replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation.comparison import Difference, differences, measure_both
from uml_tf.evaluation.evaluate import check_classes
from uml_tf.evaluation.non_inferiority import shortfalls
from uml_tf.evaluation.seen_images import check_unseen
from uml_tf.metrics.chief import decisive_margins
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.model_card import ModelCard
from uml_tf.tracking.exports import dataset_of
from uml_tf.tracking.opening import open_model
from uml_tf.tracking.registry import Version, holder, set_alias
from uml_tf.tracking.training_images import trained_on

Stage = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True)
class Guard:
    """What a challenger must show, and on which images.

    Attributes:
        dataset: compare on this data set; None for the one that both were trained on.
        split: its split. Not "test" by default: a split on which models are chosen reports too much.
        margins: decisive metric -> how much worse the challenger may be.
        force: promote a challenger that does not show it, too.
    """

    dataset: PreparedDataset | None = None
    split: str = "val"
    margins: Mapping[str, float] = field(default_factory=decisive_margins)
    force: bool = False


@dataclass(frozen=True)
class Promotion:
    """The result of a promotion.

    Attributes:
        champion: the version that had the alias before, or None.
        found: the comparison; empty where there was none.
        reasons: why the challenger is not shown to be at least as good.
        promoted: whether it has the alias now.
    """

    champion: Version | None
    found: list[Difference]
    reasons: list[str]
    promoted: bool


def common_dataset(first: ModelCard, second: ModelCard, given: PreparedDataset | None) -> PreparedDataset:
    """The data set to compare two networks on.

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


def check_held_out(cards: Mapping[str, ModelCard], dataset: PreparedDataset, split: str) -> None:
    """Refuses a split that has images which a model was trained on.

    Args:
        cards: name of a model, for the message -> its card.
        dataset: where the images are.
        split: "train", "val" or "test".

    Raises:
        UmlError: it has, or it is not known which images a model was trained on.
    """
    check_unseen(dataset, split, {name: trained_on(card) for name, card in cards.items()})


def _compare(champion: Version, challenger: Version, guard: Guard, stage: Stage) -> list[Difference]:
    first, second = (open_model(version.uri, batch_size=16) for version in (champion, challenger))
    dataset = common_dataset(first.card, second.card, guard.dataset)
    cards = {f"version {champion.number}": first.card, f"version {challenger.number}": second.card}
    check_held_out(cards, dataset, guard.split)
    done = stage(f"comparing on {guard.split}", len(dataset.split(guard.split)))
    return differences(*measure_both((first, second), dataset, guard.split, done))


def promote(
    challenger: Version,
    alias: str,
    guard: Guard | None = None,
    stage: Stage = lambda name, total: lambda done: None,
) -> Promotion:
    """Gives a version an alias, if it is shown to be at least as good as the version that has it.

    Args:
        challenger: the version.
        alias: e.g. "champion".
        guard: what it must show; None for the registered margins on the validation split.
        stage: begins a stage of work and returns a callable that takes the number done.

    Raises:
        UmlError: without ``force``, there is nothing to compare on, or a model was trained on the images;
            always, MLflow refuses the alias.
    """
    guard = guard or Guard()
    champion = holder(challenger.name, alias)
    found: list[Difference] = []
    reasons: list[str] = []
    if champion is not None and champion.number != challenger.number:
        try:
            found = _compare(champion, challenger, guard, stage)
            reasons = shortfalls(found, guard.margins)
        except UmlError as error:
            if not guard.force:
                raise
            reasons = [str(error)]
    promoted = guard.force or not reasons
    if promoted:
        set_alias(challenger, alias)
    return Promotion(champion, found, reasons, promoted)
