"""Contributions add up, do not depend on the order of assets, and are slopes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.models.contributions import (
    cornish_fisher_contributions,
    incremental,
    scenario_contributions,
)
from rtre.models.cornish_fisher import CornishFisher
from rtre.models.gaussian import normal_contributions
from rtre.models.historical import Historical

tables = st.builds(
    lambda n, assets, seed, digits: np.round(
        np.random.default_rng(seed).standard_t(3.0, (n, assets)), digits
    ),
    st.integers(2, 150),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 8]),  # rounded tables are full of ties
)
levels = st.sampled_from([0.9, 0.95, 0.975, 0.99])


@given(tables, levels)
def test_components_add_up_to_the_portfolio(pnl: np.ndarray, confidence: float) -> None:
    tail = Historical().estimate(np.sum(pnl, axis=1), [confidence])[0]
    got = scenario_contributions(pnl, confidence)
    size = float(np.max(np.abs(pnl))) * pnl.shape[1] + 1.0
    assert got.total_es == pytest.approx(tail.es, abs=1e-12 * size)
    assert float(np.sum(got.es)) == pytest.approx(tail.es, abs=1e-12 * size)
    assert float(np.sum(got.var)) == pytest.approx(tail.var, abs=1e-12 * size)


@given(tables, levels, st.randoms())
def test_neither_the_order_of_assets_nor_of_scenarios_matters(
    pnl: np.ndarray, confidence: float, random: object
) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    whole = np.round(pnl * 8.0)  # sums of whole numbers do not depend on their order
    assets, rows = rng.permutation(pnl.shape[1]), rng.permutation(len(pnl))
    one = scenario_contributions(whole, confidence)
    other = scenario_contributions(whole[rows][:, assets], confidence)
    assert other.es == pytest.approx(one.es[assets], rel=1e-9, abs=1e-9)
    assert other.var == pytest.approx(one.var[assets], rel=1e-9, abs=1e-9)


@given(tables, levels)
def test_es_by_asset_is_a_plain_loop_over_the_tail(pnl: np.ndarray, confidence: float) -> None:
    loss = -np.sum(pnl, axis=1)
    loss = loss + 1e-7 * np.random.default_rng(0).random(len(loss))  # no ties in this one
    left = len(loss) * (1.0 - confidence)
    want, m = np.zeros(pnl.shape[1]), left
    split = pnl - (loss + np.sum(pnl, axis=1))[:, None] / pnl.shape[1]  # adds up to -loss
    for i in np.argsort(-loss):
        share = min(left, 1.0)
        if share <= 0.0:
            break
        want -= share * split[i]
        left -= share
    got = scenario_contributions(split, confidence)
    assert got.es == pytest.approx(want / m, rel=1e-6, abs=1e-6)


def test_a_component_of_es_is_the_slope_of_es() -> None:
    pnl = np.random.default_rng(1).standard_t(4.0, (800, 3)) * np.array([1.0, 2.0, -0.5])
    got = scenario_contributions(pnl, 0.975)
    for i in range(3):
        step = 1e-7  # so small that no scenario enters or leaves the tail
        ends = []
        for sign in (1.0, -1.0):
            scale = np.ones(3)
            scale[i] += sign * step
            ends.append(Historical().estimate(np.sum(pnl * scale, axis=1), [0.975])[0].es)
        assert got.es[i] == pytest.approx((ends[0] - ends[1]) / (2.0 * step), rel=1e-5)


def test_normal_scenarios_have_the_contributions_of_the_normal_law() -> None:
    rng = np.random.default_rng(2)
    covariance = np.array([[1.0, 0.3, 0.0], [0.3, 2.0, -0.4], [0.0, -0.4, 0.5]])
    pnl = rng.multivariate_normal(np.zeros(3), covariance, 200_000)
    want_var, want_es = normal_contributions(np.ones(3), np.zeros(3), covariance, 0.975)
    got = scenario_contributions(pnl, 0.975)
    # 5000 tail scenarios know a mean to about 0.015; the weights around VaR blur it a little more
    assert got.es == pytest.approx(want_es, abs=0.06)
    assert got.var == pytest.approx(want_var, abs=0.1)
    assert scenario_contributions(pnl, 0.975, bandwidth=0.2).var == pytest.approx(want_var, abs=0.1)


def test_a_hedge_contributes_less_than_nothing() -> None:
    rng = np.random.default_rng(3)
    market = rng.standard_t(4.0, 1000)
    pnl = np.column_stack([market, -0.4 * market + 0.1 * rng.normal(size=1000)])
    got = scenario_contributions(pnl, 0.99)
    assert got.es[1] < 0.0 < got.es[0]
    assert got.var[1] < 0.0 < got.var[0]
    assert incremental(pnl, 0.99).es[1] < 0.0


def test_incremental_numbers_are_differences_of_two_portfolios() -> None:
    pnl = np.random.default_rng(4).normal(size=(300, 3))
    got = incremental(pnl, 0.95)
    for i in range(3):
        rest = Historical().estimate(np.sum(np.delete(pnl, i, axis=1), axis=1), [0.95])[0]
        assert got.var[i] == pytest.approx(got.total_var - rest.var)
        assert got.es[i] == pytest.approx(got.total_es - rest.es)
    alone = incremental(pnl[:, :1], 0.95)
    assert (alone.var[0], alone.es[0]) == (alone.total_var, alone.total_es)


@pytest.mark.parametrize("shortfall", ["integral", "edgeworth"])
def test_modified_components_are_slopes_and_add_up(shortfall: str) -> None:
    rng = np.random.default_rng(5)
    returns = -0.01 * rng.gumbel(size=(500, 3)) + 0.005 * rng.standard_t(8.0, (500, 3))
    exposures = np.array([2.0, 1.0, -0.5])
    model = CornishFisher(shortfall=shortfall, outside="compute")  # type: ignore[arg-type]

    def numbers(at: np.ndarray) -> np.ndarray:
        tail = model.estimate(np.sum(returns * at, axis=1), [0.95])[0]
        return np.array([tail.var, tail.es])

    got = cornish_fisher_contributions(exposures, returns, 0.95, shortfall=shortfall)
    assert [got.total_var, got.total_es] == pytest.approx(numbers(exposures), rel=1e-9)
    assert float(np.sum(got.var)) == pytest.approx(got.total_var, rel=1e-7)
    assert float(np.sum(got.es)) == pytest.approx(got.total_es, rel=1e-7)
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-4
        slope = (numbers(exposures + step) - numbers(exposures - step)) / 2e-4
        assert [got.var[i], got.es[i]] == pytest.approx(exposures[i] * slope, rel=1e-5)


def test_modified_components_of_normal_moments_are_the_normal_ones() -> None:
    returns = np.random.default_rng(6).normal(0.01, 0.1, (400_000, 2))
    exposures = np.array([1.0, 3.0])
    got = cornish_fisher_contributions(exposures, returns, 0.99, ddof=1)
    want = normal_contributions(exposures, returns.mean(axis=0), np.cov(returns.T), 0.99)
    # sample skewness and kurtosis of 400 000 draws are 0.004 and 0.008 from zero
    assert got.var == pytest.approx(want[0], abs=0.005)
    assert got.es == pytest.approx(want[1], abs=0.01)


def test_tables_that_cannot_be_split_are_refused() -> None:
    for bad in (np.zeros(3), np.empty((0, 2)), np.array([[1.0, np.nan]])):
        with pytest.raises(DataError):
            scenario_contributions(bad, 0.99)
    with pytest.raises(DataError, match="bandwidth"):
        scenario_contributions(np.ones((5, 2)), 0.99, bandwidth=-1.0)
    with pytest.raises(DataError, match="does not vary"):
        cornish_fisher_contributions(np.ones(2), np.ones((5, 2)), 0.99)
    with pytest.raises(DataError, match="integral or edgeworth, got 'x'"):
        cornish_fisher_contributions(np.ones(2), np.eye(2), 0.99, shortfall="x")
