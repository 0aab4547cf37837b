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
ends     (N, 2, E)    F        per asset, its lowest closed returns, ascending; the highest ones,
                               with the sign turned
extremes (N, 2)       F        lowest and highest closed return of each asset, zero included
pnl      (B, W)       F        per book, the P&L of its positions in each grid interval, at the last
                               prices where FRESH
moving   (B, W)       F        the same, kept at the last prices tick by tick where TOUCHED
holdings (H, 2)       F        units of an asset in a book; price at which the book's candidates
                               were chosen
values   (B, K)       F        P&L of each book's candidates (`rtre.kernels.candidates`)
packed   (H, K)       F        returns of the holding's asset in its book's candidate rows
limits   (B, 5)       F        see the ``L_`` names below
expected (C, W + 1)   F        expected losses in the tail, by number of observations
tails    (N + B, C, 5)  F      var, es and their errors, where they are kept tick by tick
peaks    (N + B, C, 2)  F      highest var and es since the last report
scratch  (2, W + 1)   F        working space
clocks   (N, 9)       I        see the ``C_`` names below
flags    (N,)         I        bits of `rtre.market.Quality` that events set (GAP, DISCONNECTED)
rows     (W,)         I        number of the grid interval that each ring column stands for
first    (N + 1,)     I        holdings of asset i: ``first[i]`` to ``first[i + 1]``
book     (H,)         I        book of each holding
held     (H, 2)       I        holdings grouped by book, by asset in each: holding and its asset
bounds   (B + 1,)     I        holdings of book b in `held`: ``bounds[b]`` to ``bounds[b + 1]``
missing  (B, W)       I        held assets without a return in that interval; 0 = row is complete
complete (B,)         I        complete rows of each book
columns  (B, K)       I        ring column of each candidate; where TOUCHED, the state of
                               `rtre.kernels.touch`
order    (B, K)       I        candidates from the worst P&L up
watch    (B, 9)       I        see the ``W_`` names below
ranks    (C, W + 1, 3)  I      k, high, low by number of observations (`rtre.order`)
need     (2, W + 1)   I        order statistics wanted, by number of observations: KEPT, at each
                               evaluation of a book; SHOWN, in a report, with the interval of VaR
dirty    (N + B,)     I        what changed on a line since it was last evaluated: CHANGED, CLOSED
counts   (6,)         I        ticks by verdict
====================  =======  ==================================================================

