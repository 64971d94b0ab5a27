"""The data set that a config names. Importing this imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from uml_tf.data.converters.phantom import PhantomOptions
from uml_tf.data.dataset import PreparedDataset
from uml_tf.data.phantom_cache import cached_phantoms
from uml_tf.tracking.store import local_store
from uml_tf.training.config import TrainingConfig


class StageDisplay(Protocol):
    """Shows the progress of one stage of work after another."""

    def stage(self, name: str, total: int) -> Callable[[int], None]:
        """Begins a stage of work; returns a callable that takes the number done of ``total``."""


def open_dataset(config: TrainingConfig, display: StageDisplay) -> PreparedDataset:
    """The config's data set; without one, phantoms, which are drawn once and kept beside the runs."""
    if config.data is not None:
        return PreparedDataset.open(config.data)
    p = config.phantoms
    folder = local_store() / "phantoms" / f"{p.images}-{p.size}-seed{p.seed}"
    stage: list[Callable[[int], None]] = []

    def progress(done: int) -> None:
        if not stage:  # begun here, since another process may draw the phantoms
            stage.append(display.stage("drawing phantoms", p.images))
        stage[0](done)

    return cached_phantoms(folder, PhantomOptions(images=p.images, seed=p.seed, size=p.size), progress)
