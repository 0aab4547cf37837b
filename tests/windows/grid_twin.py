"""The slow twin of ticks, grid and books: dictionaries and lists, nothing incremental.

It works out each return from the last price of the interval before, and a book from its assets.
"""

from __future__ import annotations

import math

import attrs

from rtre.market import TickBatch


@attrs.define
class AssetTwin:
    """What one asset has seen."""

    last: float | None = None
    event: int = 0
    interval: int | None = None  #: of the newest accepted tick; None after a loss of data
    base: float | None = None  #: last price before `interval`
    whole: bool = False  #: `base` is of the interval right before
    outliers: list[float] = attrs.field(factory=list)
    returns: dict[int, float] = attrs.field(factory=dict)  #: by grid interval


class GridTwin:
    """Every accepted tick, by hand."""

    def __init__(
        self, n: int, window: int, interval_ns: int, lead_ns: int, jump: float, confirm: int
    ) -> None:
        self.assets = [AssetTwin() for _ in range(n)]
        self.rows: list[int] = []  # intervals, oldest first
        self.window, self.interval_ns, self.lead_ns = window, interval_ns, lead_ns
        self.jump, self.confirm = jump, confirm
        self.counts = dict.fromkeys(
            ("applied", "price", "time", "late", "unknown", "quarantined"), 0
        )

    def feed(self, batch: TickBatch) -> None:
        """Take the ticks of a batch, one by one."""
        columns = (batch.asset, batch.price, batch.ts_event_ns, batch.ts_init_ns)
        for asset, price, event, init in zip(*(c.tolist() for c in columns), strict=True):
            self.counts[self._take(asset, price, event, init)] += 1

    def _take(self, i: int, price: float, event: int, init: int) -> str:
        if not 0 <= i < len(self.assets):
            return "unknown"
        if not math.isfinite(price) or price < 1e-30 or price > 1e30:
            return "price"
        if event <= 0 or event > init + self.lead_ns:
            return "time"
        asset = self.assets[i]
        if event < asset.event:
            return "late"
        if asset.last is not None and abs(price - asset.last) > self.jump * asset.last:
            if not self._agrees(asset, price):
                asset.outliers.clear()
            asset.outliers.append(price)
            if len(asset.outliers) < self.confirm:
                return "quarantined"
        self._accept(asset, price, event)
        return "applied"

    def _agrees(self, asset: AssetTwin, price: float) -> bool:
        if not asset.outliers:
            return False
        first, last = asset.outliers[0], asset.last
        assert last is not None
        near = abs(price - first) <= self.jump * first
        return near or price < first < last or price > first > last

    def _accept(self, asset: AssetTwin, price: float, event: int) -> None:
        interval = event // self.interval_ns
        if not self.rows or interval > self.rows[-1]:
            self.rows = [*self.rows, interval][-self.window :]
            for other in self.assets:
                other.returns = {k: r for k, r in other.returns.items() if k >= self.rows[0]}
        if interval != asset.interval:
            asset.base, asset.whole = asset.last, asset.interval == interval - 1
            asset.interval = interval
        asset.returns.pop(interval, None)
        if interval in self.rows and asset.whole:
            assert asset.base is not None
            asset.returns[interval] = price / asset.base - 1.0
        asset.last, asset.event = price, event
        asset.outliers.clear()

    def lose(self, i: int) -> None:
        """Data of asset `i` were lost."""
        self.assets[i].interval = None

    def pnl(self, units: dict[int, float]) -> dict[int, float]:
        """P&L of a book's present positions by interval, of the rows where nothing is missing."""
        found = {}
        for row in self.rows:
            parts = []
            for i, q in units.items():
                asset = self.assets[i]
                if row in asset.returns and asset.last is not None:
                    parts.append(q * asset.last * asset.returns[row])
            if len(parts) == len(units):
                found[row] = math.fsum(parts)
        return found
