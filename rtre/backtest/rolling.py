"""Roll models over a panel of prices, out of sample, on the windows that live risk runs on.

Each row of the panel is one grid interval and each price one tick. Before any tick of row t is
applied, the windows hold the returns of the rows up to t - 1 in full (the newest interval is the
provisional one, and it has had its last tick), marked at the prices of t - 1: what a live engine
would report at that moment is the forecast for row t. The outcome is what the same positions then
gained or lost from t - 1 to t.

Why not a `rtre.engine.RiskEngine`? `SharedWindows` is the engine's own core: the same `Lines` fed
by the same kernels, the same `Estimator` for each model. It leaves out what a forecast does not
need (clocks, qualities, reports) and forecasts the chosen lines alone. The tests hold the two
against each other, bit for bit.

One thing is said differently. A live engine leaves the open interval out for models of cadence
``interval``, because half an interval is no observation. Here the newest interval is complete when
it is asked about, so every model sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np

from rtre.backtest.prices import Dates, PricePanel
from rtre.errors import DataError
from rtre.estimators import Estimator
from rtre.kernels.tail import ES, VAR
from rtre.market import Float64, Int64, TickBatch, Universe
from rtre.models.base import Model
from rtre.sheet import RESULTS
from rtre.windows.lines import Lines

#: The grid interval that stands for one row: rows count trading days, weekends take no time.
ROW_NS = 86_400_000_000_000
#: No move from row to row is an outlier here: the panel is data of record, not a feed.
JUMP = 1e6
#: Rows between two calls of the progress function.
_STEP = 50

Progress = Callable[[int, int], None]


@attrs.frozen(eq=False)
class LineForecasts:
    """Forecasts of all models for one line (a book or a symbol), and what followed.

    Attributes
    ----------
    name : str
    is_book : bool
    dates : (R,) datetime64[D]
        Of the rows that were to be forecast.
    losses : (R,) float64
        Of the position held at the row before; NaN where a held price is missing.
    gross : (R,) float64
        Gross value of the position at the row before, in currency; NaN where it is not known.
    var, es : (M, R, C) float64
        By model, row and confidence; NaN where the model gave none.
    problems : tuple of dict of str to int
        For each model: reason for having no number, to number of rows.
    """

    name: str
    is_book: bool
    dates: Dates
    losses: Float64
    gross: Float64
    var: Float64
    es: Float64
    problems: tuple[dict[str, int], ...]


class SharedWindows:
    """Several models on one set of windows.

    Parameters
    ----------
    universe : Universe
    books : mapping of book name to mapping of symbol to units held
    models : sequence of Model
    confidences : tuple of float
    window, min_obs : int
        As in `rtre.config.RiskConfig`.
    refit_every : int
        Rows between two fits, for models that have something to fit.
    """

    def __init__(
        self,
        universe: Universe,
        books: Mapping[str, Mapping[str, float]],
        models: Sequence[Model],
        confidences: tuple[float, ...],
        *,
        window: int,
        min_obs: int,
        refit_every: int,
    ) -> None:
        self.lines = Lines(
            universe,
            books,
            window=window,
            interval_ns=ROW_NS,
            jump=JUMP,
            confirm=1,
            confidences=confidences,
        )
        self.values = np.full((len(models), len(self.lines), len(confidences), RESULTS), np.nan)
        self._estimators = [
            Estimator(
                str(m),
                model,
                self.lines,
                confidences,
                min_obs=min_obs,
                refit_every=refit_every,
                closed=False,
                values=self.values[m],
            )
            for m, model in enumerate(models)
        ]
        self._rolls = 0

    def open_row(self, interval: int, chosen: Int64) -> None:
        """Open the row of a grid interval, and make the fits of the chosen lines that are due."""
        lines = self.lines
        lines.open_row(interval)
        self._rolls += 1
        for estimator in self._estimators:
            if estimator.fits is None:
                continue
            least = min(estimator.min_obs, lines.window - 1)  # the row that opens is empty
            ready = chosen[lines.observations()[chosen] >= least]
            for job in estimator.due(ready, self._rolls):
                estimator.take(job, job.run())

    def evaluate(self, chosen: Int64) -> list[dict[int, str]]:
        """Bring `values` of the chosen lines (ascending) up to date, for every model.

        Returns
        -------
        list of dict
            For each model: line to the reason for having no number.
        """
        lines = self.lines
        n_obs = lines.observations()
        priced = np.ones(len(lines), np.bool_)
        priced[: lines.n_assets] = ~np.isnan(lines.last)
        self.values[:] = np.nan
        problems = []
        for estimator in self._estimators:
            ready = (n_obs >= estimator.min_obs) & priced
            reason = f"fewer than {estimator.min_obs} observations"
            found = dict.fromkeys(chosen[~ready[chosen]].tolist(), reason)
            problems.append(found | estimator.answer(chosen[ready[chosen]]))
        return problems


def panel_ticks(panel: PricePanel) -> tuple[TickBatch, Int64]:
    """Return the panel as ticks, row by row, and for each row the index of its first tick.

    The bounds have shape (T + 1,). Row t lies in grid interval t + 1 of `ROW_NS`.
    """
    row, asset = np.nonzero(~np.isnan(panel.prices))
    times = (row.astype(np.int64) + 1) * ROW_NS
    batch = TickBatch.of(asset, panel.prices[row, asset], times)
    bounds = np.searchsorted(row, np.arange(len(panel) + 1))
    return batch, bounds.astype(np.int64)


def held_pnl(prices: Float64, units: Float64) -> tuple[Float64, Float64]:
    """P&L of a fixed position from each row to the next, and its gross value before; (T - 1,) each.

    Summed in the order of the columns; NaN where a held price is missing on either side.
    """
    pnl = np.zeros(len(prices) - 1)
    gross = np.zeros(len(prices) - 1)
    for i in np.flatnonzero(units).tolist():
        pnl += units[i] * (prices[1:, i] - prices[:-1, i])
        gross += np.abs(units[i] * prices[:-1, i])
    return pnl, gross


def roll_panel(
    panel: PricePanel,
    books: Mapping[str, Mapping[str, float]],
    models: Sequence[Model],
    confidences: tuple[float, ...],
    *,
    window: int,
    min_obs: int,
    refit_every: int = 20,
    per_symbol: bool = False,
    progress: Progress | None = None,
) -> list[LineForecasts]:
    """Forecast every row that has `window` returns before it; see the top of this file.

    Parameters
    ----------
    panel : PricePanel
        At least ``window + 2`` rows.
    books : mapping of book name to mapping of symbol to units held
        The same units from the first row to the last.
    models : sequence of Model
    confidences : tuple of float
    window : int
        Returns a forecast is made from.
    min_obs : int
        Of them, how many must be there: cells may be empty.
    refit_every : int
        Rows between two fits, for models that have something to fit.
    per_symbol : bool
        Whether to forecast the net position in each symbol too, not only the books.
    progress : callable, optional
        Called now and then with the rows done and all rows.

    Returns
    -------
    list of LineForecasts
        Books first, in their order, then the symbols whose net position is not zero.
    """
    if len(panel) < window + 2:
        raise DataError(
            f"{panel.source or 'the panel'}: {len(panel)} rows are too few for a window of "
            f"{window} returns; at least {window + 2} rows are needed"
        )
    for model in models:
        if model.steps_ahead != 1:
            raise DataError(
                f"{model.name} looks {model.steps_ahead} observations ahead, and a backtest sets "
                f"each forecast against the next one: leave it at 1"
            )
    clash = set(panel.symbols) & set(books)
    if clash:
        raise DataError(f"books named like a symbol: {', '.join(sorted(clash))}")
    shared = SharedWindows(
        Universe(panel.symbols), books, models, confidences,
        window=window, min_obs=min_obs, refit_every=refit_every,
    )  # fmt: skip
    lines = shared.lines
    symbols = np.flatnonzero(lines.net) if per_symbol else np.empty(0, np.int64)
    chosen = np.concatenate([symbols, np.arange(lines.n_assets, len(lines))]).astype(np.int64)
    record = _Record(len(models), chosen, len(panel) - window - 1, len(confidences))
    _roll(panel, shared, chosen, window + 1, record, progress)
    units = [np.array([book.get(s, 0.0) for s in panel.symbols]) for book in books.values()]
    units = [*np.diag(lines.net), *units]
    books_first = [*chosen[len(symbols) :].tolist(), *symbols.tolist()]
    return [record.of(line, lines, units[line], panel) for line in books_first]


def _roll(
    panel: PricePanel,
    shared: SharedWindows,
    chosen: Int64,
    first: int,
    record: _Record,
    progress: Progress | None,
) -> None:
    """Feed the panel row by row; from row `first` on, ask for the forecast before each row."""
    batch, bounds = panel_ticks(panel)
    starts = bounds.tolist()
    n_rows = len(panel)
    for t in range(n_rows):
        if t >= first:
            record.note(t - first, shared.evaluate(chosen), shared.values)
        if starts[t] < starts[t + 1]:  # a row without a price opens no interval
            shared.open_row(t + 1, chosen)
            shared.lines.apply(batch, starts[t])  # ends by itself where the next row begins
        if progress is not None and ((t + 1) % _STEP == 0 or t + 1 == n_rows):
            progress(t + 1, n_rows)


class _Record:
    """The forecasts as they are made: by model, line, row and confidence."""

    def __init__(self, n_models: int, chosen: Int64, n_rows: int, n_levels: int) -> None:
        self._chosen = chosen
        self._place = {line: j for j, line in enumerate(chosen.tolist())}
        shape = (n_models, len(chosen), n_rows, n_levels)
        self._var, self._es = np.full(shape, np.nan), np.full(shape, np.nan)
        self._problems: list[list[dict[str, int]]] = [
            [{} for _ in range(n_models)] for _ in self._place
        ]

    def note(self, row: int, problems: list[dict[int, str]], values: Float64) -> None:
        """Keep the forecasts for one row."""
        self._var[:, :, row] = values[..., VAR][:, self._chosen]
        self._es[:, :, row] = values[..., ES][:, self._chosen]
        for m, found in enumerate(problems):
            for line, reason in found.items():
                count = self._problems[self._place[line]][m]
                count[reason] = count.get(reason, 0) + 1

    def of(self, line: int, lines: Lines, units: Float64, panel: PricePanel) -> LineForecasts:
        """Return what was forecast for one line, with what followed."""
        j, first = self._place[line], len(panel) - self._var.shape[2]
        pnl, gross = held_pnl(panel.prices, units)
        return LineForecasts(
            lines.names[line],
            line >= lines.n_assets,
            panel.dates[first:],
            0.0 - pnl[first - 1 :],
            gross[first - 1 :],
            self._var[:, j],
            self._es[:, j],
            tuple(self._problems[j]),
        )
