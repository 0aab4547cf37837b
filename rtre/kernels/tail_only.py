"""VaR and ES of a sliding window, exact, by keeping only the window's tail in order.

Theory of operation
-------------------
VaR and ES at the tail probability p read about ``need = p n`` of a window's n values, its smallest.
So beside the ring of values only a *tail* is kept: an ascending array of which one thing is true at
all times:

    the tail's m values are, as a multiset, the m smallest numbers of the window,

with m between ``need`` and ``need + slack``. A value that leaves the window leaves the tail if it
is at or below the tail's largest; a new value enters if it is below. Equal values are
interchangeable in a multiset, so ties need no care: of values equal to the tail's largest, one that
leaves may always be taken from the tail and a new one may always stay outside. Both rules compare,
and NaN compares false, so NaN stays out by itself.

* Most ticks, 1 - 2p of them, touch neither the tail nor the result. That is decided by four
  comparisons against ``S_LO`` and ``S_HI``, in the loop.
* In a full window whose values do not age the rest exchange one number for another, which is one
  move within each tail (`rtre.kernels.tail_moves.exchange`). A batch stays in one loop for both
  (`run`), without reference counts, which made a tick several times as dear.
* All else, warm-up, age, NaN and a refill in pieces, happens in `take`.
* A tail that has shrunk below `need` is filled anew from the ring, `rtre.kernels.tail_rebuild`.
* The other side, losses of a short position, is the same structure over ``-x``.
* VaR loses nothing by rounding: values are moved, never added. The sums of long tails are carried
  along with an error below 1e-14, `rtre.kernels.tail_sums`.

Cost per tick: ``benchmarks/test_rolling_tail.py`` measures it. O(1) amortised scan steps, whatever
the data (about 1/p); the worst is a strictly increasing series, which evicts from the tail at each
tick.
"""

from __future__ import annotations

import math

import numpy as np

from rtre.kernels import tail_layout as lay
from rtre.kernels.jit import brief, inlined, kernel
from rtre.kernels.tail_moves import admit, drop, exchange
from rtre.kernels.tail_query import figure, refresh
from rtre.kernels.tail_rebuild import advance, follow, guess, rebuild, start
from rtre.kernels.tail_sums import SHORT, sum_anew
from rtre.market import Float64, Int64

TAKEN, FULL = 0, 1  #: verdict of `take`: FULL = the ring must grow first, nothing was changed


@inlined
def evict(A: Float64, I: Int64, at: int) -> None:  # noqa: E741
    """Drop the oldest value of the window; the ring keeps its bits."""
    slots = I[at + lay.S_RING]
    oldest = I[at + lay.S_POS] - I[at + lay.S_SLOTS]
    oldest += slots if oldest < 0 else 0
    x = A[I[at + lay.S_AT_RING] + oldest]
    I[at + lay.S_SLOTS] -= 1
    if not math.isnan(x):
        for which in range(I[lay.H_SIDES]):
            drop(A, I, at, which, lay.sign_of(I, which) * x)
        I[at + lay.S_VALID] -= 1


@kernel
def expire(A: Float64, I: Int64, at: int, now: int) -> int:  # noqa: E741
    """Let time pass: drop what is too old. Returns the time, which never goes back."""
    if now < I[at + lay.S_LAST_NS]:
        I[at + lay.S_LATE] += 1
        now = I[at + lay.S_LAST_NS]
    I[at + lay.S_LAST_NS] = now
    slots = I[at + lay.S_RING]
    while I[at + lay.S_SLOTS] > 0:
        oldest = I[at + lay.S_POS] - I[at + lay.S_SLOTS]
        oldest += slots if oldest < 0 else 0
        if I[I[at + lay.S_AT_TIMES] + oldest] > now - I[lay.H_MAX_AGE]:
            break
        evict(A, I, at)
        I[at + lay.S_AGED] += 1
    return now


