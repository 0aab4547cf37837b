"""Small engines and markets for the tests of the engine and of its reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.market import TickBatch, Universe
from rtre.units import Duration

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

BOOKS: dict[str, dict[str, float]] = {"hedged": {"A": 10.0, "B": -5.0}, "short": {"B": -2.0}}


def make_engine(
    model: str = "historical",
    *,
    symbols: tuple[str, ...] = ("A", "B", "C"),
    books: Mapping[str, Mapping[str, float]] = BOOKS,
    parameters: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    **risk: Any,
) -> RiskEngine:
    """An engine with a short window; `risk` and `options` override its settings."""
    settings: dict[str, Any] = {"window": 40, "min_obs": 10, "horizon": "1s"} | risk
    options = dict(options or {})
    if "refit_every" in options:
        settings["refit_every"] = options.pop("refit_every")
    config = RiskConfig(model=model, parameters=parameters or {}, **settings)
    return RiskEngine(Universe(symbols), books, config, **options)


def walk(
    intervals: int,
    *,
    assets: int = 3,
    per_interval: int = 2,
    seed: int = 0,
    first: int = 0,
    scale: float = 1e-3,
) -> TickBatch:
    """Ticks of a random walk; each asset trades `per_interval` times in each interval."""
    rng = np.random.default_rng(seed)
    steps = intervals * per_interval
    price = 100.0 * np.exp(np.cumsum(scale * rng.standard_t(4.0, (steps, assets)), axis=0))
    gap = SECOND // per_interval
    times = START + first * SECOND + np.arange(steps) * gap
    return TickBatch.of(np.tile(np.arange(assets), steps), price.ravel(), np.repeat(times, assets))


def pause(seconds: float) -> Duration:
    """A duration in seconds."""
    return Duration(int(seconds * SECOND))
