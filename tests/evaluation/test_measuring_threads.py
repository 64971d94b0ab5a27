"""Images are read and measured in threads: their order and every number stay those of one thread."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from uml_tf.data.dataset import PreparedDataset
from uml_tf.evaluation import evaluate
from uml_tf.evaluation.evaluate import read_chunks
from uml_tf.runtime.errors import UmlError
from uml_tf.runtime.placement import place

_SIZE = (32, 32)

_FIRST_LOOK = """
from concurrent.futures import ThreadPoolExecutor
from uml_tf.evaluation.evaluate import Chunk
from uml_tf.metrics.metric import METRICS
assert METRICS._package
Chunk((), [], []).measure({}, None, ())
assert METRICS._package is None and len(METRICS) > 10
"""


def _measured(phantoms):
    rng, found = np.random.default_rng(0), []
    images, pixels = len(phantoms.info.image_classes), len(phantoms.info.pixel_classes)
    for chunk in read_chunks(phantoms, "train"):
        count = len(chunk.rows)
        classes = rng.dirichlet([1.0] * images, count).astype(np.float32)
        maps = rng.dirichlet([0.5] * pixels, (count, *_SIZE)).astype(np.float32)
        outputs = {
            "class_probability": classes,
            "class_belief": classes * 0.9,
            "class_uncertainty": np.full((count, 1), 0.1, np.float32),
            "class_confidence": classes.max(axis=1, keepdims=True),
            "mask_probability": maps,
            "mask_belief": maps * 0.9,
            "mask_uncertainty": np.full((count, *_SIZE, 1), 0.1, np.float32),
            "mask_confidence": maps.max(axis=-1, keepdims=True),
            "familiarity": np.ones((count, 1), np.float32),
        }
        placements = [place("stretch", image.shape[:2], _SIZE) for image in chunk.images]
        found += chunk.measure(outputs, phantoms, placements)
    return found


def test_threads_give_the_measures_of_one_thread_in_the_order_of_the_manifest(phantoms, monkeypatch):
    monkeypatch.setattr(evaluate, "cores", lambda: 1)
    alone = _measured(phantoms)
    monkeypatch.setattr(evaluate, "cores", lambda: 4)
    together = _measured(phantoms)
    assert [one.image for one in together] == [row.image for row in phantoms.split("train")]
    assert any(one.masked for one in together)
    # As text, where nan equals nan and a number is written exactly.
    assert [repr(one) for one in together] == [repr(one) for one in alone]


def test_the_first_damaged_file_in_the_order_of_the_manifest_is_named(phantoms, tmp_path):
    rows = phantoms.split("train")
    for name in ("dataset.yaml", "manifest.csv"):
        (tmp_path / name).write_bytes((phantoms.root / name).read_bytes())
    for row in rows:
        for relative in row.files:
            (tmp_path / relative).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / relative).write_bytes((phantoms.root / relative).read_bytes())
    for row in (rows[20], rows[18]):
        (tmp_path / row.image).write_bytes(b"no image")
    chunks = read_chunks(PreparedDataset.open(tmp_path), "train")
    assert len(next(chunks).rows) == evaluate.CHUNK
    with pytest.raises(UmlError, match=rows[18].image):
        next(chunks)


def test_metrics_are_looked_up_before_the_threads_start():
    subprocess.run([sys.executable, "-c", _FIRST_LOOK], check=True)
