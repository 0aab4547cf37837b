"""Where everything lies in the two arenas that hold an engine's state.

A compiled call costs about 40 ns for each array it is given, so all state sits in two flat arrays,
``F`` (float64) and ``I`` (int64), and a kernel cuts the views it needs out of them. The same two
arrays are the whole snapshot of an engine.

``I`` starts with a header: sizes, settings, the state of the grid, then the offsets of the blocks.

====================  =======  ==================================================================
block                 arena    holds
====================  =======  ==================================================================
prices   (N, 4)       F        LAST price; BASE, the price that the newest return starts from;
                               SUSPECT, an outlier that waits for confirmation; CLOSE, the price
                               at which the open interval began
net      (N,)         F        units held over all books
returns  (N, W)       F        simple returns on the grid, one ring column a row; NaN = masked
ascending (N, W)      F        per asset, its observed returns in ascending order
pnl      (B, W)       F        per book, the P&L of today's positions in each grid interval
quantity (H,)         F        holdings in compressed rows: units of an asset in a book
clocks   (N, 7)       I        see the ``C_`` names below
flags    (N,)         I        bits of `rtre.market.Quality` that events set (GAP, DISCONNECTED)
rows     (W,)         I        number of the grid interval that each ring column stands for
first    (N + 1,)     I        holdings of asset i: ``first[i]`` to ``first[i + 1]``
book     (H,)         I        book of each holding
missing  (B, W)       I        held assets without a return in that interval; 0 = row is complete
complete (B,)         I        complete rows of each book
dirty    (N + B,)     I        what changed on a line since it was last evaluated: CHANGED, CLOSED
counts   (6,)         I        ticks by verdict
====================  =======  ==================================================================
"""

from __future__ import annotations

import numpy as np

from rtre.kernels.jit import inlined
from rtre.market import Float64, Int64

# header of I: sizes and settings
H_ASSETS, H_WINDOW, H_BOOKS, H_HOLDINGS = 0, 1, 2, 3
H_INTERVAL_NS, H_LEAD_NS, H_CONFIRM = 4, 5, 6
# header of I: the grid
H_HEAD, H_ROWS, H_OPEN = 7, 8, 9
# header of I: offsets of the blocks
H_F_PRICES, H_F_NET, H_F_RETURNS, H_F_ASCENDING, H_F_PNL, H_F_QUANTITY = 10, 11, 12, 13, 14, 15
H_I_CLOCKS, H_I_FLAGS, H_I_ROWS, H_I_FIRST, H_I_BOOK = 16, 17, 18, 19, 20
H_I_MISSING, H_I_COMPLETE, H_I_DIRTY, H_I_COUNTS = 21, 22, 23, 24
HEADER = 25
# header of F
HF_JUMP = 0
HEADER_F = 1

LAST, BASE, SUSPECT, CLOSE = 0, 1, 2, 3
PRICES = 4

LOWEST_PRICE, HIGHEST_PRICE = 1e-30, 1e30
"""What lies outside is no price: within, no return, P&L or square of one can overflow."""

CHANGED, CLOSED = 1, 2  #: bits of `dirty`; CLOSED: a closed interval or its end, too

C_EVENT, C_INIT = 0, 1  #: newest event and receipt time, ns
C_INTERVAL = 2  #: grid interval of the newest tick; far in the past where the chain is broken
C_BASE_INTERVAL = 3  #: grid interval of the BASE price
C_CONFIRMED = 4  #: ticks that agree with the SUSPECT price
C_OBSERVED = 5  #: observations in the window, that is valid entries of ``ascending``
C_AMENDED = 6  #: 1 where a closed interval was amended since the last roll
CLOCKS = 7

APPLIED, BAD_PRICE, BAD_TIME, LATE, UNKNOWN_ASSET, QUARANTINED = 0, 1, 2, 3, 4, 5
VERDICTS = 6

NEVER = -(1 << 40)  #: an interval number before any other


State = tuple[Float64, Int64]


