"""Filtered historical simulation: the split, the single step, and the simulated paths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.errors import DataError
from rtre.market import TickBatch, Universe
from rtre.models.filtered import (
    Filtered,
    FilteredHistorical,
    filter_ewma,
    filter_garch,
    filtered_paths,
)
from rtre.models.garch import GarchFit, fit_garch, horizon_variance
from rtre.models.historical import Historical
from rtre.models.volatility_weighted import VolatilityWeighted


def clustered(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pnl, variance = np.empty(n), 1.0
    for t in range(n):
        pnl[t] = math.sqrt(variance) * rng.standard_t(5.0) * math.sqrt(3.0 / 5.0)
        variance = 0.05 + 0.12 * pnl[t] ** 2 + 0.83 * variance
    return pnl


def test_residuals_have_lost_the_clusters() -> None:
    pnl = clustered(4000, 1)

    def memory(values: np.ndarray) -> float:
        squares = values**2
        return float(np.corrcoef(squares[1:], squares[:-1])[0, 1])

    for split in (filter_ewma(pnl, 0.94), filter_garch(pnl, fit_garch(pnl))):
        assert memory(pnl) > 0.1  # six standard errors, 1/sqrt(4000) each
        assert abs(memory(split.residuals)) < 0.06
        assert np.std(split.residuals) == pytest.approx(1.0, abs=0.08)


def test_residuals_and_volatility_give_back_the_sample() -> None:
    pnl = clustered(500, 2)
    fit = fit_garch(pnl)
    split = filter_garch(pnl, fit)
    shocks = pnl - fit.mu
    variance = fit.omega + fit.persistence * np.mean(shocks**2)
    for t, z in enumerate(split.residuals):
        assert fit.mu + math.sqrt(variance) * z == pytest.approx(pnl[t], rel=1e-9, abs=1e-12)
        variance = fit.omega + fit.alpha * shocks[t] ** 2 + fit.beta * variance
    assert split.following == pytest.approx(variance, rel=1e-9)


def test_one_step_of_an_ewma_filter_is_volatility_weighting() -> None:
    pnl = clustered(600, 3)
    got = FilteredHistorical().estimate(pnl, [0.95, 0.99])
    want = VolatilityWeighted().estimate(pnl, [0.95, 0.99])
    for g, w in zip(got, want, strict=True):
        assert (g.var, g.es) == pytest.approx((w.var, w.es), rel=1e-12)


def test_one_simulated_step_is_the_exact_step() -> None:
    pnl = clustered(600, 4)
    model = FilteredHistorical(filter="garch")
    split = model.split(pnl)
    drawn = filtered_paths(split, 1, 400_000, np.random.default_rng(0))
    exact = model.estimate(pnl, [0.95])[0]
    simulated = Historical().estimate(drawn, [0.95])[0]
    assert simulated.es == pytest.approx(exact.es, rel=0.01)  # 400 000 draws: 0.3 % of error


def test_paths_have_the_variance_of_the_recursion() -> None:
    law = GarchFit(0.1, 0.05, 0.1, 0.0, 0.8)
    residuals = np.random.default_rng(5).normal(size=4000)
    residuals = (residuals - residuals.mean()) / residuals.std()
    split = Filtered(residuals, 2.0, law)
    drawn = filtered_paths(split, 10, 200_000, np.random.default_rng(6))
    assert drawn.mean() == pytest.approx(1.0, abs=0.04)
    assert drawn.var() == pytest.approx(horizon_variance(law, 2.0, 10), rel=0.02)


def test_volatility_that_reacts_makes_long_horizons_heavy() -> None:
    residuals = np.random.default_rng(7).normal(size=4000)
    reacting = GarchFit(0.0, 0.1, 0.3, 0.0, 0.6)
    steady = GarchFit(0.0, 1.0, 0.0, 0.0, 0.0)

    def kurtosis(law: GarchFit) -> float:
        drawn = filtered_paths(Filtered(residuals, 1.0, law), 10, 100_000, np.random.default_rng(8))
        return float(np.mean((drawn / drawn.std()) ** 4))

    assert kurtosis(reacting) > kurtosis(steady) + 0.5


def test_a_seed_gives_the_same_paths_and_another_seed_others() -> None:
    pnl = clustered(400, 9)
    first, again, other = (
        FilteredHistorical(steps=5, paths=2000, seed=seed).estimate(pnl, [0.99])[0]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.var != other.var


def test_ten_steps_are_near_root_ten_in_calm_times() -> None:
    pnl = np.random.default_rng(10).normal(size=2000)
    one, ten = (FilteredHistorical(decay=0.99, steps=s).estimate(pnl, [0.95])[0] for s in (1, 10))
    assert ten.var / one.var == pytest.approx(math.sqrt(10.0), rel=0.1)
    assert ten.var_low < ten.var < ten.var_high


def test_the_promised_share_of_losses_is_beyond_var_when_volatility_clusters() -> None:
    hits = []
    for seed in range(8):
        pnl = clustered(1100, 100 + seed)
        model = FilteredHistorical(filter="garch")
        fitted = model.fit(pnl[:1000])
        for t in range(1000, 1100):
            hits.append(-pnl[t] > model.estimate(pnl[t - 500 : t], [0.95], fitted)[0].var)
    assert np.mean(hits) == pytest.approx(0.05, abs=0.025)  # three binomial errors of 800 days


@pytest.mark.parametrize(
    "wrong", [{"filter": "kalman"}, {"steps": 0}, {"paths": 10}, {"seed": -1}, {"decay": 1.0}]
)
def test_a_wrong_parameter_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match="FilteredHistorical"):
        FilteredHistorical(**wrong)  # type: ignore[arg-type]


def test_only_a_garch_filter_waits_for_a_fit() -> None:
    prices = 100.0 * np.exp(np.cumsum(1e-3 * clustered(150, 11)))
    for model, waits in (
        (FilteredHistorical(), False),
        (FilteredHistorical(steps=3, paths=100), False),
        (FilteredHistorical(filter="garch"), True),
    ):
        assert model.fits == waits
        config = RiskConfig(window=140)
        engine = RiskEngine(
            Universe(("A",)), {"book": {"A": 1.0}}, config, model, inline_fits=False
        )
        second = engine.lines.interval_ns
        engine.update(TickBatch.of(0, prices, second * np.arange(1, 151)))
        line = engine.report(151 * second)["book"]
        assert bool(engine.fit_jobs()) == waits
        assert bool(line.estimates) != waits
        assert line.model_age_ns is None
