from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from uml_tf.data import parallel
from uml_tf.data.check import check_dataset
from uml_tf.data.converters.phantom import PhantomOptions, generate_phantoms
from uml_tf.data.masks import read_mask
from uml_tf.data.phantom_drawing import PIXEL_CLASSES, draw_phantom
from uml_tf.runtime.cup_to_disc import vertical_cup_to_disc_ratio
from uml_tf.runtime.errors import UmlError


def _digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def test_deterministic_by_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate_phantoms(tmp_path / name, PhantomOptions(images=10, seed=seed, size=64))
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b")
    assert _digest(tmp_path / "a") != _digest(tmp_path / "c")


def test_label_follows_the_masks_own_ratio(phantoms):
    ratios = []
    for row in phantoms.rows:
        ratio = vertical_cup_to_disc_ratio(read_mask(phantoms.root / row.mask), PIXEL_CLASSES)
        assert row.label == ("glaucoma" if ratio > 0.6 else "healthy")
        ratios.append(ratio)
    # Some are near the limit, so that doubt is real.
    assert sum(abs(r - 0.6) < 0.07 for r in ratios) >= 3


def test_sound_and_balanced(phantoms):
    assert check_dataset(phantoms).problems == []
    labels = Counter(row.label for row in phantoms.rows)
    assert min(labels.values()) > 0.3 * len(phantoms.rows)


def test_ungradable_is_blurred():
    sharp = [draw_phantom(np.random.default_rng(i), 96)[0] for i in range(8)]
    blurred = [draw_phantom(np.random.default_rng(i), 96, ungradable=True)[0] for i in range(8)]

    def detail(images):
        # Green channel, inside the field of view: the vessels are there.
        return np.mean([np.abs(np.diff(i[30:66, 30:66, 1].astype(float), 2, axis=1)).mean() for i in images])

    assert detail(blurred) < 0.9 * detail(sharp)


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ValidationError, match="images"):
        PhantomOptions(images=3)
    generate_phantoms(tmp_path / "y", PhantomOptions(images=10, size=64))
    with pytest.raises(UmlError, match="exists already"):
        generate_phantoms(tmp_path / "y", PhantomOptions(images=10, size=64))


def test_phantoms_and_their_splits_stay_what_the_readme_measures(tmp_path):
    drawn = generate_phantoms(tmp_path / "x", PhantomOptions(images=40, size=64))
    masks = b"".join(read_mask(drawn.root / row.mask).tobytes() for row in drawn.rows)
    assert hashlib.sha256(masks).hexdigest()[:16] == "b754c6d5ef4c28c1"
    assert "".join(row.split[1] for row in drawn.rows) == "rrreaereaerrrarrrarrerrearrrarreerrrrerr"
    assert drawn.rows[7].image == "images/00007.jpg"
    assert drawn.rows[7].subject == "phantom_00007"


def test_a_seed_of_any_size_is_accepted(tmp_path):
    drawn = generate_phantoms(tmp_path / "x", PhantomOptions(images=10, size=64, seed=2**70))
    assert len(drawn.rows) == 10


def test_files_that_several_processes_wrote_are_those_of_one(tmp_path, monkeypatch):
    options = PhantomOptions(images=40, seed=5, size=64)
    alone = generate_phantoms(tmp_path / "alone", options)
    monkeypatch.setattr(parallel, "_LEAST", 0)
    together = generate_phantoms(tmp_path / "together", options)
    assert together.fingerprint == alone.fingerprint
    assert {path.name for path in together.root.iterdir()} == {path.name for path in alone.root.iterdir()}
    report = check_dataset(together)
    monkeypatch.undo()
    assert report == replace(check_dataset(alone), near_duplicates=report.near_duplicates)
