"""Common random numbers: against the closed form, and against the product taken the slow way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.models.common_draws import CommonDraws, worst_of_draws
from rtre.models.gaussian import normal_factors
from rtre.models.historical import Historical
from rtre.models.student_t import t_factors


def covariance_of(n: int, seed: int) -> np.ndarray:
    factors = np.random.default_rng(seed).normal(size=(n, n + 3))
    return np.asarray(factors @ factors.T) * 1e-4


@given(st.integers(1, 9), st.integers(100, 3000), st.integers(0, 10**6))
def test_the_pnl_is_that_of_correlated_returns(n: int, draws: int, seed: int) -> None:
    common = CommonDraws(n, draws, seed=seed)
    covariance = covariance_of(n, seed)
    common.set_covariance(covariance)
    v = np.random.default_rng(seed + 1).normal(size=n) * 1e6
    half = common.draws // 2
    Z = np.random.default_rng(seed).standard_normal((n, half))
    returns = np.linalg.cholesky(covariance) @ Z
    got = common.pnl(v)
    scale = np.abs(v) @ np.abs(returns)
    # n products and sums in another order, each within half an ulp of the size of its terms
    assert np.max(np.abs(got[:half] - v @ returns) / np.max(scale)) < 4 * n * 2.3e-16
    assert (got[half:] == -got[:half]).all()


def test_var_and_es_are_the_closed_form_ones() -> None:
    common, covariance = CommonDraws(5, 400_000), covariance_of(5, 3)
    common.set_covariance(covariance)
    v = np.array([1.0, -2.0, 3.0, 0.0, 1.0]) * 1e5
    tail = common.estimate(v, [0.99])[0]
    q, c = normal_factors(0.99)
    sd = math.sqrt(v @ covariance @ v)
    assert tail.var_low <= q * sd <= tail.var_high
    assert abs(tail.es - c * sd) < 4.0 * tail.es_se


def test_a_changed_book_changes_risk_by_the_book_alone() -> None:
    common = CommonDraws(3, 1000)
    v = np.array([1.0, 2.0, 3.0])
    before = common.estimate(v, [0.95])[0]
    assert common.estimate(2.0 * v, [0.95])[0].var == 2.0 * before.var
    assert common.estimate(v, [0.95])[0] == before
    assert CommonDraws(3, 1000).estimate(v, [0.95])[0] == before
    assert CommonDraws(3, 1000, seed=1).estimate(v, [0.95])[0] != before


@pytest.mark.parametrize(
    "make",
    [
        lambda: CommonDraws(0),
        lambda: CommonDraws(2, 99),
        lambda: CommonDraws(10**6, 10**6),
        lambda: CommonDraws(2).set_covariance(np.eye(3)),
        lambda: CommonDraws(2).pnl(np.zeros(3)),
        lambda: CommonDraws(2).pnl(np.array([1.0, math.nan])),
    ],
)
def test_wrong_arguments_are_refused(make: object) -> None:
    with pytest.raises(DataError):
        make()  # type: ignore[operator]


@given(st.integers(2, 400), st.integers(0, 10**6), st.booleans())
def test_the_worst_draws_give_what_all_draws_give(n: int, seed: int, tied: bool) -> None:
    pnl = np.random.default_rng(seed).standard_t(3.0, n)
    pnl = np.round(pnl) if tied else pnl
    levels = (0.6, 0.95, 0.99)
    assert repr(worst_of_draws(pnl, levels)) == repr(Historical().estimate(pnl, levels))


def test_draws_of_a_multivariate_t_have_its_tail_in_every_direction() -> None:
    common = CommonDraws(3, 400_000, df=4.0)
    scatter = covariance_of(3, 5)
    common.set_covariance(scatter)
    for v in (np.array([1e5, 0.0, 0.0]), np.array([1e5, -2e5, 5e4])):
        tail = common.estimate(v, [0.99])[0]
        q, c = t_factors(0.99, 4.0)
        scale = math.sqrt(v @ scatter @ v)
        assert tail.var == pytest.approx(q * scale, rel=0.02)  # four errors of the simulation
        assert abs(tail.es - c * scale) < 4.0 * tail.es_se


def test_factors_are_what_pnl_is_the_sum_of() -> None:
    common = CommonDraws(3, 1000, df=5.0)
    common.set_covariance(covariance_of(3, 6))
    v = np.array([1.0, -2.0, 3.0])
    want = common.pnl(v).copy()
    np.testing.assert_allclose(v @ common.factors, want[:500], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(common.mapped(common.factors).pnl(v), want, rtol=1e-9, atol=1e-12)
