"""Make and enlarge the arena of `rtre.kernels.tail_layout`. Plain numpy: runs seldom."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from rtre.kernels import tail_layout as lay
from rtre.market import Float64, Int64

FIRST_RING = 64  #: slots of a ring that grows, to begin with


def room(tails: list[tuple[int, int]], n: int, spread: bool) -> int:
    """Values that a tail buffer must be able to hold for windows of up to n numbers."""
    need = max(-(-n * p // q) for p, q in tails) + 2
    return need + int(lay.slack(need, int(spread), n))


def new_arena(
    *,
    tails: list[Fraction],
    window: int,
    signs: tuple[int, ...],
    rule: int,
    min_obs: int,
    max_age_ns: int,
    keep_nan: bool,
    spread: bool,
    n_series: int,
) -> Float64:
    """Build the arena of `n_series` empty windows.

    Parameters
    ----------
    tails : list of Fraction
        Tail probabilities; numerator and ``window * numerator`` below 2^53 (not checked).
    window : int
        Most values in a window.
    signs : tuple of int
        1 for the tail of small values, -1 for that of large ones; one or two, no repetition.
    max_age_ns : int
        0: values do not age.
    spread : bool
        Refill a tail in small pieces ahead of time.
    """
    fractions = [(t.numerator, t.denominator) for t in tails]
    sides, levels = len(signs), len(tails)
    stride = lay.SCALARS + lay.SIDE * sides + lay.LEVEL * levels
    stride += (2 + lay.SUM) * sides * levels
    at_series = lay.HEADER + lay.L_WIDTH * levels
    arena = np.zeros(at_series + stride * n_series)
    ints = arena.view(np.int64)
    ints[: lay.HEADER] = (
        n_series, window, levels, sides, signs[0], min_obs, max_age_ns, int(keep_nan), rule,
        int(spread), stride, at_series, 0, 0, len(arena),
    )  # fmt: skip
    for c, (p, q) in enumerate(fractions):
        at = lay.HEADER + lay.L_WIDTH * c
        ints[at], ints[at + 1], arena[at + 2] = p, q, p / q
    slots = min(window, FIRST_RING) if max_age_ns else window
    length = len(arena) + n_series * _size(ints, fractions, slots) + slots
    arena = np.concatenate([arena, np.zeros(length - len(arena))])
    for s in range(n_series):
        at = at_series + s * stride
        _place_blocks(arena, at, fractions, slots)
        ints = arena.view(np.int64)
        ints[at + lay.S_LAST_NS] = lay.NEVER
        ints[at + lay.S_STALE] = 1
        ints[at + lay.S_CAP] = lay.SHORTEST_SLACK
        arena[at + lay.S_LO], arena[at + lay.S_HI] = np.inf, -np.inf
        results = int(lay.results(ints, at))
        arena[results : results + 2 * sides * levels] = np.nan
    _place_scratch(arena, slots)
    return arena


def grow(arena: Float64, series: int) -> Float64:
    """Return an arena in which the ring of one series has twice the slots, up to the window.

    Its old blocks stay behind as waste, which is less than what is in use, since sizes double.
    """
    ints = arena.view(np.int64)
    at = int(ints[lay.H_AT_SERIES] + series * ints[lay.H_STRIDE])
    levels = int(ints[lay.H_LEVELS])
    rows = ints[lay.HEADER : lay.HEADER + lay.L_WIDTH * levels].reshape(levels, lay.L_WIDTH)
    fractions = [(int(p), int(q)) for p, q in rows[:, :2]]
    before = {name: int(ints[at + name]) for name in (
        lay.S_RING, lay.S_POS, lay.S_SLOTS, lay.S_AT_RING, lay.S_AT_TIMES, lay.S_AT_TAILS,
        lay.S_ROOM,
    )}  # fmt: skip
    slots = min(2 * before[lay.S_RING], int(ints[lay.H_WINDOW]))
    end = int(ints[lay.H_USED]) + _size(ints, fractions, slots) + slots
    if end > len(arena):  # half as much again, so that many growing series copy it a few times only
        arena = np.concatenate([arena, np.zeros(max(end - len(arena), len(arena) // 2))])
    _place_blocks(arena, at, fractions, slots)
    ints = arena.view(np.int64)
    used = before[lay.S_SLOTS]
    order = (before[lay.S_POS] - used + np.arange(used)) % before[lay.S_RING]
    for start in (lay.S_AT_RING, lay.S_AT_TIMES):
        to = int(ints[at + start])
        ints[to : to + used] = ints[before[start] + order]  # as bits: NaN and times alike
    ints[at + lay.S_POS] = used % slots
    for buffer in range(2 * int(ints[lay.H_SIDES])):
        source = before[lay.S_AT_TAILS] + buffer * before[lay.S_ROOM]
        to = int(ints[at + lay.S_AT_TAILS] + buffer * ints[at + lay.S_ROOM])
        arena[to : to + before[lay.S_ROOM]] = arena[source : source + before[lay.S_ROOM]]
    if slots > ints[lay.H_SCRATCH]:
        _place_scratch(arena, slots)
    return arena


def _size(ints: Int64, fractions: list[tuple[int, int]], slots: int) -> int:
    return 2 * slots + 2 * int(ints[lay.H_SIDES]) * room(fractions, slots, bool(ints[lay.H_SPREAD]))


def _place_blocks(arena: Float64, at: int, fractions: list[tuple[int, int]], slots: int) -> None:
    ints = arena.view(np.int64)
    used = int(ints[lay.H_USED])
    timed = int(ints[lay.H_MAX_AGE]) > 0
    values = room(fractions, slots, bool(ints[lay.H_SPREAD]))
    ints[at + lay.S_RING], ints[at + lay.S_ROOM] = slots, values
    ints[at + lay.S_AT_RING] = used
    ints[at + lay.S_AT_TIMES] = used + (slots if timed else 0)
    ints[at + lay.S_AT_TAILS] = int(ints[at + lay.S_AT_TIMES]) + slots
    ints[lay.H_USED] = int(ints[at + lay.S_AT_TAILS]) + 2 * int(ints[lay.H_SIDES]) * values


def _place_scratch(arena: Float64, slots: int) -> None:
    ints = arena.view(np.int64)
    ints[lay.H_AT_SCRATCH], ints[lay.H_SCRATCH] = ints[lay.H_USED], slots
    ints[lay.H_USED] += slots
