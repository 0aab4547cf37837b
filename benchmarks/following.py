"""One book of a market, followed by the book kernels alone, and what it is set against.

`follow` is the part of `rtre.kernels.ticks.apply_ticks` that concerns a book: its candidates and
their floor, the open interval's row, the last price, and VaR and ES after each tick. It leaves out
the judging of ticks, their times, the tails of the symbols, and the peaks. The state afterwards is
the engine's, to the bit (`test_portfolio.test_the_kernel_gives_what_the_engine_and_numpy_give`).

`touch_all` is the bare ``pnl += change x returns`` over the same ticks, for every holder of the
asset: no method that touches each scenario once can be faster.
"""

from __future__ import annotations

import numpy as np

from rtre.kernels import choose, layout, marks
from rtre.kernels.candidates import advance, find_worst
from rtre.kernels.jit import kernel
from rtre.kernels.layout import (
    AMENDED,
    BASE,
    H_ASSETS,
    H_EVERY_TICK,
    H_HEAD,
    H_PLACES,
    KEPT,
    L_OPEN,
    LAST,
    SPARE_PLACES,
    UNITS,
    W_COUNT,
    W_PENDING,
    W_REBUILDS,
    W_STALE,
    W_TOUCHED,
)
from rtre.kernels.tail import ES, VAR, K, es_of_ascending, var_of_ascending
from rtre.market import ASSET, PRICE, Float64, Int64, TickBatch

from portfolio import Market


@kernel
def follow(F: Float64, I: Int64, block: Int64, start: int, stop: int) -> int:  # noqa: E741
    """Apply ticks of the open interval to the first book, which holds every asset.

    Returns `stop`, or ``~next`` where the book waits for `rtre.kernels.choose.renew_books`.
    """
    prices, holdings, first = layout.prices(F, I), layout.holdings(F, I), layout.first(I)
    extremes, returns, head = layout.extremes(F, I), layout.returns(F, I), I[H_HEAD]
    values, packed, limits = layout.values(F, I)[0], layout.packed(F, I), layout.limits(F, I)[0]
    watch, worst, tails = layout.watch(I)[0], layout.scratch(F, I)[0], layout.tails(F, I)
    n = layout.complete(I)[0]
    k, expected = layout.rank_table(I)[0, n, K], layout.expected_losses(F, I)[0, n]
    assets, price = block[ASSET], block[PRICE].view(np.float64)
    for j in range(start, stop):
        i, x = assets[j], price[j]
        last, h = prices[i, LAST], first[i]
        advance(values, packed[h], limits, holdings[h], extremes[i], watch[W_COUNT], x, last)
        before, after = returns[i, head], x / prices[i, BASE] - 1.0
        limits[L_OPEN] += holdings[h, UNITS] * (x * after - last * before)
        returns[i, head] = after
        prices[i, LAST] = x
        if not find_worst(F, I, 0, worst):
            return ~(j + 1)
        var = var_of_ascending(worst, 1.0, k)
        tails[I[H_ASSETS], 0, VAR] = var
        tails[I[H_ASSETS], 0, ES] = es_of_ascending(worst, 1.0, k, expected, var)
    return stop


@kernel
def touch_all(F: Float64, I: Int64, pnl: Float64, block: Int64, start: int, stop: int) -> None:  # noqa: E741
    """Add to `pnl`, (B, W), the change of each tick for each holder of its asset, and nothing more.

    The changes are 1 bp of the price to and fro, so that it can be repeated.
    """
    returns, holdings, first = layout.returns(F, I), layout.holdings(F, I), layout.first(I)
    book, assets, price = layout.book(I), block[ASSET], block[PRICE].view(np.float64)
    move = 1e-4
    for j in range(start, stop):
        column = returns[assets[j]]
        for h in range(first[assets[j]], first[assets[j] + 1]):
            change, row = holdings[h, UNITS] * price[j] * move, pnl[book[h]]
            for s in range(len(row)):
                row[s] += change * column[s]
        move = -move


