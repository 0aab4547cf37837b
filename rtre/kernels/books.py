"""P&L vectors of the books: one number for each row of the grid, today's positions in each.

A book's vector is kept in one of two ways.

*Current*: each tick adds ``change of exposure x return`` to every row, O(W) a tick and holder.

*Anchored*: the vector stands at the prices of an earlier moment, the anchor, and a tick costs
nothing. What is asked for is worked out as ``anchored + sum of (exposure now - at the anchor) x
return``, over the holdings in the order of the assets: for a few rows (`rtre.kernels.candidates`),
or for all (`refresh`). Both give the same bits, and the bits depend on the anchor and on the last
prices alone, not on how often anybody asked. The anchor moves only where a tick says so.
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.layout import (
    ANCHOR,
    H_EVERY_TICK,
    H_HEAD,
    H_PLACES,
    H_ROWS,
    LAST,
    UNITS,
    W_FRESH,
    W_TOUCHED,
)
from rtre.market import Float64, Int64


@inlined
def reprice(pnl: Float64, column: Float64, change: float) -> None:
    """Add `change` of exposure times each return to a P&L vector; masked returns add nothing."""
    for s in range(len(pnl)):
        r = column[s]
        pnl[s] += change * r if r == r else 0.0  # noqa: PLR0124 - the test for NaN that vectorises


@inlined
def is_current(I: Int64, watch: Int64, b: int) -> bool:  # noqa: E741
    """Whether each tick updates the whole vector of book `b`."""
    return bool(I[H_PLACES] == 0 or (I[H_EVERY_TICK] != 0 and watch[b, W_TOUCHED] != 0))


@kernel
def sum_book(F: Float64, I: Int64, b: int, out: Float64) -> None:  # noqa: E741
    """Sum the P&L of a book at the last prices from nothing: holdings in the order of the assets.

    The open interval's row is included.
    """
    returns, prices = layout.returns(F, I), layout.prices(F, I)
    holdings, held, bounds = layout.holdings(F, I), layout.held(I), layout.bounds(I)
    out[:] = 0.0
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        if not math.isnan(prices[i, LAST]):
            reprice(out, returns[i], holdings[h, UNITS] * prices[i, LAST])


@kernel
def revalue(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """Sum a current book afresh: what its ticks left in the way of rounding is gone."""
    sum_book(F, I, b, layout.pnl(F, I)[b])


@kernel
def anchor(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """Move a book's anchor to the last prices."""
    prices, holdings = layout.prices(F, I), layout.holdings(F, I)
    held, bounds = layout.held(I), layout.bounds(I)
    sum_book(F, I, b, layout.anchored(F, I)[b])
    for k in range(bounds[b], bounds[b + 1]):
        holdings[held[k, 0], ANCHOR] = prices[held[k, 1], LAST]


@inlined
def cell(F: Float64, I: Int64, b: int, slot: int, reference: int) -> float:  # noqa: E741
    """P&L of a book in one row; `reference` is a column of `holdings`, or -1 for the last prices.

    Rows in which an asset has no return count it as nothing; `missing` tells.
    """
    returns, prices = layout.returns(F, I), layout.prices(F, I)
    holdings, held, bounds = layout.holdings(F, I), layout.held(I), layout.bounds(I)
    total = 0.0
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        r = returns[i, slot]
        if not math.isnan(r):
            price = prices[i, LAST] if reference < 0 else holdings[h, reference]
            total += holdings[h, UNITS] * price * r
    return total


@kernel
def refresh(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """Bring `pnl` of a book to the last prices. Cost: O(W) for each asset that has moved."""
    watch = layout.watch(I)
    if is_current(I, watch, b) or watch[b, W_FRESH] != 0:
        return
    returns, prices, pnl = layout.returns(F, I), layout.prices(F, I), layout.pnl(F, I)
    holdings, held, bounds = layout.holdings(F, I), layout.held(I), layout.bounds(I)
    pnl[b] = layout.anchored(F, I)[b]
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        change = holdings[h, UNITS] * (prices[i, LAST] - holdings[h, ANCHOR])
        if not math.isnan(change) and change != 0.0:
            reprice(pnl[b], returns[i], change)
    if I[H_ROWS] > 0:
        pnl[b, I[H_HEAD]] = cell(F, I, b, I[H_HEAD], -1)
    watch[b, W_FRESH] = 1


@kernel
def refresh_lines(F: Float64, I: Int64, which: Int64) -> None:  # noqa: E741
    """`refresh` the books among some lines."""
    assets = I[layout.H_ASSETS]
    for line in which:
        if line >= assets:
            refresh(F, I, line - assets)


@kernel
def count_complete(I: Int64, missing: Int64) -> int:  # noqa: E741
    """Rows in use of one book in which nothing is missing."""
    slot, n = I[H_HEAD], 0
    for _ in range(I[H_ROWS]):
        n += int(missing[slot] == 0)
        slot = slot - 1 if slot > 0 else I[layout.H_WINDOW] - 1
    return n
