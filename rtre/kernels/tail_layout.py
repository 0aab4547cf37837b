"""Where everything lies in the arena of the rolling tails, `rtre.kernels.tail_only`.

One flat float64 array ``A`` holds any number of series with the same settings; the whole numbers
in it are read through ``A.view(int64)``, because each array argument costs a call from Python
about 40 ns. The array is the whole snapshot.

=========================  =====  ================================================================
block                      as     holds
=========================  =====  ================================================================
header (H_...)             int    settings, offsets
levels (C, 3)              mixed  tail probability as a fraction P / Q (int) and as a float
series (N, H_STRIDE)       mixed  the S_ names, then per side the T_ names, then per level the
                                  R_ names, then the results (sides, C, 2): VaR, ES, then per
                                  side and level the U_ names
per series, anywhere              ring (R,) of values; if values age, ring (R,) of times (int);
                                  per side: two buffers of `room` values, one of them the tail
scratch (>= every R,)      float  working space of a rebuild, shared by the series
=========================  =====  ================================================================

The tail of a side holds ``sign * value``, ascending, so that the worst of a short position is
smallest too and both sides are the same code.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import inlined, kernel
from rtre.market import Float64, Int64

# header
H_SERIES, H_WINDOW, H_LEVELS, H_SIDES, H_FIRST_SIGN = 0, 1, 2, 3, 4
H_MIN_OBS, H_MAX_AGE, H_KEEP_NAN, H_RULE, H_SPREAD = 5, 6, 7, 8, 9
H_STRIDE, H_AT_SERIES, H_AT_SCRATCH, H_SCRATCH, H_USED = 10, 11, 12, 13, 14
HEADER = 15
L_WIDTH = 3  #: of a row of the levels: P, Q, P / Q

# one series
S_LO, S_HI = 0, 1  #: float: a tick whose values lie within changes nothing but the ring
S_POS, S_SLOTS, S_VALID, S_RING = 2, 3, 4, 5  #: next slot; slots in use; numbers in it; capacity
S_AT_RING, S_AT_TIMES, S_AT_TAILS, S_ROOM = 6, 7, 8, 9  #: offsets; values a tail buffer can hold
S_RANKED, S_NEED, S_CAP = 10, 11, 12  #: n that the ranks are for; values a tail must, may hold
S_STALE, S_LAST_NS = 13, 14  #: 1 where results are out of date; newest time seen
S_TICKS, S_NANS, S_REJECTED, S_LATE = 15, 16, 17, 18  #: counters
S_AGED, S_DISPLACED, S_REBUILDS, S_REFILLS, S_TOUCHED = 19, 20, 21, 22, 23
S_FLOOR, S_SUMMED = 24, 25  #: a full window's tail with fewer is filled anew; 1: U_ sums are right
SCALARS = 26

# one side of a series
T_COUNT, T_WHICH = 0, 1  #: values in the tail; which of the two buffers it is
T_FILLING, T_START, T_DONE, T_FROM, T_FOUND = 2, 3, 4, 5, 6  #: see `rtre.kernels.tail_rebuild`
T_BELOW = 7  #: float: the buffer being filled holds every scanned value below it
SIDE = 8

# one level of a series
R_A, R_B, R_K = 0, 1, 2  #: VaR lies between the 0-based order statistics a and b; k = ceil(m)
R_GAMMA, R_M, R_WEIGHT = 3, 4, 5  #: float: at this fraction of the way; m = n tail; m - k + 1
LEVEL = 6

# one level of one side, see `rtre.kernels.tail_sums`
U_HIGH, U_LOW, U_PEAK, U_LEFT = 0, 1, 2, 3  #: float: sum in two parts, its largest; int: changes
SUM = 4

ORDER, LINEAR, LOWER, HIGHER, NEAREST, MIDPOINT = 0, 1, 2, 3, 4, 5
RULES = {
    "order": ORDER, "linear": LINEAR, "lower": LOWER,
    "higher": HIGHER, "nearest": NEAREST, "midpoint": MIDPOINT,
}  # fmt: skip

HIGHEST = 1e300  #: a larger magnitude is refused: within, no sum and no difference can overflow
SHORTEST_SLACK = 16
"""Least number of values that a tail may hold beyond those it must; 8 was no faster."""
NEVER = -(1 << 62)


@inlined
def slack(need: int, spread: int, n: int) -> int:
    """How many values more than `need` a tail may hold.

    Half of `need` where tails are rebuilt at once: as much again costs longer moves. In pieces,
    enough for pieces of about 128 slots, if that is not more than `need` itself.
    """
    if spread != 0:
        return max(SHORTEST_SLACK, need // 3, min(need, n // 64))
    return max(SHORTEST_SLACK, need // 2)


@inlined
def side(at: int, which: int) -> int:
    """Offset of one side of the series at `at`."""
    return at + SCALARS + SIDE * which


@inlined
def level(I: Int64, at: int, which: int) -> int:  # noqa: E741
    """Offset of one level of the series at `at`."""
    return int(at + SCALARS + SIDE * I[H_SIDES] + LEVEL * which)


@inlined
def results(I: Int64, at: int) -> int:  # noqa: E741
    """Offset of the results of the series at `at`."""
    return int(at + SCALARS + SIDE * I[H_SIDES] + LEVEL * I[H_LEVELS])


@inlined
def running(I: Int64, at: int, which: int, c: int) -> int:  # noqa: E741
    """Offset of the running sum of a side and level of the series at `at`."""
    levels = I[H_LEVELS]
    return int(results(I, at) + 2 * I[H_SIDES] * levels + SUM * (which * levels + c))


@inlined
def tail(I: Int64, at: int, which: int, other: int) -> int:  # noqa: E741
    """Offset of the tail of a side, or with ``other = 1`` of its second buffer."""
    buffer = I[side(at, which) + T_WHICH] ^ other
    return int(I[at + S_AT_TAILS] + (2 * which + buffer) * I[at + S_ROOM])


@inlined
def sign_of(I: Int64, which: int) -> float:  # noqa: E741
    """1.0 where small values are losses, -1.0 where large ones are."""
    return 1.0 if (I[H_FIRST_SIGN] > 0) == (which == 0) else -1.0


@kernel
def place(A: Float64, I: Int64, n: int, at: int) -> None:  # noqa: E741
    """Write the ranks for a window of n numbers: which order statistics VaR and ES are.

    Exact: m = n P / Q in whole numbers. The other rules are numpy's, with h = (n - 1) tail.
    """
    need, rule = 0, I[H_RULE]
    for c in range(I[H_LEVELS] if n > 0 else 0):
        p, q, tail_probability = I[HEADER + 3 * c], I[HEADER + 3 * c + 1], A[HEADER + 3 * c + 2]
        r = level(I, at, c)
        k = max((n * p + q - 1) // q, 1)
        h = (n - 1) * tail_probability
        below, gamma = math.floor(h), h - math.floor(h)
        a, b = int(below), min(int(below) + 1, n - 1)
        if rule == ORDER:
            a, b, gamma = k - 1, k - 1, 0.0
        elif rule == LOWER:
            b, gamma = a, 0.0
        elif rule == HIGHER:
            a = b = math.ceil(h)
            gamma = 0.0
        elif rule == NEAREST:
            a = round(h)
            b, gamma = a, 0.0
        elif rule == MIDPOINT:
            gamma = 0.5 if gamma > 0.0 else 0.0
        I[r + R_A], I[r + R_B], I[r + R_K] = a, b, k
        m = n * p / q
        A[r + R_GAMMA], A[r + R_M], A[r + R_WEIGHT] = gamma, m, m - (k - 1)
        need = max(need, k, b + 1)
    I[at + S_RANKED] = n
    I[at + S_NEED] = need
    more = slack(need, I[H_SPREAD], n)
    I[at + S_CAP] = need + more
    I[at + S_FLOOR] = min(need + more // 2, n) if I[H_SPREAD] else need
    I[at + S_SUMMED] = 0
    I[at + S_STALE] = 1