class Books(Market):
    """A `Market` that is filled without evaluating a tick, which is far quicker for many rows.

    Its lines are per-batch until `wake`, every-tick afterwards.
    """

    def __init__(
        self,
        assets: int,
        window: int,
        confidences: tuple[float, ...],
        *,
        books: int = 1,
        held: int | None = None,
    ) -> None:
        super().__init__(
            assets, window, confidences, books=books, held=held, evaluation="per-batch"
        )

    @property
    def arenas(self) -> tuple[Float64, Int64]:
        return self.lines.floats, self.lines.ints

    def hold(self, units: Float64) -> None:
        """Replace the positions of the only book, (N,); before `wake`, which sums it anew."""
        F, I = self.arenas  # noqa: E741
        layout.holdings(F, I)[:, UNITS] = units
        self.lines.net[:] = units

    def wake(self) -> None:
        """Evaluate every tick from now on: all tails are current when this returns."""
        lines, (F, I) = self.lines, self.arenas  # noqa: E741
        I[H_EVERY_TICK], lines.every_tick = 1, True
        # as many candidates as lines that were made so have: enough for VaR, not for its interval
        kept = layout.rank_table(I)[:, :, K].max(axis=0)
        layout.need(I)[KEPT] = kept
        I[H_PLACES] = 2 * int(kept.max()) + 16 + SPARE_PLACES
        layout.watch(I)[:, W_STALE] = AMENDED
        if marks.keep_all(F, I, False):
            choose.renew_books(F, I)
            marks.keep_all(F, I, True)
        layout.watch(I)[:, W_REBUILDS] = 0

    def follow(self, batch: TickBatch) -> None:
        """Run `follow` over a batch."""
        F, I = self.arenas  # noqa: E741
        stop = follow(F, I, batch.block, batch.start, batch.stop)
        while stop < 0:
            choose.renew_books(F, I)
            assert layout.watch(I)[0, W_TOUCHED] == 0, "the book fell back to touching every row"
            marks.keep_all(F, I, True)
            assert layout.watch(I)[0, W_PENDING] == 0
            stop = follow(F, I, batch.block, ~stop, batch.stop)

    def exposure(self, book: int = 0) -> Float64:
        """(N,) currency value of a book's positions."""
        F, I = self.arenas  # noqa: E741
        held, bounds = layout.held(I), layout.bounds(I)
        out = np.zeros(self.lines.n_assets)
        for h, i in held[bounds[book] : bounds[book + 1]]:
            out[i] = layout.holdings(F, I)[h, UNITS] * self.lines.last[i]
        return out

    def recomputed(self, book: int = 0) -> tuple[float, float]:
        """VaR and ES of a book from all returns and the last prices, by numpy."""
        return numpy_tail(self.exposure(book) @ self.lines.returns, self.tail_share())

    def tail_share(self) -> float:
        """1 - confidence, without the rounding."""
        return round(1.0 - self.lines.confidences[0], 6)

    def kept(self, book: int = 0) -> tuple[float, float]:
        """VaR and ES of a book as the kernels keep them."""
        tail = layout.tails(*self.arenas)[self.lines.n_assets + book, 0]
        return float(tail[VAR]), float(tail[ES])

    @property
    def rebuilds(self) -> int:
        """Choices of candidates since `wake`, over all books."""
        return int(layout.watch(self.lines.ints)[:, W_REBUILDS].sum())


def numpy_tail(pnl: Float64, share: float) -> tuple[float, float]:
    """VaR and ES of P&L scenarios: the k-th loss, and the mean of the worst ``share`` of them."""
    m = round(len(pnl) * share, 9)
    k = int(np.ceil(m))
    worst = np.partition(pnl, k - 1)[:k]
    var = -worst[k - 1]
    return float(var), float((-worst.sum() - (k - m) * var) / m)