@kernel
def settle(A: Float64, I: Int64, at: int) -> None:  # noqa: E741
    """After a change: ranks for the new count, tails long enough, bounds of the fast path."""
    valid = I[at + lay.S_VALID]
    if valid != I[at + lay.S_RANKED]:
        lay.place(A, I, valid, at)
    need, floor = I[at + lay.S_NEED], I[at + lay.S_FLOOR]
    steady = fixed = I[lay.H_MAX_AGE] == 0 and I[at + lay.S_SLOTS] == I[lay.H_WINDOW]
    lo, hi = -lay.HIGHEST, lay.HIGHEST
    for which in range(I[lay.H_SIDES]):
        t = lay.side(at, which)
        if I[t + lay.T_COUNT] < need:
            rebuild(A, I, at, which)
        count = I[t + lay.T_COUNT] = min(I[t + lay.T_COUNT], I[at + lay.S_CAP])
        if fixed and I[lay.H_SPREAD] and not I[t + lay.T_FILLING] and count < floor:
            start(A, I, at, which, guess(A, I, at, which, 2.0))
        largest = A[lay.tail(I, at, which, 0) + count - 1] if count > 0 else 0.0
        if count == 0 or I[t + lay.T_FILLING]:
            steady = False
        elif lay.sign_of(I, which) > 0.0:
            lo = largest
        else:
            hi = -largest
    A[at + lay.S_LO] = lo if steady else math.inf
    A[at + lay.S_HI] = hi if steady else -math.inf
    if fixed and need > SHORT and not I[at + lay.S_SUMMED]:
        for which in range(I[lay.H_SIDES]):
            sum_anew(A, I, at, which)
        I[at + lay.S_SUMMED] = I[at + lay.S_STALE] = 1  # they may differ in the last bit


@inlined
def bound(A: Float64, I: Int64, at: int) -> None:  # noqa: E741
    """Bounds of the fast path, after a change that leaves the tails long enough."""
    for which in range(I[lay.H_SIDES]):
        largest = A[lay.tail(I, at, which, 0) + I[lay.side(at, which) + lay.T_COUNT] - 1]
        if lay.sign_of(I, which) > 0.0:
            A[at + lay.S_LO] = largest
        else:
            A[at + lay.S_HI] = -largest


@inlined
def replace(A: Float64, I: Int64, at: int, old: float, new: float) -> bool:  # noqa: E741
    """Exchange two numbers in the tails of a full window; whether one runs low."""
    low = False
    for which in range(I[lay.H_SIDES]):
        sign = lay.sign_of(I, which)
        low |= exchange(A, I, at, which, sign * old, sign * new) < I[at + lay.S_FLOOR]
    return low


@inlined
def supplant(A: Float64, I: Int64, at: int, x: float) -> None:  # noqa: E741
    """Take `x` where values come and go by themselves: the oldest goes where there is no room."""
    pos, slots = I[at + lay.S_POS], I[at + lay.S_RING]
    if I[at + lay.S_SLOTS] == slots:
        evict(A, I, at)
        I[at + lay.S_DISPLACED] += int(I[lay.H_MAX_AGE] > 0)
    A[I[at + lay.S_AT_RING] + pos] = x
    I[at + lay.S_POS] = pos + 1 if pos + 1 < slots else 0
    I[at + lay.S_SLOTS] += 1
    if not math.isnan(x):
        for which in range(I[lay.H_SIDES]):
            admit(A, I, at, which, lay.sign_of(I, which) * x)
        I[at + lay.S_VALID] += 1


@kernel
def take(A: Float64, I: Int64, at: int, x: float, now: int) -> int:  # noqa: E741
    """One tick, whatever it does. Returns TAKEN, or FULL where the ring must grow first."""
    ages = I[lay.H_MAX_AGE] > 0
    if ages:
        now = expire(A, I, at, now)
    slots, pos = I[at + lay.S_RING], I[at + lay.S_POS]
    keep = math.isnan(x) and I[lay.H_KEEP_NAN] != 0
    usable = abs(x) <= lay.HIGHEST
    full = I[at + lay.S_SLOTS] == slots
    if full and slots < I[lay.H_WINDOW] and (usable or keep):
        return FULL
    I[at + lay.S_TICKS] += 1
    if math.isnan(x):
        I[at + lay.S_NANS] += 1
    elif not usable:
        I[at + lay.S_REJECTED] += 1
    if usable or keep:
        place = I[at + lay.S_AT_RING] + pos
        old = A[place]
        for which in range(I[lay.H_SIDES]):
            if I[lay.side(at, which) + lay.T_FILLING]:
                sign = lay.sign_of(I, which)
                advance(A, I, at, which)
                if I[lay.side(at, which) + lay.T_FILLING]:
                    follow(A, I, at, which, sign * old, sign * x)
        if full and usable and not ages and not math.isnan(old):
            replace(A, I, at, old, x)
            A[place] = x
            I[at + lay.S_POS] = pos + 1 if pos + 1 < slots else 0
        else:
            if ages:
                I[I[at + lay.S_AT_TIMES] + pos] = now
            supplant(A, I, at, x)
    settle(A, I, at)
    return TAKEN


