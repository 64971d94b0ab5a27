"""Which images of a batch the statistics of its batch norms are taken from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from keras import ops

from uml_tf.losses.replicas import sum_over_replicas

_COUNTED: ContextVar[Any] = ContextVar("counted", default=None)
_OF_DEVICE: ContextVar[bool] = ContextVar("of device", default=False)


@contextmanager
def statistics_of(counted: Any, of_device: bool = False) -> Iterator[None]:
    """Norms of the mask's way that are called inside the block take their statistics from some images alone.

    With images of one camera that have masks and of another that have none, the statistics of all of them
    put every pixel with a mask on one side of zero. The decoder, which learns from these pixels alone, learns
    that side as background and calls most of the other camera's picture a region: on glaucoma photographs of
    two cameras it called nine tenths of the second camera's pixels disc or cup. With the statistics of the
    images that have a mask it calls 3 % so.

    Encoders and the way to the class keep the statistics of all images: where these too took those of the few
    with a mask, the class suffered (breast ultrasound, 119 masks: accuracy .64, against .83 and, with the
    statistics of all everywhere, .88).

    Args:
        counted: ``(B,)`` float, 1 for an image that counts and 0 for one that is normalised by the others'
            statistics and does not change them; None for all images. Where none counts, all do.
        of_device: every norm, of the mask's way or not, takes its statistics from the images of its own
            device; otherwise from those of all devices that share the batch.
    """
    if counted is not None:
        total = ops.sum(counted)
        total = total if of_device else sum_over_replicas(total)
        counted = counted + ops.ones_like(counted) * ops.cast(total == 0, "float32")
    tokens = _COUNTED.set(counted), _OF_DEVICE.set(of_device)
    try:
        yield
    finally:
        _COUNTED.reset(tokens[0])
        _OF_DEVICE.reset(tokens[1])


def counted_images() -> Any:
    """``(B,)``, or None for all images; see ``statistics_of``."""
    return _COUNTED.get()


def of_device() -> bool:
    """Whether statistics are those of a device's own images; see ``statistics_of``."""
    return _OF_DEVICE.get()
