"""Where the CPU time of an image goes when it is read with an exported file, on one thread.

Run: ``python benchmarks/predict_steps.py MODEL.tflite IMAGE...``, with ``PYTHONPATH=TREE`` for the runtime of
another commit. Medians over the images, five times each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
    os.environ[name] = "1"

from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.images import encode_png, read_picture
from uml_tf.runtime.overlay import draw_outlines
from uml_tf.runtime.prediction import interpret
from uml_tf.runtime.prediction_files import write_prediction
from uml_tf.runtime.predictions_page import thumbnail

REPEATS = 5


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, nargs="+")
    options = parser.parse_args()
    model, images = DeviceModel(options.model, 1), options.images
    spent: dict[str, list[float]] = defaultdict(list)

    def timed(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        start = time.process_time_ns()
        result = function(*arguments)
        spent[name].append((time.process_time_ns() - start) / 1e6)
        return result

    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(images * REPEATS):
            picture = timed("decoding", read_picture, path, model.card.mapping)
            placement = model.place(picture.pixels)
            seen = timed("resizing", placement.image, picture.pixels)
            outputs = timed("network", model, seen[None])
            each = {name: value[0] for name, value in outputs.items()}
            found = timed("interpreting", interpret, each, placement, model.card)
            data, pixels, out = found.to_dict(str(path)), picture.pixels, Path(folder)
            overlay = timed("(of this) overlay", draw_outlines, pixels, found.mask, 0.25)
            timed("(of this) PNG of the overlay", encode_png, overlay)
            timed("five files", write_prediction, out, str(number), data, pixels, found)
            timed("thumbnail", thumbnail, overlay)
    print("| step | CPU time |\n| --- | --- |")
    for step, milliseconds in spent.items():
        print(f"| {step} | {statistics.median(milliseconds):.2f} ms |")


if __name__ == "__main__":
    main()
