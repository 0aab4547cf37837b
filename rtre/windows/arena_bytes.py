"""One float64 arena to bytes and back, for windows whose whole state is one array.

Four bytes of kind (a letter for each window and its version), a CRC-32 of the rest, the numbers as
little-endian float64. The checksum finds damage; it is no proof against somebody who means harm.
"""

from __future__ import annotations

import zlib

import numpy as np

from rtre.errors import DataError
from rtre.market import Float64

_HEAD = 8


def to_bytes(kind: bytes, arena: Float64) -> bytes:
    """Return `arena` as bytes; `kind` is four bytes."""
    body = arena.astype("<f8").tobytes()
    return kind + zlib.crc32(body).to_bytes(4, "little") + body


def from_bytes(kind: bytes, data: bytes, least: int) -> Float64:
    """Return the arena that `to_bytes` was given.

    Raises
    ------
    DataError
        Another kind, damaged, or fewer than `least` numbers.
    """
    if data[:4] != kind:
        raise DataError(f"a snapshot of kind {kind!r} was expected, got {bytes(data[:4])!r}")
    body = data[_HEAD:]
    if len(body) % 8 or zlib.crc32(body).to_bytes(4, "little") != data[4:_HEAD]:
        raise DataError(f"a snapshot of {len(data)} bytes is damaged: its checksum does not fit")
    if len(body) < 8 * least:
        raise DataError(f"a snapshot of {len(body) // 8} numbers is too short, needs {least}")
    return np.frombuffer(body, "<f8").astype(np.float64)