N assets, B books, H holdings, W rows, C confidences, E places for ends, K for candidates (0: none
are kept).
"""

from __future__ import annotations

from rtre.kernels.views import cut, view
from rtre.market import Float64, Int64
from rtre.sheet import RESULTS

# header of I: sizes and settings
H_ASSETS, H_WINDOW, H_BOOKS, H_HOLDINGS, H_LEVELS, H_PLACES = 0, 1, 2, 3, 4, 5
H_INTERVAL_NS, H_LEAD_NS, H_CONFIRM, H_MIN_OBS, H_EVERY_TICK = 6, 7, 8, 9, 10
# header of I: the grid
H_HEAD, H_ROWS, H_OPEN = 11, 12, 13
# header of I: offsets of the blocks
H_F_PRICES, H_F_NET, H_F_RETURNS, H_F_ENDS, H_F_EXTREMES = 14, 15, 16, 17, 18
H_F_PNL, H_F_MOVING, H_F_HOLDINGS, H_F_VALUES = 19, 20, 21, 22
H_F_PACKED, H_F_LIMITS, H_F_EXPECTED, H_F_TAILS, H_F_PEAKS, H_F_SCRATCH = 24, 25, 26, 27, 28, 29
H_I_CLOCKS, H_I_FLAGS, H_I_ROWS, H_I_FIRST, H_I_BOOK, H_I_HELD = 30, 31, 32, 33, 34, 35
H_I_BOUNDS, H_I_MISSING, H_I_COMPLETE, H_I_COLUMNS, H_I_ORDER = 36, 37, 38, 39, 40
H_I_WATCH, H_I_RANKS, H_I_NEED, H_I_DIRTY, H_I_COUNTS = 41, 42, 43, 44, 45
H_ENDS = 23  #: size of an end
HEADER = 46
# header of F
HF_JUMP = 0
HEADER_F = 1

LAST, BASE, SUSPECT, CLOSE = 0, 1, 2, 3
PRICES = 4

UNITS, CHOSEN = 0, 1  #: columns of `holdings`
HOLDING = 2

LOWEST_PRICE, HIGHEST_PRICE = 1e-30, 1e30
"""What lies outside is no price: within, no return, P&L or square of one can overflow."""

CHANGED, CLOSED = 1, 2  #: bits of `dirty`; CLOSED: a closed interval or its end, too

C_EVENT, C_INIT = 0, 1  #: newest event and receipt time, ns
C_INTERVAL = 2  #: grid interval of the newest tick; far in the past where the chain is broken
C_BASE_INTERVAL = 3  #: grid interval of the BASE price
C_CONFIRMED = 4  #: ticks that agree with the SUSPECT price
C_OBSERVED = 5  #: observations in the window, that of the open interval included
C_AMENDED = 6  #: 1 where a closed interval was amended since the last roll
C_LOWEST, C_HIGHEST = 7, 8  #: returns in the two ends of the window
CLOCKS = 9

APPLIED, BAD_PRICE, BAD_TIME, LATE, UNKNOWN_ASSET, QUARANTINED = 0, 1, 2, 3, 4, 5
VERDICTS = 6

SPARE_PLACES = 16  #: for rows that close below the floor, between two choices of candidates

NEVER = -(1 << 40)  #: an interval number before any other

KEPT, SHOWN = 0, 1  #: rows of `need`

# columns of `limits`
L_FLOOR = 0  #: no row outside the candidates has a P&L below it, at the last prices
L_START = 1  #: the same at the prices at which the candidates were chosen
L_OPEN = 2  #: P&L of the open interval's row
L_DRIFT = 3  #: largest relative rounding that an audit has found
L_GROSS = 4  #: largest P&L that the holdings could make by themselves, added up: rounding is of it
LIMITS = 5

# columns of `watch`
W_COUNT = 0  #: candidates
W_STALE = 1  #: other than 0 where the candidates must be chosen anew: AMENDED or AUDITED
W_TOUCHED = 2  #: 1 where all rows are looked at; each tick updates them if it is evaluated
W_SINCE = 3  #: evaluations since the candidates were chosen
W_STRIKES = 4  #: times in a row that choosing anew came too soon to be worth it
W_REBUILDS = 5  #: times that candidates were chosen
W_FALLBACKS = 6  #: times that the book fell back to touching every row
W_FRESH = 7  #: 1 where `pnl` is at the last prices
W_PENDING = 8  #: 1 where the tail waits for a look at all rows (`rtre.kernels.choose.renew_books`)
WATCHED = 9

AMENDED = 1  #: rows have changed in a way that the candidates did not follow
AUDITED = 2  #: they are right, and due to be compared with fresh sums


State = tuple[Float64, Int64]


@view
def prices(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N, PRICES) prices."""
    o = I[H_F_PRICES]
    return cut(F, o, (I[H_ASSETS], PRICES))


@view
def net(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N,) units of each asset held over all books."""
    o = I[H_F_NET]
    return cut(F, o, (I[H_ASSETS],))


@view
def returns(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N, W) grid returns, NaN where masked."""
    o = I[H_F_RETURNS]
    return cut(F, o, (I[H_ASSETS], I[H_WINDOW]))


@view
def ends(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N, 2, E) lowest and highest returns; valid up to C_LOWEST and C_HIGHEST."""
    o = I[H_F_ENDS]
    return cut(F, o, (I[H_ASSETS], 2, I[H_ENDS]))


@view
def pnl(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (B, W) P&L scenarios of the books, in currency."""
    o = I[H_F_PNL]
    return cut(F, o, (I[H_BOOKS], I[H_WINDOW]))


