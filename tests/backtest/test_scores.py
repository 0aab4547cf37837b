"""Scores: lowest at the truth, and a comparison with an honest error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.backtest.scores import diebold_mariano, fz0, pinball
from rtre.errors import DataError
from rtre.models.gaussian import normal_factors

VAR, ES = normal_factors(0.95)


def test_the_quantile_score_is_lowest_at_the_quantile() -> None:
    losses = np.random.default_rng(1).normal(size=400_000)
    means = {
        shift: np.mean(pinball(losses, np.full(400_000, VAR + shift), 0.95))
        for shift in (-0.2, -0.1, 0.0, 0.1, 0.2)
    }
    assert min(means, key=lambda shift: means[shift]) == 0.0


def test_the_joint_score_is_lowest_at_the_true_pair() -> None:
    losses = np.random.default_rng(2).normal(size=400_000)
    n = len(losses)
    best = np.mean(fz0(losses, np.full(n, VAR), np.full(n, ES), 0.95))
    for var, es in ((0.9, 1.0), (1.1, 1.0), (1.0, 0.9), (1.0, 1.1), (0.9, 0.9), (1.1, 1.1)):
        other = fz0(losses, np.full(n, var * VAR), np.full(n, es * ES), 0.95)
        assert np.mean(other) > best


@given(
    st.floats(-10.0, 10.0), st.floats(0.1, 5.0), st.floats(0.0, 5.0), st.sampled_from([0.95, 0.99])
)
def test_scores_are_their_formulas_in_terms_of_returns(
    loss: float, var: float, more: float, confidence: float
) -> None:
    es, alpha = var + more, 1.0 - confidence
    y, v, e = -loss, -var, -es  # the literature writes returns: quantile and ES negative
    hit = float(y <= v)
    joint = -hit * (v - y) / (alpha * e) + v / e + math.log(-e) - 1.0
    assert fz0([loss], [var], [es], confidence)[0] == pytest.approx(joint, rel=1e-9, abs=1e-9)
    tick = (alpha - float(y < v)) * (y - v)
    assert pinball([loss], [var], confidence)[0] == pytest.approx(tick, rel=1e-9, abs=1e-9)


@given(st.floats(0.001, 1000.0))
def test_a_change_of_currency_moves_every_joint_score_by_one_constant(unit: float) -> None:
    losses = np.array([0.5, 3.0, -1.0])
    one = fz0(losses, np.full(3, VAR), np.full(3, ES), 0.95)
    other = fz0(unit * losses, np.full(3, unit * VAR), np.full(3, unit * ES), 0.95)
    np.testing.assert_allclose(other - one, math.log(unit), atol=1e-9)


def test_forecasts_without_a_joint_score_are_refused() -> None:
    with pytest.raises(DataError, match="positive"):
        fz0([1.0], [-1.0], [0.0], 0.95)
    with pytest.raises(DataError, match="positive and not below"):
        fz0([1.0], [2.0], [1.0], 0.95)


def test_the_interval_holds_the_true_difference_of_correlated_scores() -> None:
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(1000):
        noise = rng.normal(size=1002)
        gap = 0.1 + noise[2:] + 0.5 * noise[1:-1] + 0.3 * noise[:-2]
        got = diebold_mariano(gap, np.zeros(1000))
        inside.append(got.low <= 0.1 <= got.high)
    # Newey-West leaves out a part of the memory: a little under 95 %
    assert 0.91 < np.mean(inside) < 0.965


def test_no_lags_is_the_plain_standard_error() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=300), rng.normal(size=300)
    got = diebold_mariano(first, second, lags=0)
    gap = first - second
    assert got.statistic == pytest.approx(gap.mean() / (gap.std() / math.sqrt(300)))
    assert got.low < got.difference < got.high


def test_the_better_forecast_is_found() -> None:
    rng = np.random.default_rng(5)
    losses = rng.normal(size=5000)
    right = pinball(losses, np.full(5000, VAR), 0.95)
    wrong = pinball(losses, np.full(5000, 1.5 * VAR), 0.95)
    got = diebold_mariano(right, wrong)
    assert got.high < 0.0
    assert got.p_value < 0.01


def test_equal_scores_and_constant_gaps_have_a_defined_answer() -> None:
    scores = np.random.default_rng(6).normal(size=50)
    same = diebold_mariano(scores, scores)
    assert (same.difference, same.statistic, same.p_value) == (0.0, 0.0, 1.0)
    always = diebold_mariano(np.full(20, 3.0), np.full(20, 1.0))
    assert (always.low, always.high, always.p_value) == (2.0, 2.0, 0.0)
    assert always.statistic == math.inf
    alternating = diebold_mariano(np.tile([1.0, -1.0], 10), np.zeros(20), lags=19)
    assert math.isfinite(alternating.statistic)


def test_a_single_period_decides_nothing() -> None:
    got = diebold_mariano([1.0], [2.0])
    assert (got.difference, got.low, got.high) == (-1.0, -math.inf, math.inf)
    assert (got.statistic, got.p_value) == (0.0, 1.0)


@pytest.mark.parametrize(("n", "most"), [(2, 0.12), (5, 0.2), (20, 0.1), (100, 0.08)])
def test_of_two_equally_good_forecasts_one_is_seldom_found_better(n: int, most: float) -> None:
    rng = np.random.default_rng(7)
    found = [diebold_mariano(rng.normal(size=n), np.zeros(n)).p_value < 0.05 for _ in range(1500)]
    # 49, 26, 10 and 6 % with normal quantiles; what is left is Newey-West's
    assert np.mean(found) < most


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(0, 40))
def test_every_series_has_an_answer(gap: list[float], lags: int) -> None:
    got = diebold_mariano(gap, np.zeros(len(gap)), lags=lags)
    assert not math.isnan(got.statistic)
    assert 0.0 <= got.p_value <= 1.0
    assert got.low <= got.difference <= got.high


def test_negative_lags_are_refused() -> None:
    with pytest.raises(DataError, match="negative"):
        diebold_mariano([1.0, 2.0], [0.0, 0.0], lags=-1)
