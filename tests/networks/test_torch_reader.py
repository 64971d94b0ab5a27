"""``tests/files``: the same tensors (a slice, a transpose, half, int64, a Parameter) saved by PyTorch
2.13 in both of its file forms, and by NumPy."""

from __future__ import annotations

import io
import pickle
import shutil
import sys
import tracemalloc
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uml_tf.networks.torch.reader import read_state
from uml_tf.runtime.errors import UmlError

FILES = Path(__file__).parents[1] / "files"


@pytest.mark.parametrize("name", ["zip.pth", "legacy.pth", "expected.npz"])
def test_both_forms_give_the_tensors_of_pytorch(name):
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
def test_the_code_of_a_pickle_is_never_run(tmp_path, form):
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


def _rebuild_tensor_v2(*arguments):
    raise AssertionError("only named, never called")


_rebuild_tensor_v2.__module__ = "torch._utils"


class _Tensor:
    def __init__(self, offset, size, stride):
        self.geometry = offset, size, stride

    def __reduce__(self):
        storage = ("storage", sys.modules["torch"].FloatStorage, "0", "cpu", 4)
        return _rebuild_tensor_v2, (storage, *self.geometry, False, {})


@pytest.fixture
def write_checkpoint(tmp_path, monkeypatch):
    """Writes a checkpoint with one storage of four floats, as PyTorch's zip form has it."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value if isinstance(value, tuple) and value[:1] == ("storage",) else None

    def write(state, compression=zipfile.ZIP_STORED):
        buffer, path = io.BytesIO(), tmp_path / "crafted.pth"
        Pickler(buffer, protocol=2).dump(state)
        with zipfile.ZipFile(path, "w", compression) as archive:
            archive.writestr("crafted/data.pkl", buffer.getvalue())
            archive.writestr("crafted/data/0", np.arange(4, dtype="<f4").tobytes())
        return path

    return write


def test_a_crafted_checkpoint_is_read(write_checkpoint):
    state = read_state(write_checkpoint({"x": _Tensor(0, (2, 2), (1, 2)), 7: _Tensor(1, (3,), (1,))}))
    np.testing.assert_array_equal(state["x"], [[0, 2], [1, 3]])
    np.testing.assert_array_equal(state["7"], [1, 2, 3])


@pytest.mark.parametrize(
    ("geometry", "found"),
    [
        ((0, (2**28,), (0,)), "more elements than its storage"),
        ((0, (2**14, 2**14), (0, 0)), "more elements than its storage"),
        ((2, (3,), (0,)), "more elements than its storage"),
        ((0, (3, 3), (1, 0)), "more elements than its storage"),
        ((0, (5,), (1,)), "beyond its storage"),
        ((-1, (2,), (1,)), "beyond its storage"),
        ((0, (2,), (-1,)), "do not fit together"),
        ((0, (2, 2), (1,)), "do not fit together"),
    ],
)
def test_a_tensor_larger_than_its_storage_is_refused(write_checkpoint, geometry, found):
    path = write_checkpoint({"x": _Tensor(*geometry)})
    tracemalloc.start()
    with pytest.raises(UmlError, match=found):
        read_state(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_many_tensors_of_one_storage_share_its_memory(write_checkpoint):
    state = read_state(write_checkpoint({str(i): _Tensor(0, (4,), (1,)) for i in range(100)}))
    assert all(np.shares_memory(array, state["0"]) for array in state.values())


def test_compressed_entries_are_refused(write_checkpoint):
    path = write_checkpoint({"x": _Tensor(0, (4,), (1,))}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UmlError, match="its entries are compressed"):
        read_state(path)


def test_a_damaged_npz_ends_in_one_line(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, x=np.arange(5000))
    raw = bytearray(path.read_bytes())
    raw[100:140] = bytes(40)
    path.write_bytes(raw)
    with pytest.raises(UmlError, match=r"x\.npz: cannot be read as \.npz") as found:
        read_state(path)
    assert "\n" not in str(found.value)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(UmlError, match=r"text\.pth: not a whole PyTorch checkpoint"):
        read_state(tmp_path / "text.pth")
    with pytest.raises(UmlError, match="no such file"):
        read_state(tmp_path / "missing.pth")
    shutil.copy(FILES / "zip.pth", tmp_path / "wrong.npz")
    with pytest.raises(UmlError, match="found a zip archive of other files"):
        read_state(tmp_path / "wrong.npz")