@inlined
def passes(A: Float64, I: Int64, at: int, x: float) -> bool:  # noqa: E741
    """Try the fast path: take `x` if it changes nothing but the ring, else do nothing.

    It must not call `take` itself: a kernel first compiled from within an inlined one is inlined.
    """
    pos = I[at + lay.S_POS]
    slot = I[at + lay.S_AT_RING] + pos
    old, lo, hi = A[slot], A[at + lay.S_LO], A[at + lay.S_HI]
    if old > lo and old < hi and x >= lo and x <= hi:
        A[slot] = x
        pos += 1
        I[at + lay.S_POS] = 0 if pos == I[at + lay.S_RING] else pos
        I[at + lay.S_TICKS] += 1
        return True
    return False


@kernel
def push(A: Float64, series: int, x: float, now: int) -> int:
    """Push one value into a series and bring its results up to date.

    Parameters
    ----------
    A : (..,) float64
        The arena, see `rtre.kernels.tail_layout`; changed in place.
    series : int
        0 to N - 1, not checked.
    x : float
        P&L or return. NaN and magnitudes above 1e300 are counted and kept out.
    now : int
        Time of the value, ns; not read where values do not age.

    Returns
    -------
    int
        TAKEN, or FULL: let `rtre.kernels.tail_arena.grow` enlarge the arena and push again.
    """
    I = A.view(np.int64)  # noqa: E741
    at = I[lay.H_AT_SERIES] + series * I[lay.H_STRIDE]
    verdict = TAKEN
    if not passes(A, I, at, x):
        verdict = take(A, I, at, x, now)
    if I[at + lay.S_STALE]:
        refresh(A, I, at)
    return verdict


@brief
def push_only(A: Float64, x: float) -> None:
    """`push` into the first series, where values do not age: the cheapest call from Python."""
    I = A.view(np.int64)  # noqa: E741
    at = I[lay.H_AT_SERIES]
    if not passes(A, I, at, x):
        take(A, I, at, x, 0)
        if I[at + lay.S_STALE]:
            refresh(A, I, at)


@kernel
def write(A: Float64, I: Int64, at: int, out: Float64, first: int, end: int) -> None:  # noqa: E741
    """Write the results to ``out[first:end]``, unless it has no rows."""
    if first == end or len(out) == 0:
        return
    if I[at + lay.S_STALE]:
        refresh(A, I, at)
    found = lay.results(I, at)
    for j in range(first, end):
        for c in range(out.shape[1]):
            out[j, c] = A[found + c]


@inlined
def touch(A: Float64, I: Int64, at: int, old: float, x: float) -> None:  # noqa: E741
    """Exchange two numbers that reach a tail of a full window; the ring has changed already."""
    if replace(A, I, at, old, x):
        settle(A, I, at)
    else:
        bound(A, I, at)


