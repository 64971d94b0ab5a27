"""Raw folders as people have them."""

from __future__ import annotations

import json

import pytest
from raw_files import COUNT, box, convert_raw, photo, write

from uml_tf.data.dataset import PreparedDataset


def _converted(once, name, raw):
    with once(name) as (folder, done):
        if not done.exists():
            _, problems = convert_raw(name, raw, folder / "set")
            done.write_text(json.dumps(problems))
        return PreparedDataset.open(folder / "set"), json.loads(done.read_text())


@pytest.fixture(scope="session")
def real_drishti(once, drishti_raw):
    """The converted photographs of Drishti-GS1, not to be changed: (data set, problems)."""
    return _converted(once, "drishti", drishti_raw)


@pytest.fixture(scope="session")
def real_origa(once, origa_raw):
    """The same for ORIGA."""
    return _converted(once, "origa", origa_raw)


@pytest.fixture
def class_folders(tmp_path):
    """Class folders; most images have a mask beside them, one has two."""
    raw = tmp_path / "raw"
    for n in range(COUNT):
        name = ("benign", "malignant")[n % 2]
        write(raw / name / f"{name} ({n}).png", photo(n))
        if n != 4:
            write(raw / name / f"{name} ({n})_mask.png", box(5, 15, 5, 25))
    write(raw / "benign/benign (0)_mask_1.png", box(25, 35, 30, 45))
    (raw / "benign/notes.txt").write_text("no image")
    (raw / ".hidden").mkdir()
    write(raw / ".hidden/x.png", photo(99))
    return raw
