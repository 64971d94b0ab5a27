"""Raw folders as people have them."""

from __future__ import annotations

import pytest
from raw_files import COUNT, box, photo, write


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
