"""`run_backtest`: from a panel of prices to a verdict on every model.

>>> from rtre.backtest.prices import read_prices
>>> result = run_backtest(read_prices("prices.csv"), models=("historical",))  # doctest: +SKIP
>>> result.books[0].verdicts[0].x, result.books[0].verdicts[0].expected  # doctest: +SKIP
(103, 78.12)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import attrs
import numpy as np

from rtre.backtest.judge import Tournament, Verdict, hold_tournament, judge
from rtre.backtest.prices import PricePanel
from rtre.backtest.rolling import LineForecasts, roll_panel
from rtre.checks import whole
from rtre.config import RiskConfig
from rtre.errors import DataError
from rtre.lineup import build_model
from rtre.models.base import Model

#: Value that weights are turned into units with; nothing but the currency columns depends on it.
CAPITAL = 1_000_000.0
#: Name of the book where none is given.
BOOK = "portfolio"

#: Called with the phase (``forecasts``, then ``tests``), what is done of it, and all of it.
Progress = Callable[[str, int, int], None]


@attrs.frozen
class Settings:
    """How a backtest was run.

    Attributes
    ----------
    models : tuple of str
        Labels, in the order of all results.
    confidences : tuple of float
    window, min_obs : int
        Returns a forecast is made from, and how many of them must be there.
    refit_every : int
        Rows between two fits of a model that has something to fit.
    seed : int
        Of the simulated p-values.
    """

    models: tuple[str, ...]
    confidences: tuple[float, ...]
    window: int
    min_obs: int
    refit_every: int = attrs.field(validator=whole(1))
    seed: int = attrs.field(validator=whole(0))


@attrs.frozen(eq=False)
class LineResult:
    """One book or symbol: its forecasts, the verdicts on them, and the models' ranking.

    Attributes
    ----------
    forecasts : LineForecasts
    verdicts : tuple of Verdict
        By confidence, then by model.
    tournaments : tuple of Tournament
        By confidence.
    """

    forecasts: LineForecasts
    verdicts: tuple[Verdict, ...]
    tournaments: tuple[Tournament, ...]

    @property
    def name(self) -> str:
        """Name of the book or symbol."""
        return self.forecasts.name

    def at(self, confidence: float) -> tuple[Verdict, ...]:
        """Verdicts on all models at one confidence."""
        return tuple(v for v in self.verdicts if v.confidence == confidence)


@attrs.frozen(eq=False)
class Backtest:
    """A finished backtest.

    Attributes
    ----------
    panel : PricePanel
        The columns that were held.
    holdings : dict of str to dict of str to float
        Units by book.
    described : str
        The holdings in words, such as "one share of each symbol".
    settings : Settings
    lines : tuple of LineResult
        Books first.
    """

    panel: PricePanel
    holdings: dict[str, dict[str, float]]
    described: str
    settings: Settings
    lines: tuple[LineResult, ...]

    @property
    def books(self) -> tuple[LineResult, ...]:
        """Results of the books."""
        return tuple(line for line in self.lines if line.forecasts.is_book)


def units_of_weights(
    panel: PricePanel, weights: Mapping[str, float], window: int
) -> dict[str, float]:
    """Turn weights into units: what `CAPITAL` buys the row before the first forecast.

    The book then keeps its units. Where that row has no price the last one before it counts.

    Raises
    ------
    DataError
        A symbol is no column, or has no price by then.
    """
    held = panel.select(tuple(weights))
    units = {}
    for i, symbol in enumerate(held.symbols):
        known = held.prices[: window + 1, i]
        known = known[~np.isnan(known)]
        if not len(known):
            raise DataError(
                f"{symbol} has no price in the first {window + 1} rows, so its weight buys nothing"
            )
        units[symbol] = weights[symbol] * CAPITAL / float(known[-1])
    return units


def run_backtest(
    panel: PricePanel,
    books: Mapping[str, Mapping[str, float]] | None = None,
    models: Sequence[str] | Mapping[str, Model] = ("historical",),
    confidences: Sequence[float] = (0.99,),
    *,
    window: int = 500,
    min_obs: int | None = None,
    refit_every: int = 20,
    per_symbol: bool = False,
    seed: int = 0,
    described: str = "",
    progress: Progress | None = None,
) -> Backtest:
    """Forecast every row of a panel from the rows before it, and test the forecasts.

    The same panel and settings give the same bits; see `rtre.backtest.rolling`.

    Parameters
    ----------
    panel : PricePanel
        At least ``window + 2`` rows. Columns that no book holds are left aside.
    books : mapping of book name to mapping of symbol to units held, optional
        None: one book, `BOOK`, with one share of each symbol. The units stay the same throughout.
    models : sequence of str, or mapping of label to Model
        Names as of ``--model``, with default parameters; or models of your making.
    confidences : sequence of float
    window : int
        Returns a forecast is made from.
    min_obs : int, optional
        How many of them must be there where cells are empty; None takes half the window.
    refit_every : int
        Rows between two fits, for models that have something to fit.
    per_symbol : bool
        Whether to test the net position in each symbol too.
    seed : int
        Of the simulated p-values.
    described : str
        The holdings in words, for reports.
    progress : callable, optional

    Raises
    ------
    UnknownNameError
        There is no such model.
    DataError
        A setting is out of range, the panel too short, or a symbol not in it.
    """
    risk = _checked(confidences, window, min_obs)
    models = _made(models)
    settings = Settings(tuple(models), risk.confidence, window, risk.min_obs, refit_every, seed)
    if books is None:
        books = {BOOK: dict.fromkeys(panel.symbols, 1.0)}
        described = described or "one share of each symbol"
    holdings = {name: dict(held) for name, held in books.items()}
    panel = panel.select(sorted({s for held in holdings.values() for s in held}))
    tell: Progress = progress or (lambda phase, done, of: None)
    forecasts = roll_panel(
        panel, holdings, tuple(models.values()), risk.confidence,
        window=window, min_obs=risk.min_obs, refit_every=refit_every, per_symbol=per_symbol,
        progress=partial(tell, "forecasts"),
    )  # fmt: skip
    lines = tuple(_judged(forecasts, settings, tell))
    return Backtest(panel, holdings, described or _in_words(holdings), settings, lines)


def _made(models: Sequence[str] | Mapping[str, Model]) -> Mapping[str, Model]:
    if not models:
        raise DataError("a backtest needs at least one model")
    if isinstance(models, Mapping):
        return models
    return {name: build_model(name) for name in models}


def _checked(confidences: Sequence[float], window: int, min_obs: int | None) -> RiskConfig:
    least = max(2, window // 2) if min_obs is None else min_obs
    risk = RiskConfig(confidence=tuple(confidences), window=window, min_obs=least)
    if risk.min_obs > window:
        raise DataError(f"min_obs must be at most the window, {window}; got {min_obs}")
    return risk


def _judged(
    forecasts: Sequence[LineForecasts], settings: Settings, tell: Progress
) -> Iterator[LineResult]:
    for i, line in enumerate(forecasts):
        tell("tests", i, len(forecasts))
        yield _judge_line(line, settings)
    tell("tests", len(forecasts), len(forecasts))


def _judge_line(forecasts: LineForecasts, settings: Settings) -> LineResult:
    levels = list(enumerate(settings.confidences))
    return LineResult(
        forecasts,
        tuple(
            judge(forecasts, m, c, model, confidence, seed=settings.seed)
            for c, confidence in levels
            for m, model in enumerate(settings.models)
        ),
        tuple(
            hold_tournament(forecasts, c, settings.models, confidence) for c, confidence in levels
        ),
    )


def _in_words(holdings: Mapping[str, Mapping[str, float]]) -> str:
    def one(held: Mapping[str, float]) -> str:
        text = ", ".join(f"{units:.6g} {symbol}" for symbol, units in list(held.items())[:6])
        return text + (f" and {len(held) - 6} more" if len(held) > 6 else "")

    if len(holdings) == 1:
        return one(next(iter(holdings.values())))
    return "; ".join(f"{name}: {one(held)}" for name, held in holdings.items())
