"""E-processes: bets are made before they pay, wealth is bounded under a right forecast, power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.backtest.eprocess import MAX_BET, es_eprocess, var_eprocess
from rtre.errors import DataError
from rtre.models.gaussian import normal_factors

VAR, ES = normal_factors(0.975)


@given(st.lists(st.booleans(), min_size=1, max_size=80), st.floats(0.0, 0.9))
def test_a_fixed_bet_multiplies_wealth_as_defined(hits: list[bool], bet: float) -> None:
    losses = np.where(hits, 3.0, 0.0)
    got = var_eprocess(losses, np.full(len(hits), VAR), 0.975, bet=bet)
    wealth = 1.0
    for hit in hits:
        wealth *= 1.0 - bet + bet * (40.0 if hit else 0.0)
    assert got.log_wealth[-1] == pytest.approx(math.log(wealth), abs=1e-9)
    assert got.e_value == pytest.approx(wealth, rel=1e-9)


@given(st.integers(0, 1000), st.integers(1, 150))
def test_bets_know_nothing_of_the_period_they_are_made_for(seed: int, at: int) -> None:
    rng = np.random.default_rng(seed)
    losses = 2.0 * rng.normal(size=200)
    changed = losses.copy()
    changed[at:] = 50.0
    var, es = np.full(200, VAR), np.full(200, ES)
    for make in (
        lambda lost: var_eprocess(lost, var, 0.975),
        lambda lost: es_eprocess(lost, var, es, 0.975),
    ):
        before, after = make(losses), make(changed)
        assert np.array_equal(before.bets[: at + 1], after.bets[: at + 1])
        assert before.bets[0] == 0.0
        assert np.all((before.bets >= 0.0) & (before.bets <= MAX_BET))


@pytest.mark.parametrize("target", ["var", "es"])
def test_a_right_forecast_is_ever_rejected_no_more_often_than_promised(target: str) -> None:
    rng = np.random.default_rng(1)
    ever = []
    for _ in range(400):
        losses = rng.normal(size=800)
        if target == "var":
            process = var_eprocess(losses, np.full(800, VAR), 0.975)
        else:
            process = es_eprocess(losses, np.full(800, VAR), np.full(800, ES), 0.975)
        ever.append(process.rejected_at(0.1) is not None)
        assert (process.p_value <= 0.1) == ever[-1]
    assert np.mean(ever) <= 0.1  # Ville's bound, looked at after every period


@pytest.mark.parametrize("target", ["var", "es"])
def test_a_low_forecast_is_rejected_soon(target: str) -> None:
    rng = np.random.default_rng(2)
    when = []
    for _ in range(100):
        losses = 1.35 * rng.normal(size=1000)
        if target == "var":
            process = var_eprocess(losses, np.full(1000, VAR), 0.975)
        else:
            process = es_eprocess(losses, np.full(1000, VAR), np.full(1000, ES), 0.975)
        when.append(process.rejected_at() or 10_000)
    assert np.median(when) < 300


def test_a_high_forecast_is_not_rejected() -> None:
    losses = 0.7 * np.random.default_rng(3).normal(size=5000)
    var, es = np.full(5000, VAR), np.full(5000, ES)
    for process in (var_eprocess(losses, var, 0.975), es_eprocess(losses, var, es, 0.975)):
        assert process.rejected_at() is None
        assert process.e_value <= 1.0


def test_es_e_values_have_mean_one_under_a_right_forecast() -> None:
    losses = np.random.default_rng(4).normal(size=2_000_000)
    over = np.maximum(losses - VAR, 0.0) / (0.025 * (ES - VAR))
    assert over.mean() == pytest.approx(1.0, abs=0.015)  # three standard errors
    half = es_eprocess(losses[:1000], np.full(1000, VAR), np.full(1000, ES), 0.975, bet=0.5)
    want = np.sum(np.log(0.5 + 0.5 * over[:1000]))
    assert half.log_wealth[-1] == pytest.approx(want, rel=1e-9)


def test_an_impossible_loss_is_infinite_evidence_once_there_is_a_stake() -> None:
    losses, var = np.array([0.0, 5.0, 0.0]), np.ones(3)
    staked = es_eprocess(losses, var, var, 0.975, bet=0.1)
    assert staked.e_value == math.inf
    assert staked.p_value == 0.0
    assert staked.rejected_at() == 2
    unstaked = es_eprocess(losses, var, var, 0.975, bet=0.0)
    assert unstaked.e_value == 1.0
    assert not np.isnan(es_eprocess(losses, var, var, 0.975).log_wealth).any()


@pytest.mark.parametrize(
    ("lost", "var", "es", "e"),
    [
        (0.0, math.inf, math.inf, 0.0),
        (math.inf, math.inf, math.inf, 0.0),
        (9.0, 1.0, math.inf, 0.0),
        (9.0, -math.inf, 1.0, 40.0),
        (9.0, -math.inf, -math.inf, math.inf),
        (math.inf, 1.0, 2.0, math.inf),
        (1e308, -1e308, 1e308, 40.0),
        (3e-320, 1e-320, 2e-320, 80.0),
    ],
)
@pytest.mark.filterwarnings("error")
def test_forecasts_at_the_ends_of_the_range_have_a_defined_e_value(
    lost: float, var: float, es: float, e: float
) -> None:
    got = es_eprocess([lost], [var], [es], 0.975, bet=0.5)
    want = math.log(0.5 + 0.5 * e) if e < math.inf else math.inf
    assert got.log_wealth[0] == pytest.approx(want, rel=1e-3)  # subnormals have few digits
    adaptive = es_eprocess([lost] * 9, [var] * 9, [es] * 9, 0.975)
    assert not np.isnan(adaptive.log_wealth).any()
    assert np.isfinite(adaptive.bets).all()


def test_one_huge_loss_does_not_hold_the_stakes_down_ever_after() -> None:
    losses = np.full(400, 5.0)
    var, es = np.full(400, VAR), np.full(400, ES)
    usual = es_eprocess(losses, var, es, 0.975)
    losses[0] = 1e200
    process = es_eprocess(losses, var, es, 0.975)
    assert process.bets[20] > 0.7 * usual.bets[20] > 0.02


def test_long_runs_neither_overflow_nor_vanish() -> None:
    n = 200_000
    lost = var_eprocess(np.zeros(n), np.ones(n), 0.99, bet=0.5)
    assert lost.log_wealth[-1] == pytest.approx(n * math.log(0.5))
    assert lost.p_value == 1.0
    won = var_eprocess(np.full(n, 2.0), np.ones(n), 0.99)
    assert math.isfinite(won.log_wealth[-1])
    assert won.e_value > 1e300


@pytest.mark.parametrize("bet", [-0.1, 1.0, math.nan])
def test_a_wrong_bet_is_named(bet: float) -> None:
    with pytest.raises(DataError, match="fixed bet"):
        var_eprocess([1.0], [1.0], 0.99, bet=bet)


def test_wrong_levels_and_forecasts_are_refused() -> None:
    with pytest.raises(DataError, match="level"):
        var_eprocess([1.0], [1.0], 0.99).rejected_at(1.0)
    with pytest.raises(DataError, match="below VaR"):
        es_eprocess([1.0], [2.0], [1.0], 0.99)
