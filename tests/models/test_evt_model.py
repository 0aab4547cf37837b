"""Extreme value theory: the likelihood, the fit on its own law, and what the model refuses."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rtre.errors import DataError
from rtre.models.evt import Evt, GpdFit, fit_gpd, gpd_nll, gpd_tail
from rtre.models.historical import Historical


@given(st.integers(-40, 150), st.floats(0.1, 100.0), st.integers(0, 1000))
def test_the_likelihood_is_the_sum_of_the_densities(
    hundredths: int, beta: float, seed: int
) -> None:
    xi = hundredths / 100.0  # scipy's density itself loses digits next to a shape of zero
    y = stats.genpareto.rvs(0.2, scale=beta, size=40, random_state=np.random.default_rng(seed))
    want = -stats.genpareto.logpdf(y, xi, scale=beta).sum()
    assert gpd_nll(y, xi, beta) == pytest.approx(want, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("xi", [-0.3, 0.0, 0.2, 0.7, 1.3])
def test_the_fit_is_a_maximum_near_the_truth(xi: float) -> None:
    rng = np.random.default_rng(int(100 + 10 * xi))
    y = stats.genpareto.rvs(xi, scale=3.0, size=4000, random_state=rng)
    fit = fit_gpd(y + 10.0, 10.0)
    assert fit.n_u == 4000
    assert abs(fit.xi - xi) < 3.5 * fit.se_xi
    assert abs(fit.beta - 3.0) < 3.5 * fit.se_beta
    assert fit.se_xi == pytest.approx((1.0 + xi) / math.sqrt(4000.0), rel=0.15)  # Smith 1987
    for dx, db in ((1e-3, 0.0), (-1e-3, 0.0), (0.0, 3e-3), (0.0, -3e-3)):
        assert gpd_nll(y, fit.xi + dx, fit.beta + db) > fit.nll


@given(st.integers(-40, 90), st.floats(0.5, 5.0), st.sampled_from([0.95, 0.99, 0.999]))
def test_var_and_es_are_those_of_the_fitted_law(
    hundredths: int, beta: float, confidence: float
) -> None:
    xi = hundredths / 100.0
    fit = GpdFit(xi, beta, 2.0, 1000, 100, 0.0, (0.01, 0.0, 0.01))
    tail = gpd_tail(fit, confidence)
    law = stats.genpareto(xi, scale=beta)
    assert tail.var == pytest.approx(2.0 + law.ppf(1.0 - 10.0 * (1.0 - confidence)), rel=1e-6)
    beyond = stats.genpareto(xi, scale=beta + xi * (tail.var - 2.0))  # stable under thresholds
    assert tail.es == pytest.approx(tail.var + beyond.mean(), rel=1e-6)


def test_a_tail_without_a_mean_has_an_infinite_es() -> None:
    fit = GpdFit(1.2, 1.0, 2.0, 1000, 100, 0.0, (0.01, 0.0, 0.01))
    tail = gpd_tail(fit, 0.99)
    assert math.isfinite(tail.var)
    assert tail.es == math.inf
    assert math.isnan(tail.es_se)


def test_intervals_hold_on_samples_of_its_own_law() -> None:
    rng = np.random.default_rng(31)
    # a Pareto law is generalised Pareto beyond any threshold: P(L > x) = x^-4
    truth = 0.01**-0.25
    tails = [Evt().estimate(-(rng.random(2000) ** -0.25), [0.99])[0] for _ in range(400)]
    covered = np.mean([t.var_low <= truth <= t.var_high for t in tails])
    assert covered == pytest.approx(0.95, abs=0.035)  # three binomial standard errors
    spread = float(np.std([t.var for t in tails]))
    assert np.mean([t.var_high - t.var for t in tails]) / 1.96 == pytest.approx(spread, rel=0.12)
    rates = [t.var**-4.0 for t in tails]
    assert np.mean(rates) == pytest.approx(0.01, rel=0.05)


def test_far_out_it_is_steadier_than_order_statistics() -> None:
    rng = np.random.default_rng(32)
    samples = [rng.standard_t(4.0, 1000) for _ in range(200)]
    spreads = [
        np.std([model.estimate(s, [0.999])[0].var for s in samples])
        for model in (Evt(), Historical())
    ]
    assert spreads[0] < 0.8 * spreads[1]


def test_the_conditional_form_follows_volatility() -> None:
    rng = np.random.default_rng(33)
    sd = np.where(np.arange(1200) < 1150, 1.0, 3.0)
    pnl = sd * rng.standard_t(5.0, 1200)
    plain, conditional = (Evt(conditional=c).estimate(pnl, [0.99])[0].var for c in (False, True))
    truth = -3.0 * float(stats.t.ppf(0.01, 5.0))
    assert conditional == pytest.approx(truth, rel=0.4)
    assert plain < 0.6 * truth


def test_a_confidence_inside_the_threshold_is_refused() -> None:
    pnl = np.random.default_rng(34).normal(size=1000)
    inside, outside = Evt(share=0.06).estimate(pnl, [0.9, 0.95])
    assert "inside the threshold" in inside.problem
    assert not outside.problem


def test_too_few_exceedances_are_refused_with_their_number() -> None:
    pnl = np.random.default_rng(35).normal(size=400)
    tail = Evt(share=0.1).estimate(pnl, [0.99])[0]
    assert "40 losses beyond the threshold" in tail.problem
    assert "at least 50" in tail.problem
    assert not Evt(share=0.1, min_exceedances=40).estimate(pnl, [0.99])[0].problem


def test_the_share_is_counted_exactly() -> None:
    # 0.29 * 100 is 28.999... in floating point
    losses = np.arange(1.0, 101.0)
    tail = Evt(share=0.29, min_exceedances=29).estimate(-losses, [0.99])[0]
    assert not tail.problem
    assert "29 losses" in Evt(share=0.29, min_exceedances=30).estimate(-losses, [0.99])[0].problem


def test_a_fit_needs_losses_that_differ() -> None:
    with pytest.raises(DataError, match="not all equal"):
        fit_gpd(np.concatenate([np.zeros(100), np.ones(50)]), 0.5)
    with pytest.raises(DataError, match="0 losses beyond"):
        fit_gpd(np.zeros(100), 0.5)


def test_scaling_the_losses_scales_the_fit() -> None:
    losses = np.random.default_rng(36).standard_t(3.0, 2000)
    one, big = fit_gpd(losses, 2.0), fit_gpd(1e6 * losses, 2e6)
    assert big.xi == pytest.approx(one.xi, abs=1e-6)
    assert big.beta == pytest.approx(1e6 * one.beta, rel=1e-6)
    assert big.se_xi == pytest.approx(one.se_xi, rel=1e-3)
    assert attrs.evolve(big, n=one.n).n_u == one.n_u


@pytest.mark.parametrize(
    "wrong", [{"share": 0.0}, {"share": 0.5}, {"min_exceedances": 2}, {"threshold": math.nan}]
)
def test_a_wrong_parameter_is_named(wrong: dict[str, float]) -> None:
    with pytest.raises(DataError, match=r"Evt\."):
        Evt(**wrong)  # type: ignore[arg-type]


def test_tiny_currencies_keep_their_digits() -> None:
    pnl = np.random.default_rng(37).standard_t(4.0, 1000)
    one, tiny = (Evt().estimate(unit * pnl, [0.99])[0] for unit in (1.0, 1e-140))
    assert tiny.var == pytest.approx(1e-140 * one.var, rel=1e-6)
    assert tiny.var_high == pytest.approx(1e-140 * one.var_high, rel=1e-3)
