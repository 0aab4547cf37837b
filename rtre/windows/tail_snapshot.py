"""A rolling tail as bytes: settings in JSON, the arena as it is, and a checksum."""

from __future__ import annotations

import json
from typing import Any

import attrs
import numpy as np

from rtre.errors import DataError
from rtre.kernels import tail_layout as lay
from rtre.market import Float64
from rtre.windows.arena_bytes import seal, unseal

_KIND = b"rTl2"
_LENGTH = 8  #: bytes that say how long the settings are


def pack(settings: Any, arena: Float64) -> bytes:
    """Join settings (an attrs object) and arena."""
    text = json.dumps(attrs.asdict(settings)).encode()
    used = int(arena.view(np.int64)[lay.H_USED])
    numbers = np.ascontiguousarray(arena[:used], "<f8").tobytes()
    return seal(_KIND, len(text).to_bytes(_LENGTH, "little") + text + numbers)


def unpack(data: bytes) -> tuple[dict[str, Any], Float64]:
    """Take apart what `pack` made. Raises DataError where it is not that, or damaged."""
    body = unseal(_KIND, data)
    end = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    if len(body) < end or (len(body) - end) % 8:
        raise DataError("the snapshot is damaged: its parts do not fit")
    return json.loads(body[_LENGTH:end]), np.frombuffer(body[end:], "<f8").astype(np.float64)


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
