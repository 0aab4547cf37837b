"""A rolling tail as bytes: settings in JSON, the arena as it is, and a checksum."""

from __future__ import annotations

import json
import zlib
from typing import Any

import attrs
import numpy as np

from rtre.errors import DataError
from rtre.kernels import tail_layout as lay
from rtre.market import Float64

MAGIC = b"rtre-tail-1\n"
_SIZES = 12  #: checksum and length of the settings


def pack(settings: Any, arena: Float64) -> bytes:
    """Join settings (an attrs object) and arena."""
    text = json.dumps(attrs.asdict(settings)).encode()
    used = int(arena.view(np.int64)[lay.H_USED])
    body = text + np.ascontiguousarray(arena[:used], "<f8").tobytes()
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + len(text).to_bytes(8, "little") + body


def unpack(data: bytes) -> tuple[dict[str, Any], Float64]:
    """Take apart what `pack` made. Raises DataError where it is not that, or damaged."""
    head = len(MAGIC) + _SIZES
    if len(data) < head or data[: len(MAGIC)] != MAGIC:
        raise DataError("these bytes are no snapshot of a rolling tail, or of another version")
    checksum = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")
    length = int.from_bytes(data[len(MAGIC) + 4 : head], "little")
    body = data[head:]
    if zlib.crc32(body) != checksum or length > len(body) or (len(body) - length) % 8:
        raise DataError("the snapshot is damaged: its checksum does not fit")
    return json.loads(body[:length]), np.frombuffer(body[length:], "<f8").astype(np.float64)


def check(arena: Float64, fresh: Float64) -> None:
    """Raise DataError unless the arena's settings are those of `fresh` and its indices lie inside.

    Kernels check no index, so a forged snapshot must not get past here.
    """
    ints, new = arena.view(np.int64), fresh.view(np.int64)
    fixed = int(new[lay.H_AT_SERIES])
    own = (lay.H_AT_SCRATCH, lay.H_SCRATCH, lay.H_USED)
    if len(ints) < fixed or len(ints) != ints[lay.H_USED]:
        raise DataError("the snapshot is shorter than its settings need")
    same = ints[:fixed] == new[:fixed]
    same[list(own)] = True
    series, stride, sides = (int(new[h]) for h in (lay.H_SERIES, lay.H_STRIDE, lay.H_SIDES))
    if not same.all() or len(ints) < fixed + series * stride:
        raise DataError("the snapshot does not fit its settings")
    rows = ints[fixed : fixed + series * stride].reshape(series, stride)
    ring, room, cap = rows[:, lay.S_RING], rows[:, lay.S_ROOM], rows[:, lay.S_CAP]
    blocks = [(rows[:, lay.S_AT_RING], ring), (rows[:, lay.S_AT_TIMES], ring)]
    blocks += [(rows[:, lay.S_AT_TAILS], 2 * sides * room)]
    blocks += [(ints[[lay.H_AT_SCRATCH]], ints[[lay.H_SCRATCH]])]
    good = [(at >= fixed) & (size >= 0) & (at + size <= len(ints)) for at, size in blocks]
    good += [
        (ring > 0) & (ring <= new[lay.H_WINDOW]) & (ring <= ints[lay.H_SCRATCH]),
        (rows[:, lay.S_POS] >= 0) & (rows[:, lay.S_POS] < ring),
        (rows[:, lay.S_SLOTS] >= 0) & (rows[:, lay.S_SLOTS] <= ring),
        (rows[:, lay.S_VALID] >= 0) & (rows[:, lay.S_VALID] <= rows[:, lay.S_SLOTS]),
        (rows[:, lay.S_NEED] >= 0) & (rows[:, lay.S_NEED] <= cap) & (cap <= room),
    ]
    for which in range(sides):
        t = lay.SCALARS + lay.SIDE * which
        good += [
            (rows[:, t + f] >= 0) & (rows[:, t + f] <= room) for f in (lay.T_COUNT, lay.T_FOUND)
        ]
        good += [(rows[:, t + lay.T_WHICH] | 1) == 1]
    for c in range(int(new[lay.H_LEVELS])):
        r = lay.SCALARS + lay.SIDE * sides + lay.LEVEL * c
        good += [
            (rows[:, r + f] >= 0) & (rows[:, r + f] <= room) for f in (lay.R_A, lay.R_B, lay.R_K)
        ]
    if not all(bool(np.all(g)) for g in good):
        raise DataError("the snapshot points outside of itself")
