"""A named buffer of a TFLite file.

The schema that LiteRT brings reads it too, but to import that takes longer than to run a small network.
"""

from __future__ import annotations

import struct

# Places of the fields in their tables, in the order of TFLite's schema.fbs.
_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA = 0


def buffer_named(data: bytes, name: str) -> bytes | None:
    """The content of the buffer that a file's metadata list under a name; None where it lists none.

    Args:
        data: the file.
        name: of the metadata entry.

    Raises:
        struct.error: an offset points outside of the file.
        ValueError: the file is inconsistent in another way.

    Source: FlatBuffers' binary format, and the schema of TensorFlow Lite.
    """
    model = _number(data, 0, "<I")
    metadata, buffers = (_vector(data, model, field) for field in (_MODEL_METADATA, _MODEL_BUFFERS))
    for index in range(_number(data, metadata, "<I") if metadata else 0):
        entry = _follow(data, metadata + 4 + 4 * index)
        text = _vector(data, entry, _METADATA_NAME)
        if text and _bytes(data, text) == name.encode():
            place = _field(data, entry, _METADATA_BUFFER)
            chosen = _number(data, place, "<I") if place else 0
            if not buffers or chosen >= _number(data, buffers, "<I"):
                raise ValueError(f"metadata: found buffer {chosen}, expected one of the file's")
            content = _vector(data, _follow(data, buffers + 4 + 4 * chosen), _BUFFER_DATA)
            return _bytes(data, content) if content else b""
    return None


def _number(data: bytes, place: int, code: str) -> int:
    if place < 0:
        raise ValueError("an offset points before the file")
    (value,) = struct.unpack_from(code, data, place)
    return int(value)


def _follow(data: bytes, place: int) -> int:
    """Where the offset at a place leads."""
    return place + _number(data, place, "<I")


def _field(data: bytes, table: int, field: int) -> int:
    """The place of a table's field; 0 where it has none."""
    names = table - _number(data, table, "<i")
    entry = 4 + 2 * field
    offset = _number(data, names + entry, "<H") if entry < _number(data, names, "<H") else 0
    return table + offset if offset else 0


def _vector(data: bytes, table: int, field: int) -> int:
    """The place of the vector or string that a table's field leads to; 0 where it has none."""
    place = _field(data, table, field)
    return _follow(data, place) if place else 0


def _bytes(data: bytes, vector: int) -> bytes:
    """The content of a vector of bytes or of a string."""
    length = _number(data, vector, "<I")
    content = data[vector + 4 : vector + 4 + length]
    if len(content) != length:
        raise ValueError("a vector ends outside of the file")
    return content
