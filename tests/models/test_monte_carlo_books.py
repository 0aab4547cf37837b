"""Monte Carlo of books by the joint law of their assets: twins written another way, and live."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rtre.errors import DataError
from rtre.models.gaussian import Gaussian
from rtre.models.monte_carlo import MonteCarlo
from rtre.models.monte_carlo_joint import (
    fit_copula_df,
    joint_returns,
    linear_correlation,
    rank_correlation,
)

LEVELS = (0.95, 0.99)
SCALES = np.array([1e-3, 2e-3, 4e-3])
SHAPE = np.array([[1.0, 0.6, -0.3], [0.6, 1.0, 0.1], [-0.3, 0.1, 1.0]])
EXPOSURES = np.array([3e5, -2e5, 1e5])


def returns_of(n: int, seed: int, copula_df: float | None, df: float | None) -> np.ndarray:
    """Joint returns of three assets, (3, n)."""
    rng = np.random.default_rng(seed)
    covariance = SHAPE * SCALES[:, None] * SCALES
    drawn = joint_returns(np.zeros(3), covariance, n, rng, copula_df=copula_df, marginal_df=df)
    return np.ascontiguousarray(drawn.T)


def test_kendalls_correlation_is_that_of_scipy_pair_by_pair() -> None:
    returns = np.round(returns_of(120, 1, 4.0, 4.0), 3)  # with ties
    got = rank_correlation(returns)
    for i in range(3):
        for j in range(3):
            tau = stats.kendalltau(returns[i], returns[j]).statistic
            assert got[i, j] == pytest.approx(math.sin(math.pi / 2.0 * tau), abs=1e-12)
    np.testing.assert_allclose(linear_correlation(returns), np.corrcoef(returns), atol=1e-12)


def test_an_asset_that_does_not_vary_is_correlated_with_none() -> None:
    returns = returns_of(80, 2, None, None)
    returns[1] = 0.25
    for found in (rank_correlation(returns), linear_correlation(returns)):
        assert found[1].tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("df", [3.0, 8.0])
def test_the_df_of_a_t_copula_are_found_again_under_any_marginals(df: float) -> None:
    returns = returns_of(6000, 3, df, None)
    found = fit_copula_df(returns, rank_correlation(returns[:, :1500]))
    # three standard errors of some 4000 pairs, from the spread over repeated fits
    assert found == pytest.approx(df, rel=0.2)
    assert fit_copula_df(np.exp(50.0 * returns), rank_correlation(returns[:, :1500])) == found


def test_a_gaussian_copula_has_many_degrees_of_freedom() -> None:
    returns = returns_of(3000, 4, None, 5.0)
    assert fit_copula_df(returns, rank_correlation(returns[:, :1000])) > 40.0


def test_a_normal_book_is_simulated_by_its_assets_draw_for_draw() -> None:
    returns, model = returns_of(200, 5, None, None), MonteCarlo(draws=4000, seed=7)
    Z = np.random.default_rng(7).standard_normal((3, 2000))
    drawn = (
        np.std(returns, axis=1, ddof=1)[:, None] * np.linalg.cholesky(np.corrcoef(returns))
    ) @ Z
    pnl = np.concatenate([EXPOSURES @ drawn, -(EXPOSURES @ drawn)])
    losses = np.sort(-(pnl + EXPOSURES @ np.mean(returns, axis=1)))[::-1]
    for tail, k in zip(model.estimate_book(EXPOSURES, returns, LEVELS), (200, 40), strict=True):
        assert tail.var == pytest.approx(losses[k - 1], rel=1e-9)
        assert tail.es == pytest.approx(np.mean(losses[:k]), rel=1e-9)


def test_a_normal_book_has_the_closed_forms_numbers() -> None:
    returns = returns_of(300, 6, None, None)
    got = MonteCarlo(draws=200_000).estimate_book(EXPOSURES, returns, LEVELS)
    for tail, exact in zip(got, Gaussian().estimate(EXPOSURES @ returns, LEVELS), strict=True):
        assert abs(tail.es - exact.es) < 4.0 * tail.es_se
        assert abs(tail.var - exact.var) < 2.0 * (tail.var_high - tail.var_low)


@pytest.mark.parametrize(
    ("law", "copula", "copula_df", "df"),
    [
        ("t", "of-law", 4.0, 4.0),
        ("t", "t", 3.0, 6.0),
        ("t", "gaussian", None, 4.0),
        ("normal", "t", 3.0, None),
    ],
)
def test_a_book_has_the_tail_of_the_law_its_returns_came_from(
    law: Any, copula: Any, copula_df: float | None, df: float | None
) -> None:
    model = MonteCarlo(law=law, copula=copula, draws=100_000)
    truth = EXPOSURES @ returns_of(1_000_000, 8, copula_df, df)
    want = -np.quantile(truth, 0.01), -np.mean(truth[truth <= np.quantile(truth, 0.01)])
    found = [
        model.estimate_book(EXPOSURES, returns_of(800, seed, copula_df, df), [0.99])[0]
        for seed in range(8)
    ]
    # 8 fits to 800 returns: about 2 % of error of the mean of their VaR, 3 % of ES
    assert np.mean([tail.var for tail in found]) == pytest.approx(want[0], rel=0.06)
    assert np.mean([tail.es for tail in found]) == pytest.approx(want[1], rel=0.09)


def test_joint_crashes_make_a_book_riskier_than_its_correlations_say() -> None:
    returns, held = returns_of(3000, 9, 2.5, None), np.array([1e5, 1e5, 0.0])
    apart, together = (
        MonteCarlo(copula=c).estimate_book(held, returns, [0.999])[0] for c in ("gaussian", "t")
    )
    assert together.es > 1.08 * apart.es


@pytest.mark.parametrize("law", ["normal", "t"])
@pytest.mark.parametrize("copula", ["of-law", "gaussian", "t"])
def test_a_fit_is_free_of_positions_and_of_the_scale_of_each_asset(law: Any, copula: Any) -> None:
    returns = returns_of(150, 10, 4.0, 5.0)
    model = MonteCarlo(law=law, copula=copula, draws=2000)
    units = np.array([8.0, 0.25, 1024.0])
    other = model.fit(units[:, None] * returns)
    want = model.estimate_book(EXPOSURES, returns, LEVELS)
    got = model.estimate_book(EXPOSURES / units, units[:, None] * returns, LEVELS, other)  # type: ignore[arg-type]
    again = model.estimate_book(EXPOSURES, returns, LEVELS, model.fit(returns))  # type: ignore[arg-type]
    assert again == want
    for a, b in zip(got, want, strict=True):
        assert (a.var, a.es, a.es_se) == pytest.approx((b.var, b.es, b.es_se), rel=1e-6)


def test_an_asset_that_stands_still_brings_no_risk() -> None:
    returns = returns_of(100, 11, None, None)
    returns[2] = 0.0
    for model in (MonteCarlo(law="t", copula="gaussian", df=5.0), MonteCarlo(law="t")):
        one, two = (
            model.estimate_book(v, returns, LEVELS)
            for v in (EXPOSURES, EXPOSURES * [1.0, 1.0, 9.0])
        )
        assert one == two


def test_es_is_infinite_where_a_law_has_no_mean() -> None:
    returns = np.random.default_rng(12).standard_cauchy((2, 300)) * 1e-3
    tail = MonteCarlo(law="t", df=0.9).estimate_book(EXPOSURES[:2], returns, [0.95])[0]
    assert math.isfinite(tail.var)
    assert tail.es == math.inf


@pytest.mark.parametrize("copula", ["of-law", "t"])
def test_what_cannot_be_fitted_says_why(copula: Any) -> None:
    tied = returns_of(100, 13, None, None)
    tied[0, 5:] = 0.0
    with pytest.raises(DataError, match="equal"):
        MonteCarlo(law="t", copula=copula).fit(tied)
    with pytest.raises(DataError, match="at most 1666666 draws"):
        MonteCarlo(draws=10_000_000).fit(np.zeros((30, 60)))
    with pytest.raises(DataError, match="finite"):
        MonteCarlo().fit(np.full((2, 60), math.nan))
