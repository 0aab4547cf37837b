"""`RiskEngine`: ticks in, reports out. No I/O, no clock, no Trio.

    engine = RiskEngine(Universe(("AAPL",)), {"portfolio": {"AAPL": 100}})
    engine.update(batch)
    report = engine.report(now_ns)

The program, an embedding app, a replay, a test and a benchmark all drive this same object. Time is
an argument; the grid moves on with the venue's times in the ticks, never with a clock, so the same
ticks give the same reports, whenever and however batched they are fed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rtre import names
from rtre.config import RiskConfig
from rtre.errors import DataError
from rtre.kernels import layout
from rtre.kernels.tail import RESULTS
from rtre.market import Int64, LinkChange, Quality, TickBatch, Universe
from rtre.models.base import Model
from rtre.report import RiskReport, TickCounts
from rtre.windows.lines import Lines


def make_model(config: RiskConfig) -> Model:
    """Build the model that a configuration names.

    Raises
    ------
    UnknownNameError
        There is no such model.
    DataError
        A parameter is unknown or out of range.
    """
    kind = names.find("models", config.model)
    try:
        model = kind(**config.parameters)
    except TypeError as error:
        raise DataError(f"parameters of model {config.model!r}: {error}") from None
    if not isinstance(model, Model):
        raise DataError(f"{config.model!r} is not a rtre.models.base.Model")
    return model


class RiskEngine:
    """VaR and ES of every symbol and book, current after each batch of ticks.

    Parameters
    ----------
    universe : Universe
        Symbols, in the order in which reports list them.
    books : mapping of book name to mapping of symbol to units held
        Negative units are short. A symbol's own line shows its net position over all books.
    config : RiskConfig, optional
        Window, grid, confidences, horizon and the rest.
    model : Model, optional
        Instead of the one that `config` names.

    Notes
    -----
    Cost of `update`: one kernel call a batch, O(window) a tick and holding book, plus O(N x window)
    when a grid interval closes. Cost of `report`: the lines that changed since the last one.
    """

    def __init__(
        self,
        universe: Universe,
        books: Mapping[str, Mapping[str, float]],
        config: RiskConfig | None = None,
        model: Model | None = None,
    ) -> None:
        self.config = config = config or RiskConfig()
        self.universe = universe
        self.model = model or make_model(config)
        clash = set(universe.symbols) & set(books)
        if clash:
            raise DataError(f"books named like a symbol: {', '.join(sorted(clash))}")
        self.lines = Lines(
            universe,
            books,
            window=config.window,
            interval_ns=config.interval,
            lead_ns=config.clock_lead,
            jump=config.jump,
            confirm=config.confirm,
        )
        self.min_obs = max(config.min_obs, self.model.min_obs)
        n_lines, n_levels = len(self.lines), len(config.confidence)
        self._values = np.full((n_lines, n_levels, RESULTS), np.nan)
        self._exposures = np.full(n_lines, np.nan)
        self._evaluated_at = np.full(n_lines, np.nan)  # exposure behind each row of _values
        self._n_obs = np.zeros(n_lines, np.int64)
        self._flags = np.zeros(len(universe), np.int64)
        self._problems: dict[int, str] = {}
        self._index = {name: i for i, name in enumerate(self.lines.names)}
        self._horizon = config.holding_period
        self._rolled = True
        self._sequence = 0
        self._held = [
            np.array(sorted(universe.asset(s) for s, q in book.items() if q), np.int64)
            for book in books.values()
        ]
        self._units = np.array([[b.get(s, 0.0) for s in universe] for b in books.values()])

    def update(self, batch: TickBatch) -> None:
        """Apply ticks in order. What cannot be used is counted, and never becomes a number."""
        start, n = 0, len(batch)
        while start < n:
            start = self.lines.apply(batch, start)
            if start < n:
                self._open_row(int(batch.ts_event_ns[start]) // self.config.interval)

    def _open_row(self, interval: int) -> None:
        if self.lines.rows:
            closing = self.lines.returns[:, self.lines.head]
            self._flags[~np.isnan(closing)] &= ~int(Quality.GAP)  # whole again from here on
        self.lines.open_row(interval)
        self._rolled = True

    def link_changed(self, change: LinkChange) -> None:
        """Take note that a feed lost or regained its connection.

        Its assets are DISCONNECTED meanwhile; afterwards they show a GAP until a whole interval has
        been seen again, and the return across the hole is masked.
        """
        assets = np.array(change.assets, np.int64)
        if change.up:
            self._flags[assets] &= ~int(Quality.DISCONNECTED)
            return
        priced = assets[~np.isnan(self.lines.last[assets])]
        self._flags[assets] |= int(Quality.DISCONNECTED)
        self._flags[priced] |= int(Quality.GAP)
        for asset in priced.tolist():
            self.lines.break_chain(asset)

    def report(self, now_ns: int, *, outside: TickCounts | None = None) -> RiskReport:
        """Give the risk as it stands.

        Parameters
        ----------
        now_ns : int
            The present, for ages and staleness.
        outside : TickCounts, optional
            Ticks that ended before they reached the engine, to be shown in the same balance.
        """
        self._evaluate()
        self._sequence += 1
        lines, n = self.lines, self.lines.n_assets
        received = lines.clocks[:, layout.C_INIT]
        return RiskReport(
            sequence=self._sequence,
            as_of_ns=now_ns,
            model=self.model.name,
            confidences=self.config.confidence,
            horizon=self._horizon,
            min_obs=self.min_obs,
            names=lines.names,
            index=self._index,
            n_assets=n,
            values=self._values * self._horizon.factor,
            prices=lines.last.copy(),
            changes=lines.returns[:, lines.head].copy(),
            exposures=self._exposures.copy(),
            n_obs=self._n_obs.copy(),
            qualities=self._qualities(now_ns, received),
            received_ns=self._with_books(received, np.minimum),
            problems=dict(self._problems),
            counts=self.counts(outside),
        )

    def counts(self, outside: TickCounts | None = None) -> TickCounts:
        """What became of every tick so far."""
        c = self.lines.counts.tolist()
        other = outside or TickCounts()
        return TickCounts(
            applied=c[layout.APPLIED],
            rejected=other.rejected
            + c[layout.BAD_PRICE]
            + c[layout.BAD_TIME]
            + c[layout.UNKNOWN_ASSET],
            late=other.late + c[layout.LATE],
            quarantined=c[layout.QUARANTINED],
            duplicate=other.duplicate,
            conflated=other.conflated,
        )

    def _evaluate(self) -> None:
        """Bring the estimates of all changed lines up to date."""
        lines, n = self.lines, self.lines.n_assets
        changed = np.flatnonzero(lines.dirty)
        if not len(changed):
            return
        lines.dirty[:] = 0
        self._exposures[:n] = lines.exposure
        held = lines.last * self._units  # NaN * 0 is NaN: a symbol not held must not blank a book
        self._exposures[n:] = np.where(self._units == 0.0, 0.0, held).sum(axis=1)
        self._n_obs = lines.observations()
        ready = self._n_obs >= self.min_obs
        ready[:n] &= ~np.isnan(lines.last)
        self._values[~ready] = np.nan
        if self.model.cadence == "interval" and not self._rolled:
            self._follow_exposure(changed[changed < n])
            return
        which = changed[ready[changed]]
        for line in changed.tolist():
            self._problems.pop(line, None)
        if len(which):
            found = self.model.evaluate(lines, which, self.config.confidence, self._values)
            self._problems.update(found)
            self._evaluated_at[which] = self._exposures[which]
        self._rolled = False

    def _follow_exposure(self, symbols: Int64) -> None:
        """Scale estimates made at the last roll to the exposure of now; symbols only."""
        before, now = self._evaluated_at[symbols], self._exposures[symbols]
        known = np.isfinite(before) & (before != 0.0)
        symbols = symbols[known]
        self._values[symbols] *= np.abs(now[known] / before[known])[:, None, None]
        self._evaluated_at[symbols] = now[known]

    def _qualities(self, now_ns: int, received: Int64) -> Int64:
        lines = self.lines
        flags = self._flags.copy()
        unpriced = np.isnan(lines.last)
        flags[unpriced] |= int(Quality.UNPRICED)
        stale = (now_ns - received > self.config.stale_after) & ~unpriced
        flags[stale] |= int(Quality.STALE)
        flags[lines.clocks[:, layout.C_CONFIRMED] > 0] |= int(Quality.SUSPECT)
        flags = self._with_books(flags, np.bitwise_or)
        flags[self._n_obs < self.min_obs] |= int(Quality.WARMING)
        return flags

    def _with_books(self, symbols: Int64, combine: np.ufunc) -> Int64:
        """Extend a per-symbol column by one value a book, combined over what the book holds."""
        books = [combine.reduce(symbols[held]) if len(held) else 0 for held in self._held]
        return np.concatenate([symbols, np.array(books, np.int64)])

