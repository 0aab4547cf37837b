"""A seeded market: correlated, heavy-tailed prices with clustered volatility, trade by trade.

Theory of operation
-------------------
The log price of a symbol is a path on a grid of 100 ms steps. The return of one step is

    r[i] = systematic * factor[i] + idiosyncratic * own[i]

where `factor` is shared by all symbols and `own` belongs to one. Both are `Noise`: Student-t
shocks times a volatility that wanders on two time scales. `Noise` is a pure function of a key and
an index (a counter-based generator), so any stretch of a path can be made at any time, in any
order, and does not depend on which other symbols are listed, nor on when one was listed.

Trades are drawn step by step from a generator that is a function of the step, and priced on the
path plus the noise of a Brownian bridge inside the step. How calls of `advance` cut the time axis
therefore changes nothing.

The past before the start has no steps of 100 ms: a year of them would not be affordable. It is a
path of the same kind on the grid that is asked for, laid backwards from the starting price.

Every second counts as a second of trading, nights and weekends too: a market that is open all the
time is what a demonstration needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import attrs
import numpy as np
import numpy.typing as npt

from rtre.errors import DataError
from rtre.feeds.instruments import Instrument, instrument
from rtre.feeds.noise import Noise, stream_key, student, uniforms
from rtre.market import Float64, Int32, Int64

STEP_NS = 100_000_000
MAX_INTERVALS = 100_000
MIN_INTERVAL_NS = 10_000_000

_BLOCK = 256  # steps made at once for the live path
_TRADING_SECONDS = 252 * 23_400  # a year of them, 6.5 hours a day
_MAX_LEVEL = 25.0  # of the log price: no path, however long, leaves what can be computed with
_PRINTS = 2.0  # mean trades that one order makes, milliseconds apart
_PRINT_SPREAD = 0.02  # of a step
_ORIGIN = 2**40  # index of the grid interval that holds the start; keeps indices positive


@attrs.frozen(eq=False)
class Trades:
    """k trades as columns, in time order.

    Attributes
    ----------
    asset : (k,) int32
        Index into `SyntheticMarket.symbols`.
    price, size : (k,) float64
        Positive and finite.
    ts_ms : (k,) int64
        Milliseconds since the epoch.
    """

    asset: Int32
    price: Float64
    size: Float64
    ts_ms: Int64

    def __len__(self) -> int:
        return len(self.asset)

    def __getitem__(self, part: slice | npt.NDArray[np.bool_]) -> Trades:
        return Trades(self.asset[part], self.price[part], self.size[part], self.ts_ms[part])


class _Returns:
    """The returns of one symbol on a grid of `step_ns`."""

    def __init__(self, seed: int, symbol: str, kind: Instrument, step_ns: int) -> None:
        scale = math.sqrt(step_ns / 1e9 / _TRADING_SECONDS)
        self.sigma = kind.vol * scale
        self._systematic = kind.systematic * scale
        self._idiosyncratic = kind.idiosyncratic * scale
        self._own = Noise(seed, f"symbol {symbol}", step_ns)

    def at(self, first: int, factor: Float64) -> Float64:
        own = self._own.at(first, len(factor))
        returns: Float64 = self._systematic * factor + self._idiosyncratic * own
        return returns


class _Listing:
    """One symbol in the market: its live path, and the level at the start of every block."""

    def __init__(self, seed: int, symbol: str) -> None:
        self.kind = instrument(symbol)
        self.returns = _Returns(seed, symbol, self.kind, STEP_NS)
        self.marks = [math.log(self.kind.price)]

    def block(self, number: int, factor: Float64) -> Float64:
        """Levels at the ``_BLOCK + 1`` edges of the steps of a block whose mark is known."""
        levels = np.empty(_BLOCK + 1)
        levels[0] = 0.0
        np.cumsum(self.returns.at(number * _BLOCK, factor), out=levels[1:])
        levels += self.marks[number]
        if len(self.marks) == number + 1:
            self.marks.append(float(levels[-1]))
        return levels


class SyntheticMarket:
    """Trades of any number of symbols, from one seed; no I/O and no clock.

    Parameters
    ----------
    seed : int
        Same seed, start and calls: same trades, bit for bit.
    start_ns : int
        Where the path begins, in nanoseconds since the epoch.
    rate : float
        Mean trades a second, in total over the active symbols, shared evenly.

    Examples
    --------
    >>> market = SyntheticMarket(seed=1, start_ns=0, rate=100.0)
    >>> market.add("AAPL"), market.add("MSFT"), market.add("AAPL")
    (0, 1, 0)
    >>> trades = market.advance(10_000_000_000)
    >>> 700 < len(trades) < 1300 and bool((trades.price > 0).all())
    True
    """

    def __init__(self, seed: int, start_ns: int, rate: float) -> None:
        if start_ns < 0:
            raise DataError(f"start_ns must not be negative, got {start_ns}")
        if not 0.0 < rate <= 10_000_000.0:
            raise DataError(f"rate must be above 0 and at most 10,000,000 a second, got {rate}")
        self._seed, self._start_ns, self._rate = seed, start_ns, rate
        self._now_ns = start_ns
        self._index: dict[str, int] = {}
        self._listings: list[_Listing] = []
        self._active: Int32 | None = None
        self._factor = Noise(seed, "factor", STEP_NS)
        self._ticks_key = stream_key(seed, "ticks")
        self._step = 0  # the first step whose trades are not made yet
        self._made = Trades(*(np.empty(0, t) for t in (np.int32, float, float, np.int64)))
        self._made_ns = np.empty(0, np.int64)
        self._block = -1
        self._levels = np.empty((0, _BLOCK + 1))
        self._columns = np.empty((3, 0))  # per symbol: sigma of a step, price scale, size scale
        self._fresh: list[Float64] = []
        self._fresh_columns: list[Float64] = []

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols in order of `add`."""
        return tuple(self._index)

    @property
    def now_ns(self) -> int:
        """The time that `advance` has reached, in nanoseconds since the epoch."""
        return self._now_ns

    def add(self, symbol: str) -> int:
        """List a symbol and return its index; a second time, the index it has.

        Its trades begin within 100 ms. Cost: 30 us, and 0.2 s for each day since the start.

        Raises
        ------
        DataError
            For a text that is not a symbol.
        """
        if symbol in self._index:
            return self._index[symbol]
        listing = _Listing(self._seed, symbol)
        for number in range(self._block):
            listing.block(number, self._factor.at(number * _BLOCK, _BLOCK))
        row = np.empty((1, _BLOCK + 1))
        if self._block >= 0:
            row[0] = listing.block(self._block, self._factor.at(self._block * _BLOCK, _BLOCK))
        self._fresh.append(row)
        kind = listing.kind
        column = np.array([[listing.returns.sigma], [kind.price_scale], [kind.size_scale]])
        self._fresh_columns.append(column)
        self._listings.append(listing)
        self._index[symbol] = len(self._index)
        return self._index[symbol]

    def _settle(self) -> None:
        """Join what `add` has made to the arrays: once for many symbols."""
        if self._fresh:
            self._levels = np.concatenate([self._levels, *self._fresh])
            self._columns = np.concatenate([self._columns, *self._fresh_columns], axis=1)
            self._fresh, self._fresh_columns = [], []

    def set_active(self, assets: Iterable[int] | None) -> None:
        """Let only these symbols trade, from the next step on; None means all that are listed."""
        self._active = None if assets is None else np.array(sorted(set(assets)), np.int32)

    def advance(self, until_ns: int) -> Trades:
        """Trades after the last call, up to and including `until_ns`.

        Cost: about 0.1 ms for every 100 ms, and 0.2 us a trade.
        """
        parts = [self._take(until_ns)]
        while self._start_ns + self._step * STEP_NS <= until_ns:
            self._make_step()
            parts.append(self._take(until_ns))
        self._now_ns = max(self._now_ns, until_ns)
        if len(parts) == 1:
            return parts[0]
        names = [a.name for a in attrs.fields(Trades)]
        return Trades(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))

    def skip(self, until_ns: int) -> None:
        """Go to `until_ns` without trades, where `advance` would have to make too many."""
        self._take(until_ns)
        self._step = max(self._step, (until_ns - self._start_ns) // STEP_NS)
        self._now_ns = max(self._now_ns, until_ns)

    def _take(self, until_ns: int) -> Trades:
        count = int(np.searchsorted(self._made_ns, until_ns, "right"))
        taken = self._made[:count]
        self._made, self._made_ns = self._made[count:], self._made_ns[count:]
        return taken

    def _make_step(self) -> None:
        """Make the trades of the next step. Only called when those of the last are all taken."""
        step, self._step = self._step, self._step + 1
        active = self._active
        n = len(self._listings) if active is None else len(active)
        rng = np.random.Generator(np.random.Philox(key=self._ticks_key, counter=step << 64))
        orders = int(rng.poisson(self._rate * STEP_NS / 1e9 / _PRINTS)) if n else 0
        if not orders:
            return
        self._reach(step // _BLOCK)
        prints = rng.geometric(1.0 / _PRINTS, orders)
        place = np.repeat(rng.random(orders), prints)
        asset = np.repeat(rng.integers(0, n, orders, dtype=np.int32), prints)
        place += _PRINT_SPREAD * rng.random(len(place)) * (1.0 - place)
        order = np.argsort(place, kind="stable")
        place, asset = place[order], asset[order]
        if active is not None:
            asset = active[asset]
        column = step % _BLOCK
        left, right = self._levels[asset, column], self._levels[asset, column + 1]
        # Independent bridges: right for trades in different steps, bounce for those in one.
        bridge = np.sqrt(place * (1.0 - place)) * rng.standard_normal(len(place))
        level = left + (right - left) * place + self._columns[0, asset] * bridge
        price, size = self._quantise(asset, level, rng.standard_normal(len(place)))
        self._made_ns = self._start_ns + step * STEP_NS + (place * STEP_NS).astype(np.int64)
        self._made = Trades(asset, price, size, self._made_ns // 1_000_000)

    def _reach(self, block: int) -> None:
        """Make block `block` of every symbol the current one."""
        self._settle()
        while self._block < block:
            self._block += 1
            factor = self._factor.at(self._block * _BLOCK, _BLOCK)
            for row, listing in enumerate(self._listings):
                self._levels[row] = listing.block(self._block, factor)

    def _quantise(self, asset: Int32, level: Float64, normal: Float64) -> tuple[Float64, Float64]:
        """Prices on their tick and sizes worth some thousands, in round lots from 100 up."""
        self._settle()
        price_scale, size_scale = self._columns[1, asset], self._columns[2, asset]
        price = (
            np.maximum(np.rint(np.exp(np.clip(level, -_MAX_LEVEL, _MAX_LEVEL)) * price_scale), 1.0)
            / price_scale
        )
        units = np.exp(8.3 + 1.2 * normal) / price * size_scale
        lots = np.where((units >= 100.0) & (size_scale == 1.0), 100.0, 1.0)
        return price, np.maximum(np.rint(units / lots), 1.0) * lots / size_scale

    def history(self, symbol: str, *, interval_ns: int, intervals: int, until_ns: int) -> Trades:
        """One past trade in each of the last `intervals` whole grid intervals before `until_ns`.

        The grid is that of the epoch: interval k is ``[k * interval_ns, (k + 1) * interval_ns)``.
        Trades of different symbols are correlated as live ones are, and the last trade joins
        onto the live path. `until_ns` must not lie beyond `now_ns`. Cost: 0.5 us an interval, and
        1 us for each second of live path that is crossed.

        Raises
        ------
        DataError
            For an interval, a number of intervals or a time out of range.
        """
        last = until_ns // interval_ns if interval_ns >= MIN_INTERVAL_NS else 0
        if interval_ns < MIN_INTERVAL_NS or interval_ns % 1_000_000:
            raise DataError(f"interval_ns must be whole ms and at least 10 ms, got {interval_ns}")
        if not 1 <= intervals <= min(MAX_INTERVALS, last):
            most = min(MAX_INTERVALS, last)
            raise DataError(f"intervals must lie between 1 and {most:,}, got {intervals}")
        if until_ns > self._now_ns:
            raise DataError(f"until_ns {until_ns} lies beyond now_ns {self._now_ns}")
        asset = self.add(symbol)
        origin = self._start_ns // interval_ns
        first = _ORIGIN + last - intervals - origin
        trade_key = stream_key(self._seed, symbol, interval_ns, "history")
        place, shock, worth = uniforms(trade_key, 3 * first, 3 * intervals).reshape(-1, 3).T
        # In the last quarter of the interval: close to what a sample at its end will see.
        offset_ns = ((0.75 + 0.25 * place) * interval_ns).astype(np.int64)
        ts_ns = np.arange(last - intervals, last, dtype=np.int64) * interval_ns + offset_ns
        level = np.empty(intervals)
        past = ts_ns < self._start_ns
        bridge = student(np.ascontiguousarray(shock))
        level[past] = self._past(symbol, interval_ns, ts_ns[past], bridge[past])
        level[~past] = self._present(asset, ts_ns[~past], bridge[~past])
        assets = np.full(intervals, asset, np.int32)
        normal = np.clip(student(np.ascontiguousarray(worth)), -3.0, 3.0)
        price, size = self._quantise(assets, level, normal)
        return Trades(assets, price, size, ts_ns // 1_000_000)

    def _past(self, symbol: str, interval_ns: int, ts_ns: Int64, shock: Float64) -> Float64:
        """Levels before the start, on a path of `interval_ns` that ends at the starting price."""
        if not len(ts_ns):
            return np.empty(0)
        kind = instrument(symbol)
        returns = _Returns(self._seed, symbol, kind, interval_ns)
        origin = self._start_ns // interval_ns
        interval = ts_ns // interval_ns
        first, count = int(interval[0]), origin - int(interval[0]) + 1
        factor = Noise(self._seed, "factor", interval_ns)
        index = _ORIGIN + first - origin
        step = returns.at(index, factor.at(index, count))
        # The start cuts its interval: the piece before it has its share of the variance.
        piece_ns = self._start_ns - origin * interval_ns
        step[-1] *= math.sqrt(piece_ns / interval_ns)
        edges = np.empty(count + 1)
        edges[-1] = math.log(kind.price)
        edges[:-1] = edges[-1] - np.cumsum(step[::-1])[::-1]
        row = interval - first
        width_ns = np.where(interval == origin, max(piece_ns, 1), interval_ns)
        place = (ts_ns - interval * interval_ns) / width_ns
        sigma = returns.sigma * np.sqrt(width_ns / interval_ns)
        bridge = sigma * np.sqrt(place * (1.0 - place)) * shock
        level: Float64 = edges[row] + (edges[row + 1] - edges[row]) * place + bridge
        return level

    def _present(self, asset: int, ts_ns: Int64, shock: Float64) -> Float64:
        """Levels since the start, on the live path."""
        if not len(ts_ns):
            return np.empty(0)
        listing = self._listings[asset]
        steps, inside_ns = np.divmod(ts_ns - self._start_ns, STEP_NS)
        self._reach(int(steps[-1]) // _BLOCK)
        block = int(steps[0]) // _BLOCK
        first = block * _BLOCK
        factor = self._factor.at(first, int(steps[-1]) + 1 - first)
        edges = np.empty(len(factor) + 1)
        edges[0] = 0.0
        np.cumsum(listing.returns.at(first, factor), out=edges[1:])
        edges += listing.marks[block]
        row = steps - first
        place = inside_ns / STEP_NS
        bridge = listing.returns.sigma * np.sqrt(place * (1.0 - place)) * shock
        level: Float64 = edges[row] + (edges[row + 1] - edges[row]) * place + bridge
        return level
