"""The battery as a whole: what it leaves out, and that it tells a right model from a wrong one."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest

from rtre.backtest.battery import run_battery
from rtre.backtest.judge import judge
from rtre.backtest.prices import PricePanel
from rtre.backtest.result import BacktestResult
from rtre.backtest.rolling import LineForecasts
from rtre.backtest.run import run_backtest
from rtre.backtest.shortfall import exceedance_residuals

COVERAGE = {
    "binomial",
    "kupiec-pof",
    "tuff",
    "christoffersen-independence",
    "conditional-coverage",
    "tbf",
    "duration",
}
OF_ES = {"exceedance-residuals", "acerbi-szekely-z1", "acerbi-szekely-z2"}


def names(losses: object, var: object, es: object) -> set[str]:
    found = run_battery(losses, var, es, 0.95, rng=np.random.default_rng(6))  # type: ignore[arg-type]
    return {result.test for result in found}


def test_the_battery_leaves_out_what_the_forecasts_do_not_allow() -> None:
    losses, var = np.array([0.0, 3.0, 0.0]), np.ones(3)
    assert names(losses, var, None) == COVERAGE
    assert names(losses, var, np.full(3, math.inf)) == COVERAGE
    assert names(losses, var, np.full(3, 2.0)) == COVERAGE | OF_ES
    many = np.arange(9.0)
    assert names(many, np.full(9, 7.5), None) == COVERAGE | {"dynamic-quantile"}


def test_an_infinite_loss_is_an_exceedance_and_leaves_out_what_needs_its_size() -> None:
    losses = np.zeros(50)
    losses[20] = math.inf
    results = run_battery(losses, np.ones(50), np.full(50, 2.0), 0.95, rng=np.random.default_rng(1))
    assert {r.test for r in results} == COVERAGE
    assert results[0].inputs["x"] == 1


@pytest.mark.parametrize("beaten", [0, 1, 2, 39, 40])
@pytest.mark.parametrize("first", [True, False])
def test_no_number_of_exceedances_breaks_any_test(beaten: int, first: bool) -> None:
    losses = np.zeros(40)
    losses[:beaten] = 5.0
    if not first:
        losses = losses[::-1]
    for confidence in (0.9, 0.99, 0.9999):
        results = run_battery(
            losses, np.ones(40), np.full(40, 2.0), confidence, rng=np.random.default_rng(7)
        )
        assert {r.test for r in results} == COVERAGE | OF_ES | {"dynamic-quantile"}
        for result in results:
            assert not math.isnan(result.statistic)
            assert 0.0 <= result.p_value <= 1.0


@pytest.mark.parametrize("es", [0.0, -1.0])
@pytest.mark.filterwarnings("error")
def test_an_es_that_cannot_be_divided_by_still_has_every_test(es: float) -> None:
    losses = np.zeros(40)
    losses[[20, 25, 30]] = 1.0, 2.0, 4.0
    rng = np.random.default_rng(7)
    found = run_battery(losses, np.full(40, es), np.full(40, es), 0.9, rng=rng, draws=500)
    results = {r.test: r for r in found}
    assert set(results) == COVERAGE | OF_ES | {"dynamic-quantile"}
    for name in ("acerbi-szekely-z1", "acerbi-szekely-z2"):
        assert (results[name].statistic, results[name].p_value) == (-math.inf, 1 / 501)
        assert "ES is not positive" in results[name].note
        assert results[name].direction == "too low"
    residuals = results["exceedance-residuals"]
    raw = exceedance_residuals(losses, np.full(40, es), np.full(40, es))
    assert residuals.statistic == raw.statistic > 0.0
    assert "not standardised: ES is not positive" in residuals.note


def test_a_backtest_of_constant_prices_and_one_loss_keeps_the_tests_of_es() -> None:
    losses = np.zeros((60,))
    losses[50] = 1.0
    dates = np.datetime64("2020-01-01") + np.arange(60)
    zeros = np.zeros((1, 60, 1))
    forecasts = LineForecasts("b", True, dates, losses, zeros[0, :, 0], zeros, zeros, ({},))
    verdict = judge(forecasts, 0, 0, "historical", 0.9)
    assert {t.test for t in verdict.tests} >= OF_ES
    assert verdict.es_bet is not None
    below = attrs.evolve(forecasts, es=zeros - 1.0)
    verdict = judge(below, 0, 0, "historical", 0.9)
    assert verdict.es_bet is None
    assert "ES is below VaR in 60 of 60 periods" in verdict.notes


def test_residuals_are_over_the_es_of_their_period_unless_raw_ones_are_asked_for() -> None:
    rng = np.random.default_rng(3)
    sd = np.exp(rng.normal(0.0, 1.0, 800))
    losses, var, es = sd * rng.normal(size=800), 1.6 * sd, 2.0 * sd
    found = {
        kind: run_battery(losses, var, es, 0.95, rng=np.random.default_rng(1), residuals=kind)  # type: ignore[arg-type]
        for kind in ("standardised", "raw")
    }
    of = {kind: {r.test: r for r in results} for kind, results in found.items()}
    standard = of["standardised"].pop("exceedance-residuals")
    raw = of["raw"].pop("exceedance-residuals")
    assert of["standardised"] == of["raw"]
    assert raw == exceedance_residuals(losses, var, es)
    assert standard.statistic == exceedance_residuals(losses, var, es, scale=es).statistic
    assert standard.law == "bootstrap, 20000 draws"
    assert [r.test for r in found["raw"]] == [r.test for r in found["standardised"]]


def test_a_right_model_passes_and_a_wrong_one_fails() -> None:
    rng = np.random.default_rng(4)
    rows, variance = 2501, 1.0
    returns = np.empty(rows)
    for t in range(rows):
        returns[t] = math.sqrt(variance) * rng.standard_normal()
        variance = 0.03 + 0.12 * returns[t] ** 2 + 0.85 * variance
    # a hundredth of a percent a unit: compounding hardly bends the law
    prices = 100.0 * np.exp(1e-4 * np.cumsum(returns))
    dates = np.busday_offset("2010-01-01", np.arange(rows), roll="forward")
    panel = PricePanel(("A",), dates, prices[:, None], "made up")
    result = run_backtest(panel, None, ("garch", "gaussian"), (0.975,), window=500, refit_every=250)
    verdicts: dict[str, dict[str, BacktestResult]] = {
        verdict.model: {r.test: r for r in verdict.tests} for verdict in result.books[0].verdicts
    }
    assert set(verdicts["garch"]) == COVERAGE | OF_ES | {"dynamic-quantile"}
    for name in ("kupiec-pof", "christoffersen-independence", "duration", "dynamic-quantile"):
        assert not verdicts["garch"][name].rejects(0.01)
    assert verdicts["gaussian"]["dynamic-quantile"].rejects(1e-6)
    assert verdicts["gaussian"]["acerbi-szekely-z2"].direction == "too low"
