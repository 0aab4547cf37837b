"""`RiskEngine`: ticks in, reports out. No I/O, no clock, no Trio.

    engine = RiskEngine(Universe(("AAPL",)), {"portfolio": {"AAPL": 100}})
    engine.update(batch)
    report = engine.report(now_ns)

The program, an embedding app, a replay, a test and a benchmark all drive this same object. Time is
an argument; the grid moves on with the venue's times in the ticks, never with a clock, so the same
ticks give the same reports, whenever and however batched they are fed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from rtre import names
from rtre.config import RiskConfig
from rtre.errors import DataError
from rtre.fits import FitJob, FitResult, Fits
from rtre.kernels import layout
from rtre.kernels.snapshot import count_observations, snapshot, survey
from rtre.kernels.tail import RESULTS
from rtre.market import LinkChange, Quality, TickBatch, Universe
from rtre.models.base import Model
from rtre.report import RiskReport, TickCounts
from rtre.windows.lines import Evaluation, Lines

EVERY_TICK_BOOKS = 16  #: up to so many books every tick is evaluated unless told otherwise


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
    refit_every : int
        Grid intervals after which a model that fits parameters fits them again.
    inline_fits : bool
        Fit when an interval closes, within `update`: simple, and the numbers depend on the ticks
        alone. False: `fit_jobs` says what is due, and whoever drives the engine runs the jobs where
        they hold nothing up; a line has no number until its first fit is there.

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
        *,
        refit_every: int = 100,
        inline_fits: bool = True,
    ) -> None:
        self.config = config = config or RiskConfig()
        self.universe = universe
        self.model = model or make_model(config)
        if clash := set(universe.symbols) & set(books):
            raise DataError(f"books named like a symbol: {', '.join(sorted(clash))}")
        if refit_every < 1:
            raise DataError(f"refit_every must be at least 1 interval, got {refit_every}")
        self.min_obs = max(config.min_obs, self.model.min_obs)
        self.lines = Lines(
            universe,
            books,
            window=config.window,
            interval_ns=config.interval,
            lead_ns=config.clock_lead,
            jump=config.jump,
            confirm=config.confirm,
            closed=self.model.cadence == "interval",
            confidences=config.confidence if self.model.plain_ranks else (),
            min_obs=self.min_obs,
            evaluation=self._evaluation(len(books)),
        )
        self.model.prepare(self.lines)
        n_lines, n_levels = len(self.lines), len(config.confidence)
        self._values = np.full((n_lines, n_levels, RESULTS), np.nan)
        self._exposures = np.full(n_lines, np.nan)
        self._n_obs = np.zeros(n_lines, np.int64)
        self._which = np.zeros(n_lines, np.int64)
        self._problems: dict[int, str] = {}
        self._index = {name: i for i, name in enumerate(self.lines.names)}
        self._horizon = config.holding_period
        self._factor = self._horizon.factor
        self._stale_after = int(config.stale_after)
        self._inline = inline_fits
        self._fits = Fits(n_lines, refit_every) if self.model.fits else None
        self._rolls = 0
        self._sequence = 0

    def _evaluation(self, n_books: int) -> Evaluation:
        """How tails are kept: only plain order statistics can be, tick by tick or by candidates."""
        if not self.model.plain_ranks:
            return "on-demand"
        if self.config.evaluation != "auto":
            return self.config.evaluation
        return "every-tick" if n_books <= EVERY_TICK_BOOKS else "per-batch"

    def update(self, batch: TickBatch) -> None:
        """Apply ticks in order. What cannot be used is counted, and never becomes a number."""
        start, n = 0, len(batch)
        while start < n:
            start = self.lines.apply(batch, start)
            if start < n:
                self._open_row(int(batch.ts_event_ns[start]) // self.lines.interval_ns)

    def _open_row(self, interval: int) -> None:
        self.lines.open_row(interval)
        self._rolls += 1
        if self._inline:
            for job in self.fit_jobs():
                self.take_fit(job, job.run())

    def link_changed(self, change: LinkChange) -> None:
        """Take note that a feed lost or regained its connection.

        Its assets are DISCONNECTED meanwhile; afterwards they show a GAP until a whole interval has
        been seen again, and the return across the hole is masked.
        """
        lines = self.lines
        assets = np.array(change.assets, np.int64)
        if change.up:
            lines.flags[assets] &= ~int(Quality.DISCONNECTED)
            return
        priced = assets[~np.isnan(lines.last[assets])]
        lines.flags[assets] |= int(Quality.DISCONNECTED)
        lines.flags[priced] |= int(Quality.GAP)
        for asset in priced.tolist():
            lines.break_chain(asset)

    @property
    def fitted(self) -> Mapping[int, Any]:
        """Line to what `Model.fit` gave for it, of the lines that have a fit."""
        return self._fits.values if self._fits is not None else {}

    def fit_jobs(self, limit: int | None = None) -> list[FitJob]:
        """Fits that are due, at most `limit`, the longest overdue first.

        To be run anywhere (`FitJob.run`) and handed back (`take_fit`); until then the line has no
        further job. Cost: a copy of the sample of each line that is due.
        """
        if self._fits is None:
            return []
        lines = self.lines
        count_observations(lines.floats, lines.ints, True, self._n_obs)
        ready = np.flatnonzero(self._n_obs >= self.min_obs)
        jobs = self._fits.due(lines, ready, self._rolls, self.model, self.config.confidence)
        return list(itertools.islice(jobs, limit))

    def take_fit(self, job: FitJob, result: FitResult) -> None:
        """Use the result of a job from the next report on."""
        if self._fits is not None and self._fits.take(job, result):
            self.lines.dirty[job.line] |= layout.CHANGED | layout.CLOSED

    def report(self, now_ns: int, *, outside: TickCounts | None = None) -> RiskReport:
        """Give the risk as it stands.

        Parameters
        ----------
        now_ns : int
            The present, for ages and staleness.
        outside : TickCounts, optional
            Ticks that ended before they reached the engine, to be shown in the same balance.
        """
        lines, fits = self.lines, self._fits
        self._evaluate()
        self._sequence += 1
        values = np.empty(self._values.shape)
        symbols = np.empty((2, lines.n_assets))
        of_lines = np.empty((3, len(lines)), np.int64)
        snapshot(
            lines.floats,
            lines.ints,
            self._values,
            self._n_obs,
            lines.closed,
            self._factor,
            self.min_obs,
            now_ns,
            self._stale_after,
            values,
            symbols,
            of_lines,
        )
        return RiskReport(
            self._sequence,
            now_ns,
            self.model.name,
            self.config.confidence,
            self._horizon,
            self.min_obs,
            lines.names,
            self._index,
            lines.n_assets,
            values,
            symbols[0],
            symbols[1],
            self._exposures.copy(),
            of_lines[0],
            of_lines[1],
            of_lines[2],
            self._problems,
            self.counts(outside),
            None if fits is None else fits.fitted_ns.copy(),
        )

    def counts(self, outside: TickCounts | None = None) -> TickCounts:
        """What became of every tick so far."""
        applied, bad_price, bad_time, late, unknown, quarantined = self.lines.counts.tolist()
        rejected = bad_price + bad_time + unknown
        if outside is None:
            return TickCounts(applied, rejected, late, quarantined)
        return TickCounts(
            applied + outside.applied,
            rejected + outside.rejected,
            late + outside.late,
            quarantined + outside.quarantined,
            outside.duplicate,
            outside.conflated,
        )

    def _evaluate(self) -> None:
        """Bring the estimates of all changed lines up to date."""
        lines = self.lines
        found = survey(
            lines.floats,
            lines.ints,
            lines.closed,
            self.min_obs,
            self._exposures,
            self._n_obs,
            self._values,
            self._which,
        )
        which = self._which[:found]
        if self._problems:
            still = self._n_obs >= self.min_obs
            still[which] = False
            # a new dict: the one before belongs to the last report
            self._problems = {i: text for i, text in self._problems.items() if still[i]}
        if not found:
            return
        problems, fitted = {}, None
        if self._fits is not None:
            fitted = self._fits.values
            problems = {i: t for i in which.tolist() if (t := self._fits.problems.get(i, ""))}
            if problems:
                self._values[list(problems)] = np.nan
                which = which[~np.isin(which, list(problems))]
        if len(which):
            problems |= self.model.evaluate(
                lines, which, self.config.confidence, self._values, fitted
            )
        if problems:
            self._problems = self._problems | problems
