"""P&L vectors of the books: one number for each row of the grid, today's positions in each.

A tick changes every number of a vector, and nobody wants most of them. So a tick costs the vector
nothing: it is summed when it is asked for, from the holdings in the order of their assets, each at
its last price. Its bits depend on prices and returns alone, not on how they came about, nor on how
often anybody asked. The tails that must be current after each tick have a way of their own
(`rtre.kernels.candidates`).
"""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.layout import (
    CHOSEN,
    H_ASSETS,
    LAST,
    UNITS,
    W_FRESH,
)
from rtre.market import Float64, Int64


@inlined
def reprice(pnl: Float64, column: Float64, change: float) -> None:
    """Add `change` of exposure times each return to a P&L vector; masked returns add nothing."""
    for s in range(len(pnl)):
        r = column[s]
        pnl[s] += change * r if r == r else 0.0  # noqa: PLR0124 - the test for NaN that vectorises


@kernel
def sum_book(F: Float64, I: Int64, b: int, out: Float64) -> None:  # noqa: E741
    """Sum the P&L of a book at the last prices, the open interval's row included."""
    returns, prices = layout.returns(F, I), layout.prices(F, I)
    holdings, held, bounds = layout.holdings(F, I), layout.held(I), layout.bounds(I)
    out[:] = 0.0
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        if not math.isnan(prices[i, LAST]):
            reprice(out, returns[i], holdings[h, UNITS] * prices[i, LAST])


@kernel
def refresh(F: Float64, I: Int64, b: int) -> None:  # noqa: E741
    """Bring `pnl` of a book to the last prices. Cost: O(W) for each holding after a tick."""
    watch = layout.watch(I)
    if watch[b, W_FRESH] == 0:
        sum_book(F, I, b, layout.pnl(F, I)[b])
        watch[b, W_FRESH] = 1


@kernel
def refresh_lines(F: Float64, I: Int64, which: Int64) -> None:  # noqa: E741
    """`refresh` the books among some lines."""
    for line in which:
        if line >= I[H_ASSETS]:
            refresh(F, I, line - I[H_ASSETS])


@inlined
def cell(F: Float64, I: Int64, b: int, slot: int, chosen: bool) -> float:  # noqa: E741
    """P&L of a book in one row, as `sum_book` has it; with `chosen` at the prices of the choice.

    Assets without a return count as nothing there; `missing` tells.
    """
    returns, prices = layout.returns(F, I), layout.prices(F, I)
    holdings, held, bounds = layout.holdings(F, I), layout.held(I), layout.bounds(I)
    total = 0.0
    for k in range(bounds[b], bounds[b + 1]):
        h, i = held[k, 0], held[k, 1]
        r = returns[i, slot]
        if not math.isnan(r):
            price = holdings[h, CHOSEN] if chosen else prices[i, LAST]
            total += holdings[h, UNITS] * price * r
    return total