@view
def extremes(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (N, 2) lowest and highest closed return, zero included."""
    o = I[H_F_EXTREMES]
    return cut(F, o, (I[H_ASSETS], 2))


@view
def moving(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (B, W) P&L scenarios that ticks keep current."""
    o = I[H_F_MOVING]
    return cut(F, o, (I[H_BOOKS], I[H_WINDOW]))


@view
def holdings(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (H, HOLDING) units held and reference prices."""
    o = I[H_F_HOLDINGS]
    return cut(F, o, (I[H_HOLDINGS], HOLDING))


@view
def values(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (B, K) P&L of the candidates."""
    o = I[H_F_VALUES]
    return cut(F, o, (I[H_BOOKS], I[H_PLACES]))


@view
def packed(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (H, K) returns in the candidate rows."""
    o = I[H_F_PACKED]
    return cut(F, o, (I[H_HOLDINGS], I[H_PLACES]))


@view
def limits(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (B, LIMITS) what bounds the other rows."""
    o = I[H_F_LIMITS]
    return cut(F, o, (I[H_BOOKS], LIMITS))


@view
def expected_losses(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (C, W + 1) expected losses in the tail."""
    o = I[H_F_EXPECTED]
    return cut(F, o, (I[H_LEVELS], (I[H_WINDOW] + 1)))


@view
def tails(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (L, C, RESULTS) tails of all lines."""
    o = I[H_F_TAILS]
    return cut(F, o, ((I[H_ASSETS] + I[H_BOOKS]), I[H_LEVELS], RESULTS))


@view
def peaks(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (L, C, 2) highest var and es since the last report."""
    o = I[H_F_PEAKS]
    return cut(F, o, ((I[H_ASSETS] + I[H_BOOKS]), I[H_LEVELS], 2))


@view
def scratch(F: Float64, I: Int64) -> Float64:  # noqa: E741
    """View: (2, W + 1) working space."""
    o = I[H_F_SCRATCH]
    return cut(F, o, (2, (I[H_WINDOW] + 1)))


@view
def held(I: Int64) -> Int64:  # noqa: E741
    """View: (H, 2) holding and asset, grouped by book."""
    o = I[H_I_HELD]
    return cut(I, o, (I[H_HOLDINGS], 2))


@view
def bounds(I: Int64) -> Int64:  # noqa: E741
    """View: (B + 1,) bounds of each book in `held`."""
    o = I[H_I_BOUNDS]
    return cut(I, o, ((I[H_BOOKS] + 1),))


@view
def columns(I: Int64) -> Int64:  # noqa: E741
    """View: (B, K) ring column of each candidate."""
    o = I[H_I_COLUMNS]
    return cut(I, o, (I[H_BOOKS], I[H_PLACES]))


@view
def order(I: Int64) -> Int64:  # noqa: E741
    """View: (B, K) candidates from the worst up."""
    o = I[H_I_ORDER]
    return cut(I, o, (I[H_BOOKS], I[H_PLACES]))


@view
def watch(I: Int64) -> Int64:  # noqa: E741
    """View: (B, WATCHED) state of the candidates."""
    o = I[H_I_WATCH]
    return cut(I, o, (I[H_BOOKS], WATCHED))


@view
def rank_table(I: Int64) -> Int64:  # noqa: E741
    """View: (C, W + 1, 3) k, high, low."""
    o = I[H_I_RANKS]
    return cut(I, o, (I[H_LEVELS], (I[H_WINDOW] + 1), 3))


@view
def need(I: Int64) -> Int64:  # noqa: E741
    """View: (2, W + 1) order statistics wanted."""
    o = I[H_I_NEED]
    return cut(I, o, (2, I[H_WINDOW] + 1))


@view
def clocks(I: Int64) -> Int64:  # noqa: E741
    """View: (N, CLOCKS) times and counters of each asset."""
    o = I[H_I_CLOCKS]
    return cut(I, o, (I[H_ASSETS], CLOCKS))


@view
def flags(I: Int64) -> Int64:  # noqa: E741
    """View: (N,) quality bits that events set."""
    o = I[H_I_FLAGS]
    return cut(I, o, (I[H_ASSETS],))


@view
def rows(I: Int64) -> Int64:  # noqa: E741
    """View: (W,) interval numbers of the ring columns."""
    o = I[H_I_ROWS]
    return cut(I, o, (I[H_WINDOW],))


@view
def first(I: Int64) -> Int64:  # noqa: E741
    """View: (N + 1,) bounds of each asset's holdings."""
    o = I[H_I_FIRST]
    return cut(I, o, (I[H_ASSETS] + 1,))


@view
def book(I: Int64) -> Int64:  # noqa: E741
    """View: (H,) book of each holding."""
    o = I[H_I_BOOK]
    return cut(I, o, (I[H_HOLDINGS],))


@view
def missing(I: Int64) -> Int64:  # noqa: E741
    """View: (B, W) held assets without a return, per row."""
    o = I[H_I_MISSING]
    return cut(I, o, (I[H_BOOKS], I[H_WINDOW]))


@view
def complete(I: Int64) -> Int64:  # noqa: E741
    """View: (B,) complete rows of each book."""
    o = I[H_I_COMPLETE]
    return cut(I, o, (I[H_BOOKS],))


@view
def dirty(I: Int64) -> Int64:  # noqa: E741
    """View: (N + B,) lines to evaluate again; symbols first, then books."""
    o = I[H_I_DIRTY]
    return cut(I, o, (I[H_ASSETS] + I[H_BOOKS],))


@view
def counts(I: Int64) -> Int64:  # noqa: E741
    """View: (VERDICTS,) ticks by verdict."""
    o = I[H_I_COUNTS]
    return cut(I, o, (VERDICTS,))
