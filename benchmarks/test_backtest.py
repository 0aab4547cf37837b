"""How long a rolling backtest takes, against straightforward pandas code for the same numbers.

``pytest benchmarks/test_backtest.py -s`` prints the tables. 20 stocks over 8,313 days, window 500,
three models at 99 % and 97.5 %: the forecasts alone, without the tests on them. The numbers of both
are compared first: they agree to 1e-9 of their size (EWMA by recursion against a weighted sum, and
sums in another order; the rest to 1e-11).

The pandas code slides a window over the frame of returns, as one would write it, with whole-column
operations and no Python loop over observations. It is run on every `SAMPLE`-th row and its time
scaled up, because all rows would take minutes; its cost does not depend on the row. Both take turns
and show their best round, so that a busy machine slows them alike.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rtre import names
from rtre.backtest.prices import PricePanel, read_prices
from rtre.backtest.rolling import LineForecasts, roll_panel

from tables import headline, table

REAL = Path(__file__).resolve().parents[2] / "shared/data/prices/sp500_20stocks_1990_2022.csv.gz"
ROWS, STOCKS, WINDOW = 8313, 20, 500
LEVELS = (0.99, 0.975)
Z = {0.99: (2.3263478740408408, 2.6652142203457687), 0.975: (1.959963984540054, 2.337802792201413)}
MODELS = ("historical", "ewma", "volatility-weighted")
DECAY = 0.94
SAMPLE = 40
ROUNDS = 3

Numbers = dict[tuple[str, float], tuple[pd.DataFrame, pd.DataFrame]]


def load() -> PricePanel:
    """The real panel where it is at hand, else a seeded one of the same size."""
    if REAL.exists():
        return read_prices(REAL)
    rng = np.random.default_rng(3)
    steps = 0.01 * (0.5 * rng.standard_t(4, (ROWS, 1)) + 0.8 * rng.standard_t(4, (ROWS, STOCKS)))
    days = np.busday_offset("1990-01-02", np.arange(ROWS), roll="forward")
    symbols = tuple(f"S{i:02d}" for i in range(STOCKS))
    return PricePanel(symbols, days, 50.0 * np.exp(np.cumsum(steps, axis=0)), "synthetic")


def tails(pnl: pd.DataFrame, level: float) -> tuple[pd.Series, pd.Series]:
    """VaR and ES of each column as order statistics of its losses."""
    m = round(len(pnl) * (1.0 - level), 9)
    k = math.ceil(m)
    losses = pd.DataFrame(np.sort(-pnl.to_numpy(), axis=0)[::-1][:k], columns=pnl.columns)
    var = losses.iloc[k - 1]
    return var, (losses.iloc[: k - 1].sum() + (m - k + 1) * var) / m


def forecast(pnl: pd.DataFrame) -> dict[tuple[str, float], tuple[pd.Series, pd.Series]]:
    """All models on one window of P&L, a column a line."""
    squares = pnl**2
    sd = np.sqrt(squares.ewm(alpha=1.0 - DECAY).mean().iloc[-1])
    seeded = pd.concat([pnl.var().to_frame().T, squares])
    path = seeded.ewm(alpha=1.0 - DECAY, adjust=False).mean().to_numpy()
    scaled = pnl * np.sqrt(path[-1] / path[:-1])
    found = {}
    for level in LEVELS:
        found["historical", level] = tails(pnl, level)
        found["ewma", level] = (sd * Z[level][0], sd * Z[level][1])
        found["volatility-weighted", level] = tails(scaled, level)
    return found


def with_pandas(prices: pd.DataFrame, rows: list[int], *, per_symbol: bool) -> list[pd.DataFrame]:
    """Forecast some rows; a frame each, lines by (model, level, what)."""
    returns = prices.pct_change()
    out = []
    for t in rows:
        pnl = returns.iloc[t - WINDOW : t] * prices.iloc[t - 1]  # one share of each
        book = pnl.sum(axis=1).to_frame("portfolio")
        lines = pd.concat([book, pnl], axis=1) if per_symbol else book
        numbers = forecast(lines)
        out.append(
            pd.DataFrame(
                {(*k, w): v for k, p in numbers.items() for w, v in zip("ve", p, strict=True)}
            )
        )
    return out


def with_rtre(panel: PricePanel, *, per_symbol: bool) -> list[LineForecasts]:
    """Forecast all rows."""
    models = [names.find("models", name)() for name in MODELS]
    book = {"portfolio": dict.fromkeys(panel.symbols, 1.0)}
    return roll_panel(
        panel, book, models, LEVELS, window=WINDOW, min_obs=WINDOW, per_symbol=per_symbol
    )


def compare(ours: list[LineForecasts], theirs: list[pd.DataFrame], rows: list[int]) -> int:
    """Assert that the numbers are the same; returns how many were compared."""
    count = 0
    for t, frame in zip(rows, theirs, strict=True):
        for line in ours:
            for m, model in enumerate(MODELS):
                tolerance = 1e-9 if model == "ewma" else 1e-11
                for c, level in enumerate(LEVELS):
                    for what, values in (("v", line.var), ("e", line.es)):
                        expected = float(frame.loc[line.name, (model, level, what)])
                        got = values[m, t - WINDOW - 1, c]
                        assert got == pytest.approx(expected, rel=tolerance), (t, line.name, model)
                        count += 1
    return count


def seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def test_rolling_backtest_against_pandas() -> None:
    """The same numbers, and the ratio of the times."""
    panel = load()
    prices = pd.DataFrame(panel.prices, columns=list(panel.symbols))
    n = len(panel) - WINDOW - 1
    rows = list(range(WINDOW + 1, len(panel), SAMPLE))
    lines = []
    for per_symbol in (False, True):
        what = "the book and 20 stocks" if per_symbol else "the book"
        ours = with_rtre(panel, per_symbol=per_symbol)  # also warms the kernels
        count = compare(ours, with_pandas(prices, rows, per_symbol=per_symbol), rows)
        mine, theirs = math.inf, math.inf
        for _ in range(ROUNDS):
            mine = min(mine, seconds(lambda: with_rtre(panel, per_symbol=per_symbol)))  # noqa: B023
            spent = seconds(lambda: with_pandas(prices, rows, per_symbol=per_symbol))  # noqa: B023
            theirs = min(theirs, spent * n / len(rows))
        lines.append((what, mine, theirs, theirs / mine, f"{count:,}"))
        headline(
            f"rolling backtest of {what}, {n:,} days, 3 models",
            f"{mine:.2f} s", "pandas", f"{theirs:.2f} s", theirs / mine, 20.0,
        )  # fmt: skip
    print(
        table(
            f"{n:,} forecasts, {', '.join(MODELS)} at {LEVELS}; {panel.source}",
            ("forecast", "rtre s", "pandas s", "ratio", "numbers compared"),
            lines,
        )
    )
    assert lines[0][3] > 1.0
