"""``tests/files``: the same tensors (a slice, a transpose, half, int64, a Parameter) saved by PyTorch
2.13 in both of its file forms, and by NumPy."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uml_tf.networks.torch.reader import read_state
from uml_tf.runtime.errors import UmlError

FILES = Path(__file__).parents[1] / "files"


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "expected.npz"])
def test_both_forms_give_pytorchs_tensors(name):
    state = read_state(FILES / name)
    with np.load(FILES / "expected.npz") as expected:
        assert set(state) == set(expected.files)
        for key in expected.files:
            np.testing.assert_array_equal(state[key], expected[key], err_msg=key)
            assert state[key].dtype == expected[key].dtype


class _Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("form", ["zip", "plain"])
def test_a_pickles_code_is_never_run(tmp_path, form):
    touched, path = tmp_path / "touched", tmp_path / "attack.pth"
    data = pickle.dumps({"state_dict": _Attack(touched)})
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", data)
    else:
        path.write_bytes(pickle.dumps(0x1950A86A20F9469CFC6C) + pickle.dumps(1001) + pickle.dumps({}) + data)
    with pytest.raises(UmlError, match="refused as a PyTorch checkpoint: it names 'pathlib"):
        read_state(path)
    assert not touched.exists()


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth"])
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_damaged_files_end_in_one_line(tmp_path, name, data):
    raw = bytearray((FILES / name).read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path = tmp_path / name
    path.write_bytes(raw)
    try:
        read_state(path)
    except UmlError as error:
        assert "\n" not in str(error)  # noqa: PT017 (a changed byte inside the numbers is no error)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UmlError, match=r"text\.pth: not a whole PyTorch checkpoint"):
        read_state(tmp_path / "text.pth")
    with pytest.raises(UmlError, match="no such file"):
        read_state(tmp_path / "missing.pth")
    shutil.copy(FILES / "zip.pth", tmp_path / "wrong.npz")
    with pytest.raises(UmlError, match="found a zip archive of other files"):
        read_state(tmp_path / "wrong.npz")
