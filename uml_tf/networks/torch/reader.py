"""Reads PyTorch checkpoints without PyTorch, and without executing code that a pickle names.

A ``.pth`` file is a pickle that names tensors and their storages, and the storages' bytes, either in a
zip archive (PyTorch 1.6 and later) or one after another (earlier). A pickle can call any function it
names; this reader knows the few names that a ``state_dict`` needs and refuses every other. The memory that
it takes is bounded by the file's size: tensors are views of the storages.
"""

from __future__ import annotations

import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from uml_tf.runtime.errors import UmlError

State = dict[str, NDArray[Any]]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_NESTED = ("state_dict", "model", "model_state_dict")
_DATA_PARALLEL = "module."

_STORAGES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class _RefusedError(pickle.UnpicklingError):
    """The file asks for something that no state_dict needs."""


@dataclass(frozen=True)
class _StorageType:
    """Stands for a ``torch.XStorage`` class; never called by the pickle."""

    dtype: np.dtype[Any]


@dataclass
class _Tensor:
    """A view of a storage whose bytes may come later in the file."""

    storage: str
    dtype: np.dtype[Any]
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def read(self, data: bytes) -> NDArray[Any]:
        """The tensor as a read-only view of its storage's bytes.

        Raises:
            _RefusedError: it reaches beyond its storage, or expands it (a stride of 0).
        """
        if len(self.size) != len(self.stride) or min((*self.size, *self.stride), default=0) < 0:
            raise _RefusedError("a tensor's size and stride do not fit together")
        if 0 in self.size:
            return np.zeros(self.size, self.dtype)
        flat = np.frombuffer(data, self.dtype)
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        if self.offset < 0 or last >= flat.size:
            raise _RefusedError("a tensor reaches beyond its storage")
        if math.prod(self.size) > flat.size - self.offset:
            raise _RefusedError("a tensor has more elements than its storage")
        strides = [s * self.dtype.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(flat[self.offset :], self.size, strides, writeable=False)


def _rebuild_tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> _Tensor:
    key, dtype = storage
    return _Tensor(key, dtype, int(offset), tuple(size), tuple(stride))


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _StorageType(dtype) for name, dtype in _STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Finds only the names in ``_ALLOWED``."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise _RefusedError(f"it names '{module}.{name}', which no state_dict needs") from None

    def persistent_load(self, identity: Any) -> tuple[str, np.dtype[Any]]:
        kind, storage_type, key, *_ = identity
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise _RefusedError(f"it refers to {kind!r}, expected a storage")
        return str(key), storage_type.dtype


class _LegacyUnpickler(_Unpickler):
    """Also keeps the element size of each storage, whose bytes follow without a type."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.widths: dict[str, int] = {}

    def persistent_load(self, identity: Any) -> tuple[str, np.dtype[Any]]:
        """As in ``_Unpickler``; keeps the element size."""
        key, dtype = super().persistent_load(identity)
        self.widths[key] = dtype.itemsize
        return key, dtype


def _read_zip(path: Path) -> tuple[Any, Callable[[str], bytes]]:
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    index = next((name for name in names if name.endswith("data.pkl")), None)
    if index is None:
        raise UmlError(f"{path}: found a zip archive without data.pkl, expected a PyTorch checkpoint")
    folder = index.removesuffix("data.pkl")
    if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
        raise UmlError(f"{path}: found big-endian tensors, expected little-endian")
    # PyTorch stores without compression; a compressed entry could grow to any size in memory.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise _RefusedError("its entries are compressed, which PyTorch's are not")
    root = _Unpickler(io.BytesIO(archive.read(index))).load()
    return root, lambda key: archive.read(f"{folder}data/{key}")


def _read_legacy(file: IO[bytes], size: int) -> tuple[Any, Callable[[str], bytes]]:
    if _Unpickler(file).load() != _LEGACY_MAGIC:
        raise _RefusedError("it has no PyTorch magic number")
    _Unpickler(file).load()  # protocol version
    _Unpickler(file).load()  # sizes of the writing machine's integers
    unpickler = _LegacyUnpickler(file)
    root = unpickler.load()
    storages = {}
    for key in _Unpickler(file).load():
        count = int.from_bytes(file.read(8), "little")
        storages[str(key)] = file.read(min(count * unpickler.widths[str(key)], size))
    return root, storages.__getitem__


def _tensors(root: Any, path: Path) -> dict[str, _Tensor]:
    """The state_dict, which may be nested under one of the usual names."""
    for name in _NESTED:
        if isinstance(root, dict) and isinstance(root.get(name), dict):
            root = root[name]
    if not isinstance(root, dict):
        raise UmlError(f"{path}: found {type(root).__name__}, expected a state_dict")
    tensors = {str(key): value for key, value in root.items() if isinstance(value, _Tensor)}
    if not tensors:
        places = ", ".join(_NESTED)
        raise UmlError(f"{path}: found no tensors, expected a state_dict, plain or under {places}")
    return tensors


def _read_torch(path: Path) -> State:
    try:
        if zipfile.is_zipfile(path):
            root, storage = _read_zip(path)
        else:
            with path.open("rb") as file:
                root, storage = _read_legacy(file, path.stat().st_size)
        tensors, bytes_of = _tensors(root, path), cache(storage)
        return {name: tensor.read(bytes_of(tensor.storage)) for name, tensor in tensors.items()}
    except UmlError:
        raise
    except _RefusedError as error:
        raise UmlError(f"{path}: refused as a PyTorch checkpoint: {error}") from error
    except Exception as error:  # a damaged pickle or archive can raise almost any kind
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        raise UmlError(f"{path}: not a whole PyTorch checkpoint ({reason})") from error


def read_state(path: Path) -> State:
    """The arrays of a ``.pth`` / ``.pt`` / ``.tar`` state_dict or of an ``.npz``, by name, in torch layout.

    A state_dict may lie under "state_dict", "model" or "model_state_dict", and its names may begin with
    DataParallel's "module.".

    Raises:
        UmlError: the file is missing or damaged, holds no tensors, or its pickle names anything but tensors
            (which is not executed), or a tensor is larger than its storage.
    """
    if not path.is_file():
        raise UmlError(f"{path}: no such file, expected a .pth or .npz checkpoint")
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                state = {name: arrays[name] for name in arrays.files}
        except Exception as error:  # likewise
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
            raise UmlError(f"{path}: cannot be read as .npz ({reason})") from error
        if not all(isinstance(array, np.ndarray) for array in state.values()):
            raise UmlError(f"{path}: found a zip archive of other files, expected NumPy arrays")
    else:
        state = _read_torch(path)
    return {name.removeprefix(_DATA_PARALLEL): array for name, array in state.items()}
