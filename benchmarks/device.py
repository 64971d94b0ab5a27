"""One edge network in every form side by side, and the released one: latency, cold start, size, memory.

Run: ``python benchmarks/device.py [--size 256] [--latency TEXT]``; the latter measures the latency alone, of
the released network and of the forms with that text in their names. The weights are random: no figure
depends on them. Latency is the shortest of many runs on one image, on 1 and on 2 threads. Cold start is the
time that a new process takes until its first output, imports included; memory is that process's peak. The
floor is the network's GFLOP (a multiply-add counts as 2) at the rate of a large float32 matrix product,
measured in the same run.

Or: ``python benchmarks/device.py --emulated BUNDLE IMAGE...``: the bundle on emulated 64-bit ARM processors,
compared with this machine. That says what it computes there, never how fast.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from emulation import PROCESSORS, differences, emulated_arm
from presets import best_time, matrix_gigaflops

from uml_tf.export.convert import convert
from uml_tf.export.kind import ExportKind
from uml_tf.export.kinds import KINDS, kinds_of
from uml_tf.export.onnx import OnnxModel
from uml_tf.export.targets import ONNX, TFLITE
from uml_tf.networks import UML, preset
from uml_tf.networks.operations import gigaflop
from uml_tf.runtime.device_model import DeviceModel
from uml_tf.runtime.model_card import ModelCard

CARD = ModelCard(("healthy", "ill"), ("background", "rim", "cup"))
COLD = {
    ".tflite": "from uml_tf.runtime.device_model import DeviceModel as M; m = M(p)",
    ".onnx": "from uml_tf.export.onnx import OnnxModel as M; m = M(p.read_bytes())",
    ".keras": "from uml_tf.networks.files import read_network; n = read_network(p); "
    "m = lambda x: {k: v.numpy() for k, v in n(x, training=False).items()}; m.image_size = n.image_size",
}
PROBE = """
import os, re, sys; os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from pathlib import Path; p = Path(sys.argv[1])
import numpy as np
{load}
m(np.zeros((1, *m.image_size, 3), np.float32))["class_belief"]
print(re.search(r"VmHWM:[^0-9]*([0-9]+)", Path("/proc/self/status").read_text())[1])
"""


@dataclass
class Row:
    """One form's figures: seconds by thread count, bytes, seconds, MiB."""

    name: str
    latency: dict[int, float]
    size: int
    cold: float = 0.0
    peak: float = 0.0


def cold_start(path: Path) -> tuple[float, float]:
    """Seconds of the fastest of three processes, and the peak memory in MiB."""
    command = [sys.executable, "-c", PROBE.format(load=COLD[path.suffix]), str(path)]
    peaks = []

    def start() -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout) / 1024)

    return best_time(start, 2), max(peaks)


def latencies(
    open_with: Callable[[int], Callable[[np.ndarray], object]], image: np.ndarray
) -> dict[int, float]:
    """Best seconds by thread count."""
    found = {}
    for threads in (1, 2):
        source = open_with(threads)
        found[threads] = best_time(lambda s=source: s(image), 30)
    return found


def keras_row(
    model: UML, image: np.ndarray, folder: Path, start: Callable[[Path], tuple[float, float]]
) -> tuple[Row, float]:
    """The network in Keras, compiled, and its GFLOP."""
    function = tf.function(lambda x: model(x, training=False))
    concrete = function.get_concrete_function(tf.TensorSpec(image.shape, tf.float32))
    tensor, flop = tf.constant(image), gigaflop(model)
    seconds = best_time(lambda: concrete(tensor)["class_belief"].numpy(), 30 if flop < 10 else 5)
    path = folder / f"{model.spec.preset}.keras"
    model.save(path)
    return Row(f"{model.spec.preset}, Keras", {2: seconds}, path.stat().st_size, *start(path)), flop


