"""Memory of processes that build networks."""

from __future__ import annotations

import gc

_ALLOCATIONS = 20_000


def collect_seldom() -> None:
    """Looks for unreachable objects after 20,000 new ones, where Python does so after 700.

    To import Keras, and to build and trace a network, makes millions of objects, nearly all of which live as
    long as the process. For a whole process only: the library leaves its user's settings alone.
    """
    gc.set_threshold(_ALLOCATIONS, 20, 20)
