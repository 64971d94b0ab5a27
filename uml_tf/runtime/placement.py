"""How a picture becomes a network's input, and how the network's maps return to the picture.

A network reads inputs of one size, a picture has any. The fit, which is part of the trained model, says what
happens to the difference:

- stretch: the whole picture, its aspect changed to the input's.
- letterbox: the whole picture, its aspect kept; the rest of the input is padded.
- crop: the largest rectangle of the input's shape in the middle of the picture; nothing outside it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.confidence import chances
from uml_tf.runtime.images import at_original_size, resize_antialiased, resize_nearest
from uml_tf.runtime.regions import UNKNOWN_PIXEL

Array = NDArray[Any]

Fit = Literal["stretch", "letterbox", "crop"]
FITS: tuple[Fit, ...] = get_args(Fit)

PADDING = 0
"""Grey value of padded pixels: black, as augmentation fills what it uncovers, so that a network has learned
to read nothing there; and every type of input holds it exactly, an integer one too."""

SMALLEST_SHOWN = 3
"""Pixels of the shorter side in a letterbox: the fewest that have a gradient and a Laplacian."""


class Box(NamedTuple):
    """A rectangle in whole pixels: ``top``, ``left``, ``height`` and ``width``."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width


@dataclass(frozen=True)
class Around:
    """What a locator found in the picture of which a network reads a part (``uml_tf.runtime.two_pass``).

    Attributes:
        placement: of the picture in the locator's input.
        uncertainty: ``(h, w, 1)`` in (0, 1], of the locator.
        background: ``(h, w, 1)`` in [0, 1], the locator's probability of anything but the region.
        region: what it looked for.
        box: the part of the picture around it; None where the locator found nothing.
    """

    placement: Placement
    uncertainty: Array
    background: Array
    region: str
    box: Box | None


@dataclass(frozen=True)
class Placement:
    """Where one picture lies in the input of a network.

    Attributes:
        original: (H, W) of the picture.
        crop: the part of the picture that the network reads.
        size: (h, w) of the network's input.
        target: the part of the input that shows it; the rest is padded.
        around: what a locator found, where one chose the part that is read.
    """

    original: tuple[int, int]
    crop: Box
    size: tuple[int, int]
    target: Box
    around: Around | None = field(default=None, compare=False)

    def image(self, image: Array) -> Array:
        """The input ``(h, w, 3)`` float32 that an image ``(H, W, 3)`` becomes; values as the image's."""
        shown = resize_antialiased(image[self.crop.slices], self.target.size)
        if self.target.size == self.size:
            return shown
        padded = np.full((*self.size, *image.shape[2:]), PADDING, np.float32)
        padded[self.target.slices] = shown
        return padded

    def mask(self, mask: Array) -> Array:
        """The mask ``(h, w)`` that a mask ``(H, W)`` becomes, ``UNKNOWN_PIXEL`` where the input is padded."""
        shown = resize_nearest(mask[self.crop.slices], self.target.size)
        if self.target.size == self.size:
            return shown
        padded = np.full(self.size, UNKNOWN_PIXEL, mask.dtype)
        padded[self.target.slices] = shown
        return padded

    @property
    def inside(self) -> NDArray[np.bool_]:
        """``(h, w)``: True where the input shows the picture, False where it is padded."""
        inside = np.zeros(self.size, bool)
        inside[self.target.slices] = True
        return inside

    def shown(self, maps: Array) -> Array:
        """The part of ``(h, w, ...)`` that shows the picture."""
        return maps[self.target.slices]

    def share_of_picture(self, chosen: NDArray[np.bool_]) -> float:
        """Share of the whole picture that is chosen, in [0, 1]: nothing of what was not read, and no padding.

        Args:
            chosen: ``(h, w)`` of the network's input.
        """
        read = self.crop.height * self.crop.width / (self.original[0] * self.original[1])
        return float(self.shown(chosen).mean() * read)

    def restored(self, outputs: Mapping[str, Array], name: str) -> Array:
        """A map of the output contract at the picture's size, ``(H, W, D)``.

        Pixels that the network did not read are background: with the locator's uncertainty u, the belief
        1 - u, and the probability that the locator gives to anything but its region, which is the confidence
        too. Without a locator there is no evidence: u is 1, and every class as probable as the others.

        Args:
            outputs: the contract's arrays of this picture, ``(h, w, D)``, without the batch axis.
            name: "mask_probability", "mask_belief" or "mask_uncertainty".
        """
        return self._restored(outputs[name], name)

    def restored_confidence(self, outputs: Mapping[str, Array], mask: Array) -> Array:
        """The confidence in the classes of a mask at the picture's size, ``(H, W)``.

        Args:
            outputs: as in ``restored``.
            mask: ``(H, W)`` most probable classes at the picture's size.
        """
        found = chances(outputs["mask_probability"], outputs["mask_confidence"])
        restored = self._restored(found, "mask_confidence")
        of_mask: Array = np.take_along_axis(restored, mask[..., None].astype(np.intp), axis=-1)[..., 0]
        return of_mask

    def _restored(self, maps: Array, name: str) -> Array:
        all_read = self.crop.size == self.original
        return self._onto_picture(maps, 0.0 if all_read else self._unread(name, maps.shape[-1]))

    def _onto_picture(self, maps: Array, unread: Array | float) -> Array:
        """Maps ``(h, w, D)`` at the picture's size, with other values where nothing was read."""
        part = maps if self.target.size == self.size else np.ascontiguousarray(self.shown(maps))
        read = part if part.shape[:2] == self.crop.size else at_original_size(part, self.crop.size)
        if self.crop.size == self.original:
            return read
        whole = np.empty((*self.original, maps.shape[-1]), maps.dtype)
        whole[...] = unread
        whole[self.crop.slices] = read
        return whole

    def _unread(self, name: str, classes: int) -> Array | float:
        """What a map of ``classes`` pixel classes says of pixels that were not read."""
        uncertainty: Array | float = 1.0
        background: Array | float = 1 / classes
        if self.around is not None:
            uncertainty = self.around.placement._onto_picture(self.around.uncertainty, 1.0)
            found = self.around.placement._onto_picture(self.around.background, background)
            background = np.maximum(found, background)  # of equal classes the first, background, is taken
        if name == "mask_uncertainty":
            return uncertainty
        if name == "mask_confidence":
            return background
        opinion = np.zeros((*self.original, classes), np.float32)
        if name == "mask_belief":
            opinion[..., :1] = 1 - uncertainty
        else:
            opinion[..., :1] = background
            rest = (1 - background) / (classes - 1)
            opinion[..., 1:] = np.minimum(rest, background)  # a rounding must not make another class win
        return opinion

    @property
    def missing(self) -> str:
        """The region that a locator looked for and did not find, or ""."""
        return self.around.region if self.around is not None and self.around.box is None else ""

    def of_resized(self, size: tuple[int, int]) -> Placement:
        """The placement of the same picture after it was resized to ``size``, to the nearest pixel."""
        rows, columns = (
            _scaled(start, length, self.original[axis], size[axis])
            for axis, (start, length) in enumerate(
                ((self.crop.top, self.crop.height), (self.crop.left, self.crop.width))
            )
        )
        box = Box(rows[0], columns[0], rows[1], columns[1])
        around = self.around and replace(self.around, placement=self.around.placement.of_resized(size))
        return Placement(size, box, self.size, self.target, around)


