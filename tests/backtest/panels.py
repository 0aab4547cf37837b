"""Small seeded panels of prices for the tests of whole backtests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtre.backtest.prices import PricePanel


def make_panel(rows: int = 160, symbols: int = 3, holes: int = 0, seed: int = 5) -> PricePanel:
    """Random walks with heavy tails and clustered volatility; `holes` cells are empty."""
    rng = np.random.default_rng(seed)
    scale = 0.01 * (1.0 + 0.6 * np.sin(np.arange(rows) / 17.0))[:, None]
    market = rng.standard_t(5, (rows, 1))
    returns = scale * (0.6 * market + 0.8 * rng.standard_t(5, (rows, symbols)))
    prices = 100.0 * np.exp(np.cumsum(returns, axis=0))
    for cell in rng.choice(rows * symbols, holes, replace=False):
        prices.flat[cell] = np.nan
    dates = np.busday_offset("2020-01-01", np.arange(rows), roll="forward")
    return PricePanel(tuple(f"S{i}" for i in range(symbols)), dates, prices, "made up")


def as_csv(panel: PricePanel) -> str:
    lines = ["date," + ",".join(panel.symbols)]
    for date, row in zip(panel.dates, panel.prices, strict=True):
        cells = ["" if np.isnan(p) else repr(float(p)) for p in row]
        lines.append(f"{date}," + ",".join(cells))
    return "\n".join(lines) + "\n"


def write_csv(folder: Path, panel: PricePanel) -> str:
    path = folder / "prices.csv"
    path.write_text(as_csv(panel))
    return str(path)
