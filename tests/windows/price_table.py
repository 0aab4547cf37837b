"""Tails of symbols and books from a table of prices: everything afresh at each look, in numpy.

Kept are the last price of each asset in each grid interval and how often data of the asset had been
lost by then; the rest is worked out of that, in extended precision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rtre.order import tail_ranks

Wide = np.longdouble


class PriceTable:
    """A market as a table.

    Parameters
    ----------
    units : (B, N) array
        Holdings of each book.
    """

    def __init__(self, units: np.ndarray, window: int, jump: float, confirm: int) -> None:
        n = units.shape[1]
        self.n, self.window, self.jump, self.confirm = n, window, jump, confirm
        self.units = np.concatenate([np.diag(units.sum(axis=0)), units]).astype(Wide)
        self.needed = np.concatenate([np.eye(n, dtype=bool), units != 0.0])
        self.table: list[dict[int, tuple[float, int]]] = [{} for _ in range(n)]
        self.losses = [0] * n
        self.last = [math.nan] * n
        self.newest = [-1] * n  #: interval of the newest tick of each asset
        self.outliers: list[list[float]] = [[] for _ in range(n)]
        self.rows: list[int] = []

    def opens(self, interval: int) -> bool:
        """Whether a tick of `interval` needs a row that is not there."""
        return not self.rows or interval > self.rows[-1]

    def open(self, interval: int) -> None:
        self.rows = [*self.rows, interval][-self.window :]

    def accepts(self, i: int, price: float) -> bool:
        """Whether a price is taken; an outlier is kept in mind until enough agree."""
        last, found = self.last[i], self.outliers[i]
        if not abs(price - last) > self.jump * last:
            return True
        first = found[0] if found else math.nan
        further = last < first < price or price < first < last
        if not (further or abs(price - first) <= self.jump * first):
            found.clear()
        found.append(price)
        return len(found) >= self.confirm

    def take(self, i: int, price: float, interval: int) -> None:
        self.table[i][interval] = price, self.losses[i]
        self.last[i], self.newest[i] = price, interval
        self.outliers[i].clear()

    def returns(self) -> np.ndarray:
        """(N, rows): a price over the one before, if no interval and no data lie between."""
        nothing = (math.nan, -1)
        out = np.full((self.n, len(self.rows)), math.nan)
        for i, table in enumerate(self.table):
            now = [table.get(k, nothing) for k in self.rows]
            before = [table.get(k - 1, nothing) for k in self.rows]
            for s, ((price, losses), (base, known)) in enumerate(zip(now, before, strict=True)):
                if losses == known != -1:
                    out[i, s] = price / base - 1.0
        return out

    def samples(self) -> tuple[list[np.ndarray], np.ndarray]:
        """P&L of each line in its complete rows, oldest first; the gross P&L of each line."""
        returns = self.returns()
        absent = np.isnan(returns)
        wide = np.where(absent, 0.0, returns).astype(Wide)
        exposure = np.where(self.needed, self.units * np.array(self.last, Wide), 0.0)
        pnl = (exposure[:, :, None] * wide[None]).sum(axis=1)
        complete = ~(self.needed[:, :, None] & absent[None]).any(axis=1)
        largest = np.abs(wide).max(axis=1, initial=0.0)
        gross = np.where(np.isnan(exposure), 0.0, np.abs(exposure) * largest).sum(axis=1)
        return [p[c] for p, c in zip(pnl, complete, strict=True)], gross


def tails(samples: list[np.ndarray], confidences: Sequence[float], min_obs: int) -> np.ndarray:
    """VaR, ES and the interval of VaR, (L, C, 4); NaN below `min_obs` observations."""
    out = np.full((len(samples), len(confidences), 4), math.nan, Wide)
    for line, sample in enumerate(samples):
        n = len(sample)
        if n < min_obs:
            continue
        losses = np.sort(-sample)[::-1]
        for c, confidence in enumerate(confidences):
            ranks = tail_ranks(n, confidence)
            var = losses[ranks.k - 1]
            es = (losses[: ranks.k - 1].sum() + ranks.weight * var) / ranks.m
            low = losses[ranks.low - 1] if ranks.low <= n else -math.inf
            high = losses[ranks.high - 1] if ranks.high >= 1 else math.inf
            out[line, c] = var, es, low, high
    return out
