"""P&L vectors of the books: kept up to date tick by tick, and summed afresh to stay exact."""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.jit import inlined, kernel
from rtre.kernels.layout import H_ASSETS, H_BOOKS, H_HEAD, H_ROWS, H_WINDOW, LAST
from rtre.market import Float64, Int64


@inlined
def reprice(pnl: Float64, column: Float64, change: float) -> None:
    """Add `change` of exposure times each return to a P&L vector; masked returns add nothing."""
    for s in range(len(pnl)):
        r = column[s]
        pnl[s] += change * r if r == r else 0.0  # noqa: PLR0124 - the test for NaN that vectorises


@inlined
def count_missing(missing: Int64, column: Float64) -> None:
    """Add one to the rows in which an asset has no return."""
    for s in range(len(missing)):
        missing[s] += int(math.isnan(column[s]))


@kernel
def count_complete(I: Int64, missing: Int64) -> int:  # noqa: E741
    """Rows in use of one book in which nothing is missing."""
    slot, n = I[H_HEAD], 0
    for _ in range(I[H_ROWS]):
        n += int(missing[slot] == 0)
        slot = slot - 1 if slot > 0 else I[H_WINDOW] - 1
    return n


@kernel
def revalue(F: Float64, I: Int64) -> None:  # noqa: E741
    """Sum the P&L of every book from its holdings and the returns, in the order of the assets."""
    returns, prices = layout.returns(F, I), layout.prices(F, I)
    quantity, book, first = layout.quantity(F, I), layout.book(I), layout.first(I)
    pnl, missing, complete = layout.pnl(F, I), layout.missing(I), layout.complete(I)
    for b in range(I[H_BOOKS]):
        pnl[b, :] = 0.0
        missing[b, :] = 0
    for i in range(I[H_ASSETS]):
        for h in range(first[i], first[i + 1]):
            b = book[h]
            count_missing(missing[b], returns[i])
            if not math.isnan(prices[i, LAST]):
                reprice(pnl[b], returns[i], quantity[h] * prices[i, LAST])
    for b in range(I[H_BOOKS]):
        complete[b] = count_complete(I, missing[b])
