"""Tails of symbols and books, as their marks stand: after each tick, or when they are asked for."""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.candidates import find_worst, publish_worst
from rtre.kernels.ends import HIGHEST, LOWEST
from rtre.kernels.jit import brief, inlined
from rtre.kernels.layout import (
    AUDITED,
    C_OBSERVED,
    H_ASSETS,
    H_BOOKS,
    H_EVERY_TICK,
    H_HEAD,
    H_LEVELS,
    H_MIN_OBS,
    KEPT,
    LAST,
    SHOWN,
    W_PENDING,
    W_SINCE,
    W_STALE,
)
from rtre.kernels.tail import ES, VAR, K, es_of_ascending, tail_of_ascending, var_of_ascending
from rtre.market import Float64, Int64

AUDIT_EVERY = 100_000  #: ticks after which the candidates of a book are compared with fresh sums


@inlined
def worst_of_symbol(F: Float64, I: Int64, i: int, row: int, out: Float64) -> int:  # noqa: E741
    """Write the worst P&L of a symbol's net position to `out`, ascending; `row`: KEPT or SHOWN.

    The ends of its closed returns are sorted; the open interval is merged in. Returns n.
    """
    n = int(layout.clocks(I)[i, C_OBSERVED])
    want = layout.need(I)[row, n]
    exposure = layout.net(F, I)[i] * layout.prices(F, I)[i, LAST]
    newest = layout.returns(F, I)[i, I[H_HEAD]]
    long = exposure >= 0.0  # a short position loses at the upper end, which has its signs turned
    end, size = layout.ends(F, I)[i, LOWEST if long else HIGHEST], abs(exposure)
    has_open = not math.isnan(newest)
    closed = min(n - int(has_open), want)
    for j in range(closed):
        out[j] = size * end[j]
    if has_open:
        r = newest if long else -newest
        if closed < want or r < end[want - 1]:
            j = min(closed, want - 1)
            while j > 0 and r < end[j - 1]:
                out[j] = out[j - 1]
                j -= 1
            out[j] = size * r
    return n


@inlined
def keep_tail(F: Float64, I: Int64, line: int, n: int, worst: Float64) -> None:  # noqa: E741
    """Write VaR and ES of a line to `tails`, and to `peaks` where they are higher."""
    tails, peaks = layout.tails(F, I)[line], layout.peaks(F, I)[line]
    if n < I[H_MIN_OBS]:
        tails[:] = math.nan
        return
    ranks, expected = layout.rank_table(I), layout.expected_losses(F, I)
    for c in range(I[H_LEVELS]):
        k = ranks[c, n, K]
        var = var_of_ascending(worst, 1.0, k)
        es = es_of_ascending(worst, 1.0, k, expected[c, n], var)
        tails[c, VAR], tails[c, ES] = var, es
        if not peaks[c, VAR] >= var:  # NaN before the first
            peaks[c, VAR] = var
        if not peaks[c, ES] >= es:
            peaks[c, ES] = es


@inlined
def keep_symbol(F: Float64, I: Int64, i: int) -> None:  # noqa: E741
    """Bring `tails` and `peaks` of a symbol up to date."""
    worst = layout.scratch(F, I)[0]
    n = layout.clocks(I)[i, C_OBSERVED]
    if n >= I[H_MIN_OBS]:
        worst_of_symbol(F, I, i, KEPT, worst)
    keep_tail(F, I, i, n, worst)


@inlined
def keep_book(F: Float64, I: Int64, b: int) -> bool:  # noqa: E741
    """Bring `tails` and `peaks` of a book up to date; False where it is pending."""
    worst = layout.scratch(F, I)[0]
    n = layout.complete(I)[b]
    watch = layout.watch(I)
    enough = n >= I[H_MIN_OBS]
    if enough and watch[b, W_SINCE] >= AUDIT_EVERY and watch[b, W_STALE] == 0:
        watch[b, W_STALE] = AUDITED
    ready = not enough or find_worst(F, I, b, worst)
    if ready:
        keep_tail(F, I, I[H_ASSETS] + b, n, worst)
    return ready


@inlined
def keep_holders(F: Float64, I: Int64, i: int) -> bool:  # noqa: E741
    """Bring the tails of an asset and its books up to date; False where a book is pending."""
    first, book = layout.first(I), layout.book(I)
    keep_symbol(F, I, i)
    ready = True
    for h in range(first[i], first[i + 1]):
        ready &= keep_book(F, I, book[h])
    return ready


@brief
def keep_all(F: Float64, I: Int64, pending: bool) -> int:  # noqa: E741
    """Bring the tails of all lines up to date, or those of the books that were `pending` alone.

    Returns how many books are pending afterwards.
    """
    watch, left = layout.watch(I), 0
    if not pending:
        for i in range(I[H_ASSETS]):
            keep_symbol(F, I, i)
    for b in range(I[H_BOOKS]):
        if not pending or watch[b, W_PENDING] != 0:
            left += int(not keep_book(F, I, b))
    return left


@brief
def tails_of_lines(F: Float64, I: Int64, which: Int64, out: Float64) -> int:  # noqa: E741
    """Tails of several lines, with their errors.

    Parameters
    ----------
    F, I : (..,) float64 and int64
        The arenas of `rtre.kernels.layout`. Where every tick is evaluated nothing changes in them.
    which : (j,) int64
        Lines to evaluate; each has at least one observation.
    out : (L, C, 5) float64
        Rows of `which` are written: var, es, var_low, var_high, es_se.

    Returns
    -------
    int
        Books whose rows are not written: after `rtre.kernels.choose.renew_books` and
        `rtre.kernels.books.refresh` they will be.
    """
    assets, left = I[H_ASSETS], 0
    ranks, expected = layout.rank_table(I), layout.expected_losses(F, I)
    worst = layout.scratch(F, I)[0]
    every_tick = I[H_EVERY_TICK] != 0
    for line in which:
        ready = True
        if line < assets:
            n = worst_of_symbol(F, I, line, SHOWN, worst)
        else:
            n = layout.complete(I)[line - assets]
            ready = n == 0 or (
                publish_worst(F, I, line - assets, worst)
                if every_tick
                else find_worst(F, I, line - assets, worst)
            )
            left += int(not ready)
        if ready:
            for c in range(I[H_LEVELS]):
                tail_of_ascending(worst, n, 1.0, ranks[c, n], expected[c, n], out[line, c])
    return left