def _scaled(start: int, length: int, source: int, target: int) -> tuple[int, int]:
    """A stretch of an axis of ``source`` pixels on one of ``target`` pixels, at least one pixel long."""
    first = min(nearest(start * target / source), target - 1)
    last = max(nearest((start + length) * target / source), first + 1)
    return first, last - first


def nearest(value: float) -> int:
    """The nearest whole number, halves up, as JavaScript rounds: the page must find the same pixels."""
    return int(np.floor(value + 0.5))


def place(fit: Fit, original: tuple[int, int], size: tuple[int, int], box: Box | None = None) -> Placement:
    """Where a picture lies in the input of a network.

    Args:
        fit: see the module.
        original: (H, W) of the picture.
        size: (h, w) of the input.
        box: the part of the picture that is fitted; None for all of it.
    """
    box = box or Box(0, 0, *original)
    (height, width), whole = box.size, Box(0, 0, *size)
    tall = height * size[1] >= width * size[0]  # no less tall than the input's shape
    if fit == "stretch" or height * size[1] == width * size[0]:
        return Placement(original, box, size, whole)
    if fit == "letterbox":
        shown = (
            (size[0], nearest(width * size[0] / height))
            if tall
            else (
                nearest(height * size[1] / width),
                size[1],
            )
        )
        shown = (max(shown[0], SMALLEST_SHOWN), max(shown[1], SMALLEST_SHOWN))
        return Placement(original, box, size, _centred(whole, shown))
    kept = (
        (nearest(width * size[0] / size[1]), width)
        if tall
        else (
            height,
            nearest(height * size[1] / size[0]),
        )
    )
    return Placement(original, _centred(box, (max(kept[0], 1), max(kept[1], 1))), size, whole)


def _centred(box: Box, size: tuple[int, int]) -> Box:
    """A box of this size in the middle of another."""
    return Box(box.top + (box.height - size[0]) // 2, box.left + (box.width - size[1]) // 2, *size)