def new_state(
    *,
    n_assets: int,
    window: int,
    interval_ns: int,
    lead_ns: int,
    jump: float,
    confirm: int,
    holdings: list[tuple[int, int, float]],
    n_books: int,
) -> State:
    """Build the two arenas of an empty engine.

    Parameters
    ----------
    holdings : list of (asset, book, quantity)
        In any order; quantities in units of the asset, negative for short.
    """
    holdings = sorted(holdings)
    header = np.zeros(HEADER, np.int64)
    sizes = (n_assets, window, n_books, len(holdings), interval_ns, lead_ns, confirm)
    header[: len(sizes)] = sizes
    header[H_HEAD], header[H_ROWS], header[H_OPEN] = 0, 0, NEVER

    end = HEADER_F
    for name, size in (
        (H_F_PRICES, PRICES * n_assets),
        (H_F_NET, n_assets),
        (H_F_RETURNS, n_assets * window),
        (H_F_ASCENDING, n_assets * window),
        (H_F_PNL, n_books * window),
        (H_F_QUANTITY, len(holdings)),
    ):
        header[name], end = end, end + size
    floats = np.zeros(end)
    floats[HF_JUMP] = jump

    end = HEADER
    for name, size in (
        (H_I_CLOCKS, CLOCKS * n_assets),
        (H_I_FLAGS, n_assets),
        (H_I_ROWS, window),
        (H_I_FIRST, n_assets + 1),
        (H_I_BOOK, len(holdings)),
        (H_I_MISSING, n_books * window),
        (H_I_COMPLETE, n_books),
        (H_I_DIRTY, n_assets + n_books),
        (H_I_COUNTS, VERDICTS),
    ):
        header[name], end = end, end + size
    ints = np.zeros(end, np.int64)
    ints[:HEADER] = header

    prices(floats, ints)[:] = np.nan
    returns(floats, ints)[:] = np.nan
    clocks(ints)[:, (C_INTERVAL, C_BASE_INTERVAL)] = NEVER
    rows(ints)[:] = NEVER
    held = np.array([h[0] for h in holdings], np.int64)
    first(ints)[1:] = np.cumsum(np.bincount(held, minlength=n_assets))
    book(ints)[:] = [h[1] for h in holdings]
    quantity(floats, ints)[:] = [h[2] for h in holdings]
    for asset, holding_book, units in holdings:
        missing(ints)[holding_book] += 1
        net(floats, ints)[asset] += units
    return floats, ints


@inlined
def prices(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N, PRICES) prices."""
    o = I[H_F_PRICES]
    return F[o : o + PRICES * I[H_ASSETS]].reshape((I[H_ASSETS], PRICES))


@inlined
def net(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N,) units of each asset held over all books."""
    o = I[H_F_NET]
    return F[o : o + I[H_ASSETS]]


@inlined
def returns(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N, W) grid returns, NaN where masked."""
    o = I[H_F_RETURNS]
    return F[o : o + I[H_ASSETS] * I[H_WINDOW]].reshape((I[H_ASSETS], I[H_WINDOW]))


@inlined
def ascending(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N, W) sorted windows; row i is valid up to ``clocks[i, C_OBSERVED]``."""
    o = I[H_F_ASCENDING]
    return F[o : o + I[H_ASSETS] * I[H_WINDOW]].reshape((I[H_ASSETS], I[H_WINDOW]))


@inlined
def pnl(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (B, W) P&L scenarios of the books, in currency."""
    o = I[H_F_PNL]
    return F[o : o + I[H_BOOKS] * I[H_WINDOW]].reshape((I[H_BOOKS], I[H_WINDOW]))


@inlined
def quantity(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (H,) units held."""
    o = I[H_F_QUANTITY]
    return F[o : o + I[H_HOLDINGS]]


@inlined
def clocks(I: Int64) -> Int64:  # noqa: E741
    """View: (N, CLOCKS) times and counters of each asset."""
    o = I[H_I_CLOCKS]
    return I[o : o + CLOCKS * I[H_ASSETS]].reshape((I[H_ASSETS], CLOCKS))


@inlined
def flags(I: Int64) -> Int64:  # noqa: E741
    """View: (N,) quality bits that events set."""
    o = I[H_I_FLAGS]
    return I[o : o + I[H_ASSETS]]


@inlined
def rows(I: Int64) -> Int64:  # noqa: E741
    """View: (W,) interval numbers of the ring columns."""
    o = I[H_I_ROWS]
    return I[o : o + I[H_WINDOW]]


@inlined
def first(I: Int64) -> Int64:  # noqa: E741
    """View: (N + 1,) bounds of each asset's holdings."""
    o = I[H_I_FIRST]
    return I[o : o + I[H_ASSETS] + 1]


@inlined
def book(I: Int64) -> Int64:  # noqa: E741
    """View: (H,) book of each holding."""
    o = I[H_I_BOOK]
    return I[o : o + I[H_HOLDINGS]]


@inlined
def missing(I: Int64) -> Int64:  # noqa: E741
    """View: (B, W) held assets without a return, per row."""
    o = I[H_I_MISSING]
    return I[o : o + I[H_BOOKS] * I[H_WINDOW]].reshape((I[H_BOOKS], I[H_WINDOW]))


@inlined
def complete(I: Int64) -> Int64:  # noqa: E741
    """View: (B,) complete rows of each book."""
    o = I[H_I_COMPLETE]
    return I[o : o + I[H_BOOKS]]


@inlined
def dirty(I: Int64) -> Int64:  # noqa: E741
    """View: (N + B,) lines to evaluate again; symbols first, then books."""
    o = I[H_I_DIRTY]
    return I[o : o + I[H_ASSETS] + I[H_BOOKS]]


@inlined
def counts(I: Int64) -> Int64:  # noqa: E741
    """View: (VERDICTS,) ticks by verdict."""
    o = I[H_I_COUNTS]
    return I[o : o + VERDICTS]