@kernel
def run(A: Float64, I: Int64, at: int, values: Float64, out: Float64, j: int) -> int:  # noqa: E741
    """Take values from `j` on while the window is full and each is a number for a number.

    Returns how many of all were taken. What the inner loop needs is in registers, and a single VaR
    and ES are stored as it goes.
    """
    lo, hi, begun, since = A[at + lay.S_LO], A[at + lay.S_HI], j, j
    ring, slots, pos = I[at + lay.S_AT_RING], I[at + lay.S_RING], I[at + lay.S_POS]
    asked, found, n = len(out) > 0, lay.results(I, at), len(values)
    if asked and I[at + lay.S_STALE]:
        refresh(A, I, at)
    single = asked and out.shape[1] == 2 and I[at + lay.S_VALID] >= I[lay.H_MIN_OBS]
    var, es = A[found], A[found + 1]
    while lo <= lay.HIGHEST:
        x = old = math.nan
        while j < n:
            x, old = values[j], A[ring + pos]
            if not (old > lo and old < hi and x >= lo and x <= hi):
                break
            A[ring + pos] = x
            pos = pos + 1 if pos + 1 < slots else 0
            if single:
                out[j, 0], out[j, 1] = var, es
            j += 1
        if j == n or math.isnan(old) or not abs(x) <= lay.HIGHEST:
            break
        if not single:
            write(A, I, at, out, since, j)
            since = j
        A[ring + pos] = x
        pos = pos + 1 if pos + 1 < slots else 0
        I[at + lay.S_POS] = pos
        touch(A, I, at, old, x)
        lo, hi = A[at + lay.S_LO], A[at + lay.S_HI]
        if single and I[at + lay.S_STALE]:
            A[found], A[found + 1] = var, es = figure(A, I, at, 0, 0)
            I[at + lay.S_STALE] = 0
        if single:
            out[j, 0], out[j, 1] = var, es
        j += 1
    if not single:
        write(A, I, at, out, since, j)
    I[at + lay.S_POS] = pos
    I[at + lay.S_TICKS] += j - begun
    return j


@kernel
def push_rows(A: Float64, series: int, values: Float64, times: Int64, out: Float64) -> int:
    """Push a batch into one series, writing the results after each value.

    Parameters
    ----------
    A, series
        As in `push`.
    values : (n,) float64
        In order of arrival.
    times : (n,) or (1,) int64
        Times of the values, ns; a single one stands for all.
    out : (n, sides * C * 2) or (0, ..) float64
        Row j receives VaR and ES, by side and level, after value j; NaN while the window warms.
        With no rows nothing is written, and results are brought up to date once, at the end.

    Returns
    -------
    int
        Values taken: fewer than n where the ring must grow, see `push`.
    """
    I = A.view(np.int64)  # noqa: E741
    at = I[lay.H_AT_SERIES] + series * I[lay.H_STRIDE]
    timed, j = int(len(times) > 1), 0
    while True:
        j = run(A, I, at, values, out, j)
        if j == len(values) or take(A, I, at, values[j], times[j * timed]) != TAKEN:
            break
        write(A, I, at, out, j, j + 1)
        j += 1
    if I[at + lay.S_STALE]:
        refresh(A, I, at)
    return j


@kernel
def push_many(A: Float64, which: Int64, values: Float64, now: int) -> int:
    """Push a batch of values of many series, all at the time `now`; results become stale.

    Parameters
    ----------
    which : (n,) int64
        Series of each value, 0 to N - 1, not checked; may repeat.

    Returns
    -------
    int
        Values taken, as in `push_rows`.
    """
    I = A.view(np.int64)  # noqa: E741
    first, stride = I[lay.H_AT_SERIES], I[lay.H_STRIDE]
    for j in range(len(values)):
        at = first + which[j] * stride
        if not passes(A, I, at, values[j]) and take(A, I, at, values[j], now) != TAKEN:
            return j
    return len(values)


@kernel
def pass_time(A: Float64, series: int, now: int) -> None:
    """Let time pass in a series without a value, and bring its results up to date."""
    I = A.view(np.int64)  # noqa: E741
    at = I[lay.H_AT_SERIES] + series * I[lay.H_STRIDE]
    if I[lay.H_MAX_AGE] > 0 and now > I[at + lay.S_LAST_NS]:
        expire(A, I, at, now)
        settle(A, I, at)
    if I[at + lay.S_STALE]:
        refresh(A, I, at)


@kernel
def update(A: Float64, at: int) -> None:
    """Bring the results of the series at offset `at` up to date, where they are not."""
    I = A.view(np.int64)  # noqa: E741
    if I[at + lay.S_STALE]:
        refresh(A, I, at)