def exported_row(
    name: str,
    model: UML,
    kind: ExportKind,
    images: np.ndarray,
    folder: Path,
    start: Callable[[Path], tuple[float, float]],
) -> Row:
    """One exported file."""
    metadata, converted = convert(model, kind, images)
    (file,) = converted.files
    path = folder / f"{name}{Path(file.name).suffix}"
    path.write_bytes(file.pack(metadata))
    if kind.target == TFLITE:
        found = latencies(lambda threads: DeviceModel(path, threads), images[:1])
    else:
        found = latencies(lambda threads: OnnxModel(path.read_bytes(), threads), images[:1])
    return Row(name, found, path.stat().st_size, *start(path))


def network(name: str, size: int) -> UML:
    """A preset with random weights."""
    model = UML(preset(name), 2, 3, (size, size))
    model.card = CARD
    return model


def rows(size: int, folder: Path, only: str | None) -> tuple[list[Row], float]:
    """Everything measured, or the latency of some forms alone; the edge network's GFLOP."""
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (8, size, size, 3)).astype(np.float32)
    edge, released = network("edge", size), network("released", size)
    start = cold_start if only is None else lambda path: (0.0, 0.0)
    released_row, _ = keras_row(released, images[:1], folder, start)
    edge_row, flop = keras_row(edge, images[:1], folder, start)
    forms = [("released, TFLite float16", released, KINDS["tflite-float16"])]
    for label, target in (("TFLite", TFLITE), ("ONNX Runtime", ONNX)):
        forms += [(f"edge, {label} {kind.value}", edge, kind) for kind in kinds_of(target)]
    chosen = [form for form in forms if only is None or only in form[0]]
    exported = [exported_row(*form, images, folder, start) for form in chosen]
    return [released_row, edge_row, *exported], flop


def print_emulated(bundle: Path, images: list[Path]) -> None:
    """Prints how the bundle's predictions differ on each emulated processor."""
    arm = emulated_arm(bundle / "requirements.txt")
    head = ("processor", "images", "class probability", "class uncertainty", "decisions", "classes", "masks")
    print("Largest difference of the numbers, and number of images where the rest differs:\n")
    print(f"| {' | '.join(head)} |")
    print("|" + " --- |" * len(head))
    for name in PROCESSORS:
        found = differences(arm, name, bundle, images or [bundle / "example.png"])
        numbers = f"{found.probability:.1e} | {found.uncertainty:.1e}"
        print(
            f"| {name} | {found.images} | {numbers} | {found.decisions} | {found.classes} | {found.masks} |"
        )


def main() -> None:
    """Prints one of the two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--latency", metavar="TEXT")
    parser.add_argument("--emulated", type=Path, metavar="BUNDLE")
    parser.add_argument("images", type=Path, nargs="*", metavar="IMAGE")
    options = parser.parse_args()
    if options.emulated:
        print_emulated(options.emulated, options.images)
    else:
        print_measured(options.size, options.latency)


def print_measured(size: int, only: str | None) -> None:
    """Measures every form on this machine, and prints the table."""
    rate = matrix_gigaflops()
    with tempfile.TemporaryDirectory() as name:
        found, flop = rows(size, Path(name), only)
    floor, slowest = flop / rate, found[0].latency[2]
    print(f"{size} x {size}, one image, {os.cpu_count()} CPU cores, matrix product {rate:.0f} GFLOP/s;")
    print(f"edge: {flop:.2f} GFLOP, floor {floor * 1e3:.1f} ms\n")
    head = ("form", "1 thread", "2 threads", "to the first", "of floor", "cold start", "file", "peak memory")
    print(f"| {' | '.join(head)} |")
    print("|" + " --- |" * len(head))
    for row in found:
        one = f"{row.latency[1] * 1e3:.1f} ms" if 1 in row.latency else ""
        of_floor = f"{row.latency[2] / floor:.1f} x" if row.name.startswith("edge") else ""
        two = f"{row.latency[2] * 1e3:.1f} ms"
        start, peak = (f"{row.cold:.2f} s", f"{row.peak:.0f} MiB") if row.cold else ("", "")
        print(
            f"| {row.name} | {one} | {two} | {slowest / row.latency[2]:.0f} x as fast "
            f"| {of_floor} | {start} | {row.size / 1e6:.2f} MB | {peak} |"
        )


if __name__ == "__main__":
    main()
