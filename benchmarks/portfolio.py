"""Markets of any size for the benchmarks of books: five factors, fat tails, long and short."""

from __future__ import annotations

import numpy as np

from rtre.market import TickBatch, Universe
from rtre.windows.lines import Evaluation, Lines

SECOND = 10**9
FIRST = 1_000_000


class Market:
    """Lines with full windows, and the ticks that follow.

    Parameters
    ----------
    assets, window : int
    confidences : tuple of float
    books, held : int
        How many books, and assets in each (None: all).
    """

    def __init__(
        self,
        assets: int,
        window: int,
        confidences: tuple[float, ...],
        *,
        books: int = 1,
        held: int | None = None,
        evaluation: Evaluation = "every-tick",
    ) -> None:
        self.rng = rng = np.random.default_rng(7)
        symbols = tuple(f"S{i}" for i in range(assets))
        holdings = {}
        for b in range(books):
            which = rng.choice(assets, held or assets, replace=False)
            units = rng.lognormal(1.0, 1.0, len(which)) * rng.choice([1.0, 1.0, -1.0], len(which))
            holdings[f"b{b}"] = {symbols[i]: float(u) for i, u in zip(which, units, strict=True)}
        self.lines = Lines(
            Universe(symbols), holdings, window=window, interval_ns=SECOND, jump=10.0,
            confidences=confidences, evaluation=evaluation,
        )  # fmt: skip
        self.level = 100.0 * np.exp(0.3 * rng.standard_normal(assets))
        self.loads = rng.standard_normal((5, assets)) * 2e-3
        self.interval = FIRST
        for _ in range(window + 2):
            self.close()

    def close(self) -> None:
        """One interval: every asset ticks once."""
        rng, n = self.rng, len(self.level)
        common = rng.standard_t(4, 5) @ self.loads
        self.level *= np.exp(common + rng.standard_t(4, n) * 3e-3)
        self.interval += 1
        self.feed(TickBatch.of(np.arange(n), self.level, self.interval * SECOND))

    def ticks(self, count: int, size: float = 3e-4) -> TickBatch:
        """Ticks of the open interval: a random walk of `size` a step, some assets more often."""
        rng, n = self.rng, len(self.level)
        weights = 1.0 / np.arange(1, n + 1)
        assets = rng.choice(n, count, p=weights / weights.sum())
        moves = np.exp(size * rng.standard_normal(count))
        prices = np.empty(count)
        for j, (i, move) in enumerate(zip(assets.tolist(), moves.tolist(), strict=True)):
            self.level[i] *= move
            prices[j] = self.level[i]
        return TickBatch.of(assets, prices, self.interval * SECOND)

    def feed(self, batch: TickBatch) -> None:
        """Apply a batch, rolling where a tick says so."""
        start = 0
        while start < len(batch):
            start = self.lines.apply(batch, start)
            if start < len(batch):
                self.lines.open_row(int(batch.ts_event_ns[start]) // SECOND)
