"""Memory and time of the fit after the last epoch, of a growing number of training images.

Run: ``python benchmarks/density.py --images 1000 10000``. A network with random weights looks at images of
noise that are made when they are asked for, and the card is fitted as at the end of a training: the density
on all of them, the rest on 100 validation images. Each number of images has a process of its own. With
``--dimensions D`` there is no network: its features are made up, so that D can be that of any preset.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH, VALIDATION = 16, 100
Array = NDArray[Any]


class Noise:
    """Images of noise ``(N, H, W, C)`` uint8, or masks of two classes, made when they are asked for."""

    def __init__(self, shape: tuple[int, ...], below: int) -> None:
        self.shape, self._below = shape, below

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> Array:
        chosen = np.arange(len(self))[index]
        rng = np.random.default_rng(int(np.ravel(chosen)[0]))
        return rng.integers(0, self._below, (*chosen.shape, *self.shape[1:]), np.uint8)


def _vectors(count: int, dimensions: int) -> Iterator[tuple[Array, Array]]:
    for start in range(0, count, BATCH):
        rng = np.random.default_rng(start)
        few = min(BATCH, count - start)
        yield tuple(rng.standard_normal((few, size), np.float32) for size in (dimensions, 4))  # type: ignore[misc]


def _made_up(count: int, dimensions: int) -> None:
    from uml_tf.training.density_fit import fit_density

    fit_density(_vectors(count, dimensions), next(_vectors(BATCH, dimensions)))


def _network(count: int, preset: str, size: int) -> None:
    from uml_tf.data.dataset import Row
    from uml_tf.data.pipeline import Examples
    from uml_tf.evaluation.keras_predictor import KerasPredictor
    from uml_tf.networks import UML
    from uml_tf.networks.presets import preset as named
    from uml_tf.training.finish import fit_card

    def examples(number: int) -> Examples:
        images, masks = (Noise((number, size, size, *last), below) for last, below in (((3,), 256), ((), 2)))
        row = Row("image.png", "mask.png", "a", "train", "")
        labels = np.arange(number, dtype=np.int32) % 2
        return Examples(images, labels, masks, np.ones(number, np.float32), (row,) * number)

    info = SimpleNamespace(
        image_classes=("a", "b"),
        pixel_classes=("background", "lesion"),
        unions={},
        name="noise",
        source="",
        licence="",
        intensity=None,
    )
    predictor = KerasPredictor(UML(named(preset), 2, 2, (size, size)))
    dataset: Any = SimpleNamespace(info=info, fingerprint="")
    fit_card(predictor, examples(count), examples(VALIDATION), dataset, "")


def main() -> None:
    """Prints a row for each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--dimensions", type=int)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--size", type=int, default=32)
    options = parser.parse_args()
    if len(options.images) > 1:
        for count in options.images:
            own = ["--images", str(count), "--preset", options.preset, "--size", str(options.size)]
            if options.dimensions:
                own += ["--dimensions", str(options.dimensions)]
            subprocess.run([sys.executable, __file__, *own], check=True)
        return
    (count,) = options.images
    start = time.process_time()
    if options.dimensions:
        _made_up(count, options.dimensions)
    else:
        _network(count, options.preset, options.size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} images: {time.process_time() - start:.1f} s of CPU, peak {peak:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
