"""EWMA: the weights, the closed form, and the estimator for irregular times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.models.ewma import Ewma, ewma_covariance, ewma_variance_rate, ewma_weights
from rtre.models.gaussian import normal_factors


@given(st.integers(1, 3000), st.floats(0.01, 1.0))
def test_weights_add_up_to_one_and_fall_with_age(n: int, decay: float) -> None:
    weights = ewma_weights(n, decay)
    assert np.sum(weights) == pytest.approx(1.0, rel=1e-9)
    assert np.all(np.diff(weights) >= 0.0)


@pytest.mark.parametrize("decay", [1.0 - 1e-9, 1.0 - 1e-12, 1.0])
def test_a_decay_next_to_one_gives_equal_weights(decay: float) -> None:
    np.testing.assert_allclose(ewma_weights(400, decay), 1.0 / 400.0, rtol=1e-6)


def test_var_follows_the_recursion_of_riskmetrics() -> None:
    rng = np.random.default_rng(3)
    pnl = rng.normal(size=2000)
    variance = float(pnl[0] ** 2)
    for value in pnl[1:]:
        variance = 0.94 * variance + 0.06 * float(value) ** 2
    tail = Ewma().estimate(pnl, [0.99])[0]
    z, c = normal_factors(0.99)
    # 1e-12: the start of the recursion has weight 0.94^2000
    assert tail.var == pytest.approx(z * math.sqrt(variance), rel=1e-12)
    assert tail.es == pytest.approx(c * math.sqrt(variance), rel=1e-12)


def test_a_young_sample_is_not_biased_towards_zero() -> None:
    rng = np.random.default_rng(4)
    model = Ewma(decay=0.97)
    z = normal_factors(0.99)[0]
    got = [model.estimate(rng.normal(size=10), [0.99])[0].var ** 2 for _ in range(5000)]
    assert np.mean(got) / z**2 == pytest.approx(1.0, abs=0.03)  # 4 standard errors


def test_the_interval_holds_the_truth() -> None:
    rng = np.random.default_rng(5)
    z = normal_factors(0.99)[0]
    tails = [Ewma(decay=0.99).estimate(rng.normal(size=800), [0.99])[0] for _ in range(2000)]
    covered = np.mean([t.var_low <= z <= t.var_high for t in tails])
    assert covered == pytest.approx(0.95, abs=0.02)  # delta method at 200 effective observations


def naive_rate(pnl: list[float], times: list[int], tau: float, started: int) -> float:
    """The definition, one return at a time."""
    total, now = 0.0, started
    for value, at in zip(pnl, times, strict=True):
        total = total * math.exp(-(at - now) / tau) + value**2
        now = at
    return total / tau / (1.0 - math.exp(-(now - started) / tau))


@given(
    st.lists(st.tuples(st.floats(-10.0, 10.0), st.integers(0, 10**9)), min_size=1, max_size=40),
    st.floats(1e8, 1e11),
)
def test_irregular_times_follow_the_recursion(moves: list[tuple[float, int]], tau: float) -> None:
    pnl = [move for move, _ in moves]
    times = (np.cumsum([gap for _, gap in moves]) + 1_000_000_000).tolist()
    got = ewma_variance_rate(np.array(pnl), np.array(times), tau, 999_000_000)
    want = naive_rate(pnl, times, tau, 999_000_000)
    assert got == pytest.approx(want, rel=1e-6)  # the naive 1 - exp loses digits, expm1 does not


def test_the_rate_is_unbiased_under_random_spacing() -> None:
    rng = np.random.default_rng(6)
    gaps = rng.exponential(1e9, 40_000).astype(np.int64)
    pnl = rng.normal(size=40_000) * np.sqrt(gaps * 4e-9)
    rate = ewma_variance_rate(pnl, np.cumsum(gaps), 2e12, 0)
    assert rate * 1e9 == pytest.approx(4.0, rel=0.1)  # 4000 returns in memory: 3 errors of 2.5 %


def test_several_returns_at_one_time_are_no_division_by_zero() -> None:
    times = np.array([10, 10, 10])
    assert ewma_variance_rate(np.ones(3), times, 5.0, 0) == pytest.approx(
        3.0 / 5.0 / (1.0 - math.exp(-2.0))
    )


def test_without_a_start_the_first_return_opens_the_clock() -> None:
    times = np.array([5, 10, 20])
    got = ewma_variance_rate(np.array([99.0, 1.0, 2.0]), times, 7.0)
    assert got == ewma_variance_rate(np.array([1.0, 2.0]), times[1:], 7.0, 5)
    assert math.isnan(ewma_variance_rate(np.array([1.0]), np.array([5]), 7.0))
    assert math.isnan(ewma_variance_rate(np.empty(0), np.empty(0, np.int64), 7.0))


@pytest.mark.parametrize(
    ("times", "tau", "started"),
    [([2, 1], 1.0, 0), ([1, 2], 0.0, 0), ([1], 1.0, 0), ([1, 2], 1.0, 5)],
)
def test_wrong_times_are_refused(times: list[int], tau: float, started: int) -> None:
    with pytest.raises(DataError):
        ewma_variance_rate(np.ones(2), np.array(times), tau, started)


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.01, math.nan, "0.9"])
def test_a_wrong_decay_is_named_with_its_value(decay: float) -> None:
    with pytest.raises(DataError, match=r"Ewma\.decay must be .* got"):
        Ewma(decay=decay)


@given(
    st.integers(1, 60), st.integers(1, 4), st.floats(0.5, 0.99), st.integers(0, 10**6),
    st.booleans(),
)  # fmt: skip
def test_the_covariance_follows_the_recursion(
    n: int, assets: int, decay: float, seed: int, from_first: bool
) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=(n, assets))
    first = np.cov(rng.normal(size=(9, assets)).T).reshape(assets, assets) if from_first else None
    want = np.zeros((assets, assets)) if first is None else first
    for row in returns:
        want = decay * want + (1.0 - decay) * np.outer(row, row)
    if first is None:
        want = want / (1.0 - decay**n)
    got = ewma_covariance(returns, decay, first)
    assert got == pytest.approx(want, rel=1e-9, abs=1e-12)
    if first is None:  # the model of one series reads the same variance
        sd = Ewma(decay=decay).estimate(returns[:, 0], [0.99])[0].var / normal_factors(0.99)[0]
        if n >= Ewma.min_obs:
            assert got[0, 0] == pytest.approx(sd * sd, rel=1e-9)


def test_a_table_that_gives_no_covariance_is_refused() -> None:
    for bad in (np.zeros(3), np.empty((0, 2)), np.array([[math.nan, 1.0]])):
        with pytest.raises(DataError, match="finite table"):
            ewma_covariance(bad, 0.94)
    with pytest.raises(DataError, match=r"decay .* got 1\.0"):
        ewma_covariance(np.zeros((3, 2)), 1.0)
