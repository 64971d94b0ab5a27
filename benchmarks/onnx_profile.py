"""Where ONNX Runtime spends the time of one image: milliseconds and calls of every kind of operation.

Run: ``python benchmarks/onnx_profile.py [--preset edge] [--size 256] [--threads 1] [--save FILE]``. Random
weights; the mean of the runs after the first ones.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnxruntime as ort

RUNS = 20


def exported(preset: str, size: int) -> bytes:
    """The ONNX file of a network with random weights."""
    from uml_tf.export.convert import convert
    from uml_tf.export.kinds import kinds_of
    from uml_tf.export.targets import ONNX
    from uml_tf.networks import UML
    from uml_tf.networks import preset as spec_of
    from uml_tf.runtime.model_card import ModelCard

    network = UML(spec_of(preset), 2, 3, (size, size))
    network.card = ModelCard(("healthy", "ill"), ("background", "rim", "cup"))
    (kind,) = (kind for kind in kinds_of(ONNX) if kind.value == "none")
    metadata, converted = convert(network, kind, np.zeros((1, size, size, 3), np.float32))
    return converted.files[0].pack(metadata)


def profile(data: bytes, size: int, threads: int) -> tuple[Counter[str], Counter[str]]:
    """Milliseconds and calls of a run by kind of operation."""
    image = {"image": np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)}
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.enable_profiling = threads, True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/trace"
        session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        for _ in range(RUNS):
            session.run(None, image)
        events = json.loads(Path(session.end_profiling()).read_text())
    kernels = [event for event in events if event["name"].endswith("_kernel_time")]
    spent, calls = Counter[str](), Counter[str]()
    for event in kernels[len(kernels) // 4 :]:
        kind = event["args"]["op_name"]
        spent[kind] += event["dur"] / 1e3 / (RUNS * 0.75)
        calls[kind] += 1
    return spent, calls


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--save", type=Path, help="the exported file, read where it exists")
    options = parser.parse_args()
    if options.save and options.save.exists():
        data = options.save.read_bytes()
    else:
        data = exported(options.preset, options.size)
        if options.save:
            options.save.write_bytes(data)
    spent, calls = profile(data, options.size, options.threads)
    print("| operation | ms an image | calls |\n| --- | --- | --- |")
    for kind, milliseconds in spent.most_common(14):
        print(f"| {kind} | {milliseconds:.2f} | {calls[kind] / (RUNS * 0.75):.0f} |")
    print(f"| all | {sum(spent.values()):.2f} | {sum(calls.values()) / (RUNS * 0.75):.0f} |")


if __name__ == "__main__":
    main()
