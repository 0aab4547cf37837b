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
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from rtre.config import RiskConfig
from rtre.errors import DataError
from rtre.estimators import Estimator
from rtre.figures import ModelFigures, TickCounts
from rtre.fits import FitJob, FitResult
from rtre.kernels import layout
from rtre.kernels.jit import direct
from rtre.kernels.snapshot import count_observations, snapshot, take_peaks
from rtre.lineup import Lineup, line_up
from rtre.market import LinkChange, Quality, TickBatch, Universe
from rtre.models.base import Model
from rtre.report import RiskReport
from rtre.sheet import Sheet
from rtre.windows.inputs import whole
from rtre.windows.lines import Evaluation, Lines

if TYPE_CHECKING:
    from rtre.scorer import Scorer
    from rtre.track import Track

EVERY_TICK_BOOKS = 16  #: up to so many books every tick is evaluated unless told otherwise


def evaluation(config: RiskConfig, n_books: int) -> Evaluation:
    """When the tails that are plain order statistics are worked out."""
    if config.evaluation != "auto":
        return config.evaluation
    return "every-tick" if n_books <= EVERY_TICK_BOOKS else "per-batch"


class RiskEngine:
    """VaR and ES of every symbol and book, current after each batch of ticks.

    Parameters
    ----------
    universe : Universe
        Symbols, in the order in which reports list them.
    books : mapping of book name to mapping of symbol to units held
        Negative units are short. A symbol's own line shows its net position over all books.
    config : RiskConfig, optional
        Models, window, grid, confidences, horizon and the rest.
    model : Model, optional
        Instead of the one that `config` names for all lines.
    inline_fits : bool
        Fit when an interval closes, within `update`: simple, and the numbers depend on the ticks
        alone. False: `fit_jobs` says what is due, and whoever drives the engine runs the jobs where
        they hold nothing up; a line has no number until its first fit is there.

    Notes
    -----
    Cost of `update`: one kernel call a batch. Where every tick is evaluated, a tick costs a few
    operations for each candidate scenario of the books that hold it (`rtre.kernels.candidates`);
    else O(1). When a grid interval closes: O(1) for each asset and holding, and where a line is
    tracked, each of its models makes a forecast, here, between two ticks. Cost of `report`: the
    lines that changed since the last one, once for each model; windows and P&L vectors are shared.
    """

    def __init__(
        self,
        universe: Universe,
        books: Mapping[str, Mapping[str, float]],
        config: RiskConfig | None = None,
        model: Model | None = None,
        *,
        inline_fits: bool = True,
    ) -> None:
        self.config = config = config or RiskConfig()
        self.universe = universe
        if clash := set(universe.symbols) & set(books):
            raise DataError(f"books named like a symbol: {', '.join(sorted(clash))}")
        lineup = line_up(config, tuple(books), model)
        self.model = lineup.models[0]
        ranked = any(each.plain_ranks for each in lineup.models)
        self.lines = Lines(
            universe,
            books,
            window=config.window,
            interval_ns=config.interval,
            lead_ns=config.clock_lead,
            jump=config.jump,
            confirm=config.confirm,
            closed=self.model.cadence == "interval",
            confidences=config.confidence if ranked else (),
            min_obs=config.min_obs,
            evaluation=evaluation(config, len(books)) if ranked else "on-demand",
        )
        self._seat(lineup)
        self.min_obs = self._estimators[0].min_obs
        self._n_closed = np.zeros(len(self.lines), np.int64)
        self._index = {name: i for i, name in enumerate(self.lines.names)}
        self._horizon = config.holding_period
        self._factor = self._horizon.factor
        self._stale_after = int(config.stale_after)
        self._inline = inline_fits
        self._scorer = self._make_scorer(books, lineup)
        self._rolls = self._turn = self._sequence = 0

    def _seat(self, lineup: Lineup) -> None:
        """Set each model to work on the lines it serves."""
        lines, config = self.lines, self.config
        books = (*[None] * lines.n_assets, *lines.books)
        places = range(len(lineup.models))
        serves = np.array([[lineup.serves(m, book) for book in books] for m in places])
        self._estimators = tuple(
            Estimator(
                lineup.labels[m],
                lineup.models[m],
                lines,
                config.confidence,
                min_obs=config.min_obs,
                refit_every=config.refit_every,
                closed=lineup.models[m].cadence == "interval",
                serves=serves[m],
            )
            for m in places
        )
        own = tuple(lineup.of(book) for book in books)
        self._own = own
        self._ranked = np.array([lineup.models[m].plain_ranks for m in own])
        self._all_ranked = bool(self._ranked.all())
        self._beside = tuple(
            tuple(m for m in places if m != own[line] and serves[m, line])
            for line in range(len(books))
        )
        self._serves = serves

    def _make_scorer(
        self, books: Mapping[str, Mapping[str, float]], lineup: Lineup
    ) -> Scorer | None:
        """Score the lines that the configuration asks for, those among them that hold something."""
        lines, track = self.lines, self.config.track
        held = [float(q) != 0.0 for q in lines.net.tolist()] if track == "all" else []
        held += [False] * (lines.n_assets - len(held))
        held += [track != "off" and any(books[name].values()) for name in lines.books]
        tracked = np.flatnonzero(held)
        if not len(tracked):
            return None
        # here, because scipy's statistics behind it would double the time of `import rtre`
        from rtre.scorer import Scorer

        served = self._serves[:, tracked].T
        return Scorer(lines, books, tracked, lineup.labels, served, self.config.confidence)

    def update(self, batch: TickBatch) -> None:
        """Apply ticks in order. What cannot be used is counted, and never becomes a number."""
        start, n = 0, len(batch)
        while start < n:
            start = self.lines.apply(batch, start)
            if start < n:
                self._open_row(int(batch.ts_event_ns[start]) // self.lines.interval_ns)

    def _open_row(self, interval: int) -> None:
        if self._scorer is not None and self.lines.rows:
            self._scorer.close()
        self.lines.open_row(interval)
        self._rolls += 1
        if self._inline:
            for job in self.fit_jobs():
                self.take_fit(job, job.run())
        if self._scorer is not None:
            self._forecast(self._scorer)

    def _forecast(self, scorer: Scorer) -> None:
        """Let every model say its forecasts for the interval that has just opened.

        Nothing of the interval is known yet: its row is empty, so models of either cadence see the
        closed intervals alone.
        """
        lines, tracked = self.lines, scorer.tracked
        n_obs = self._n_closed
        count_observations(lines.floats, lines.ints, True, n_obs)
        observed = n_obs[tracked]
        for m, estimator in enumerate(self._estimators):
            ready = observed >= estimator.min_obs
            if estimator.serves is not None:
                ready &= estimator.serves[tracked]
            which = tracked[ready]
            if len(which):
                estimator.refresh(which)
            # what closes is one interval, and says nothing of a forecast of several
            scorer.stamp(m, ready & (estimator.model.steps_ahead == 1), estimator.values)
        if any(estimator.closed for estimator in self._estimators):
            # these have been asked: until something closes, the next report need not ask again
            lines.dirty[tracked] &= ~layout.CLOSED

    def link_changed(self, change: LinkChange) -> None:
        """Take note that a feed lost or regained its connection.

        Its assets are DISCONNECTED meanwhile; afterwards they show a GAP until a whole interval has
        been seen again, and the return across the hole is masked. DataError: no such asset.
        """
        lines, last = self.lines, self.lines.n_assets - 1
        assets = np.array([whole("asset", asset, 0, last) for asset in change.assets], np.int64)
        if change.up:
            lines.flags[assets] &= ~int(Quality.DISCONNECTED)
            return
        priced = assets[~np.isnan(lines.last[assets])]
        lines.flags[assets] |= int(Quality.DISCONNECTED)
        lines.flags[priced] |= int(Quality.GAP)
        for asset in priced.tolist():
            lines.break_chain(asset)

    @property
    def track(self) -> Track | None:
        """What the forecasts were worth so far; None where nothing is tracked."""
        return self._scorer.summary() if self._scorer is not None else None

    @property
    def fitted(self) -> Mapping[int, Any]:
        """Line to what the first model's `Model.fit` gave for it, of the lines that have a fit."""
        fits = self._estimators[0].fits
        return fits.values if fits is not None else {}

    def fit_jobs(self, limit: int | None = None) -> list[FitJob]:
        """Fits that are due, at most `limit`, of each model the longest overdue first.

        To be run anywhere (`FitJob.run`) and handed back (`take_fit`); until then the line has no
        further job. Where several models fit, they take turns at being first. Cost: a copy of the
        sample of each line that is due.
        """
        fitting = [e for e in self._estimators if e.fits is not None]
        if not fitting:
            return []
        lines = self.lines
        count_observations(lines.floats, lines.ints, True, self._n_closed)
        if limit is not None:
            self._turn += 1
            fitting = [*fitting[self._turn % len(fitting) :], *fitting[: self._turn % len(fitting)]]
        jobs = itertools.chain.from_iterable(
            e.due(np.flatnonzero(self._n_closed >= e.min_obs), self._rolls) for e in fitting
        )
        return list(itertools.islice(jobs, limit))

    def take_fit(self, job: FitJob, result: FitResult) -> None:
        """Use the result of a job from the next report on."""
        for estimator in self._estimators:
            if job.model is estimator.model:
                estimator.take(job, result)

    def report(self, now_ns: int, *, outside: TickCounts | None = None) -> RiskReport:
        """Give the risk as it stands.

        Parameters
        ----------
        now_ns : int
            The present, for ages and staleness.
        outside : TickCounts, optional
            Ticks that ended before they reached the engine, to be shown in the same balance.
        """
        lines, first = self.lines, self._estimators[0]
        self._evaluate()
        self._sequence += 1
        sheets = [self._snapshot(estimator, now_ns) for estimator in self._estimators]
        sheet = self._merged(sheets) if any(self._own) else sheets[0]
        self._take_peaks(lines.floats, lines.ints, sheet.block, self._factor)
        if not self._all_ranked:
            sheet.peaks[~self._ranked] = np.nan
        return RiskReport(
            self._sequence,
            now_ns,
            first.label,
            self.config.confidence,
            self._horizon,
            self.min_obs,
            lines.names,
            self._index,
            lines.n_assets,
            sheet.frozen(),
            first.problems,
            outside,
            first.fitted_ns,
            self._several(sheets),
            self._own,
            self._beside,
            lines.every_tick,
            self.track,
        )

    def _snapshot(self, estimator: Estimator, now_ns: int) -> Sheet:
        """Copy out a model's estimates; each line's observations, quality and time."""
        lines, sheet = self.lines, estimator.sheet.copy()
        factor = self._factor / math.sqrt(estimator.model.steps_ahead)
        self._finish(
            lines.floats, lines.ints, sheet.block, estimator.closed, factor, estimator.min_obs,
            now_ns, self._stale_after,
        )  # fmt: skip
        for line, problem in estimator.problems.items():
            if problem.startswith("WARMING"):  # a first fit is pending
                sheet.qualities[line] |= int(Quality.WARMING)
        return sheet

    @cached_property
    def _finish(self) -> Callable[..., None]:
        """The kernel `snapshot`, for our arenas."""
        lines, sheet = self.lines, self._estimators[0].sheet
        return direct(snapshot, lines.floats, lines.ints, sheet.block, False, 1.0, 0, 0, 0)

    @cached_property
    def _take_peaks(self) -> Callable[..., None]:
        """The kernel, for our arenas."""
        lines, sheet = self.lines, self._estimators[0].sheet
        return direct(take_peaks, lines.floats, lines.ints, sheet.block, 1.0)

    def _several(self, sheets: list[Sheet]) -> tuple[ModelFigures, ...]:
        """Return what each of several models says; nothing where there is one alone."""
        if len(sheets) == 1:
            return ()
        return tuple(
            ModelFigures(e.label, e.min_obs, sheet.frozen(), e.problems, e.fitted_ns)
            for e, sheet in zip(self._estimators, sheets, strict=True)
        )

    def _merged(self, sheets: list[Sheet]) -> Sheet:
        """Put together what each line's own model says."""
        sheet = sheets[0].copy()
        for line, place in enumerate(self._own):
            if place:
                own = sheets[place]
                sheet.values[line] = own.values[line]
                sheet.n_obs[line] = own.n_obs[line]
                sheet.qualities[line] = own.qualities[line]
        return sheet

    def counts(self, outside: TickCounts | None = None) -> TickCounts:
        """What became of every tick so far."""
        return TickCounts.of(self.lines.counts, outside)

    def _evaluate(self) -> None:
        """Bring the estimates of all changed lines up to date, for every model."""
        for estimator in self._estimators:
            if len(which := estimator.survey()):
                estimator.refresh(which)
        self.lines.dirty.fill(0)
