"""Synthetic fundus photographs with a known disc, cup and diagnosis: the embedded default data set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from uml_tf.data.conversion import convert
from uml_tf.data.converter import CONVERTERS, Case, Converter, ConvertOptions, RawDataset
from uml_tf.data.dataset import DatasetInfo, PreparedDataset
from uml_tf.data.phantom_drawing import CLASSES, PIXEL_CLASSES, draw_phantom
from uml_tf.runtime.images import encode_jpeg

_JPEG_QUALITY = 92

INFO = DatasetInfo(
    name="fundus phantoms",
    image_classes=CLASSES,
    pixel_classes=PIXEL_CLASSES,
    source="synthetic, drawn by uml-tf",
    licence="CC0-1.0",
    unions={"disc": ("rim", "cup")},
)


class PhantomOptions(ConvertOptions):
    """What is drawn.

    Attributes:
        images: number of photographs, at least 10.
        seed: of the photographs and the split; equal seeds give equal files.
        size: side in pixels, at least 64.
        ungradable: degrade every photograph (blur, glare, darkness) past grading, for tests of
            out-of-distribution behaviour; its label and mask stay those of the undegraded eye.
        split: shares of train, val and test.
    """

    images: int = Field(default=1000, ge=10, description="Number of photographs.")
    seed: int = Field(default=0, ge=0, description="Equal seeds give equal files.")
    size: int = Field(default=192, ge=64, description="Side in pixels.")
    ungradable: bool = Field(
        default=False, description="Degrade every photograph past grading (blur, glare, darkness)."
    )
    split: tuple[float, float, float] = Field(
        default=(0.65, 0.15, 0.2), description="Shares of train, val and test."
    )


def _draw(options: PhantomOptions, index: int) -> Case:
    # A random stream of its own for each image: to ask for more images changes none of the earlier ones.
    rng = np.random.default_rng([options.seed, index])
    image, mask, label = draw_phantom(rng, options.size, options.ungradable)
    name = f"{index:05d}"
    return Case(name, encode_jpeg(image, _JPEG_QUALITY), label, mask, subject=f"phantom_{name}")


def _find(raw: None, options: PhantomOptions) -> RawDataset:
    return RawDataset(INFO, range(options.images), partial(_draw, options))


PHANTOM = CONVERTERS.add(
    "phantom",
    Converter(
        "Draw synthetic fundus photographs with known disc, cup and diagnosis into OUT.",
        PhantomOptions,
        _find,
        stage="drawing phantoms",
    ),
)


def generate_phantoms(
    out: Path, options: PhantomOptions, progress: Callable[[int], None] = lambda done: None
) -> PreparedDataset:
    """Draws a prepared data set of phantoms.

    Args:
        out: the new folder.
        options: what is drawn.
        progress: called with the number of finished images.

    Raises:
        UmlError: ``out`` exists or cannot be written.
    """
    dataset, _ = convert(PHANTOM, None, out, options, lambda name, total: progress)
    return dataset
