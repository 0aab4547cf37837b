"""Arenas to bytes and back, for windows whose whole state is a few arrays of float64 and int64.

Four bytes of kind (a letter for each window and its version), a CRC-32 of the rest, the numbers in
little-endian order. The checksum finds damage; it is no proof against somebody who means harm.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from rtre.errors import DataError
from rtre.market import Float64, Int64

_HEAD = 8


def seal(kind: bytes, body: bytes) -> bytes:
    """Put the kind, four bytes, and a checksum before `body`."""
    return kind + zlib.crc32(body).to_bytes(4, "little") + body


def unseal(kind: bytes, data: bytes) -> bytes:
    """Return the body that `seal` was given; raises DataError for another kind, or damage."""
    if not isinstance(data, bytes | bytearray | memoryview):
        raise DataError(f"a snapshot is bytes, got {data!r:.60}")
    data = bytes(data)
    if data[:4] != kind:
        raise DataError(f"a snapshot of kind {kind!r} was expected, got {bytes(data[:4])!r}")
    body = data[_HEAD:]
    if zlib.crc32(body).to_bytes(4, "little") != data[4:_HEAD]:
        raise DataError(f"a snapshot of {len(data)} bytes is damaged: its checksum does not fit")
    return body


def to_bytes(kind: bytes, *arenas: Float64 | Int64) -> bytes:
    """Return the arenas, of 8 bytes a number, as bytes; `kind` is four bytes."""
    return seal(
        kind, b"".join(a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes() for a in arenas)
    )


def _numbers(kind: bytes, data: bytes) -> Int64:
    """Check a snapshot and return its numbers, as the bits of int64."""
    body = unseal(kind, data)
    if len(body) % 8:
        raise DataError(f"a snapshot of {len(data)} bytes holds no whole number of numbers")
    return np.frombuffer(body, "<i8").astype(np.int64)


def float_arena(kind: bytes, data: bytes, least: int) -> Float64:
    """Return the one float64 arena that `to_bytes` was given.

    Raises
    ------
    DataError
        Another kind, damaged, or fewer than `least` numbers.
    """
    found = _numbers(kind, data)
    if len(found) < least:
        raise DataError(f"a snapshot of {len(found)} numbers is too short, needs {least}")
    return found.view(np.float64)


def from_bytes(kind: bytes, data: bytes, sizes: Sequence[int]) -> list[Int64]:
    """Return the arenas of the given sizes that `to_bytes` was given, as the bits of int64.

    Raises
    ------
    DataError
        Another kind, damaged, or another number of numbers.
    """
    whole = _numbers(kind, data)
    if len(whole) != sum(sizes):
        raise DataError(f"a snapshot of {sum(sizes)} numbers was expected, got {len(whole)}")
    return np.split(whole, np.cumsum(sizes)[:-1])
