"""Errors of a GARCH fit: against closed forms, against repeated samples, and at the edges."""

from __future__ import annotations

import math
from collections.abc import Callable

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_garch_model import TRUE, fits, simulate

from rtre.kernels.garch import log_densities
from rtre.models.garch import (
    Garch,
    GarchFit,
    fit_garch,
    garch_errors,
    garch_loglik,
    garch_variances,
)
from rtre.models.garch_errors import free_parameters
from rtre.models.gaussian import normal_factors
from rtre.models.likelihood import fit_covariances


def normal_terms(sample: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the log densities of `sample` under many normal laws, rows of mean and deviation."""
    return lambda x: -np.log(x[:, 1:]) - 0.5 * ((sample - x[:, :1]) / x[:, 1:]) ** 2


def test_the_errors_of_a_normal_fit_are_those_of_the_textbook() -> None:
    sample = np.random.default_rng(1).standard_t(5.0, 4000)
    mean, sd = float(np.mean(sample)), float(np.std(sample))
    plain, robust = fit_covariances(
        normal_terms(sample), np.array([mean, sd]), np.array([1e-3, 1e-3])
    )
    n, u = len(sample), (sample - mean) / sd
    # the Hessian believes in the normal law; the sandwich takes skewness and kurtosis from the data
    assert plain == pytest.approx(np.diag([sd**2 / n, sd**2 / (2.0 * n)]), rel=1e-6, abs=1e-9)
    skew, kurtosis = float(np.mean(u**3)), float(np.mean(u**4))
    cross = 0.5 * skew * sd**2 / n
    want = [[sd**2 / n, cross], [cross, 0.25 * (kurtosis - 1.0) * sd**2 / n]]
    assert robust == pytest.approx(np.array(want), rel=1e-5, abs=1e-9)


def test_parameters_that_cannot_be_told_apart_have_no_error() -> None:
    sample = np.random.default_rng(2).normal(size=200)
    only_the_sum = lambda x: -0.5 * (sample - x[:, :1] - x[:, 1:]) ** 2  # noqa: E731 - a law
    for matrix in fit_covariances(only_the_sum, np.zeros(2), np.full(2, 1e-3)):
        assert np.isnan(matrix).all()


def laws_of(*fits: GarchFit) -> np.ndarray:
    return np.array(
        [(f.mu, f.omega, f.alpha, f.gamma, f.beta, 0.0 if math.isinf(f.df) else f.df) for f in fits]
    )


@given(st.lists(fits, min_size=1, max_size=3), st.integers(0, 1000))
def test_the_densities_add_up_to_the_likelihood(several: list[GarchFit], seed: int) -> None:
    pnl = np.random.default_rng(seed).normal(size=80)
    out = np.empty((len(several), len(pnl)))
    log_densities(pnl, laws_of(*several), out)
    wanted = [garch_loglik(pnl, fit) for fit in several]
    assert np.sum(out, axis=1).tolist() == pytest.approx(wanted, rel=1e-11)


@given(fits, st.integers(0, 1000))
def test_the_densities_are_those_of_scipy_at_the_variances_of_the_recursion(
    fit: GarchFit, seed: int
) -> None:
    pnl = np.random.default_rng(seed).normal(size=80)
    out = np.empty((1, len(pnl)))
    log_densities(pnl, laws_of(fit), out)
    sd = np.sqrt(garch_variances(pnl, fit)[:-1])
    if math.isinf(fit.df):
        wanted = stats.norm.logpdf(pnl, fit.mu, sd)
    else:
        wanted = stats.t.logpdf(pnl, fit.df, fit.mu, sd * math.sqrt((fit.df - 2.0) / fit.df))
    assert out[0] == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_a_variance_that_is_not_positive_has_no_density_from_there_on() -> None:
    out = np.empty((2, 3))
    falling = (0.0, -1.5, 0.0, 0.0, 1.0, 0.0)
    log_densities(np.array([1.0, 2.0, 1.0]), np.array([falling, (0.0, 1.0, 0, 0, 0, 0)]), out)
    assert np.isfinite(out[0, 0])
    assert np.isnan(out[0, 1:]).all()
    assert np.isfinite(out[1]).all()


@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("student", [False, True])
def test_free_parameters_are_in_the_order_of_the_matrices(asymmetric: bool, student: bool) -> None:
    rng = np.random.default_rng(3)
    true = attrs.evolve(TRUE, df=6.0 if student else math.inf)
    pnl, _ = simulate(true, 2500, rng)
    fit = fit_garch(pnl, asymmetric=asymmetric, innovations="t" if student else "normal")
    errors = garch_errors(pnl, fit, asymmetric=asymmetric)
    assert errors.names == free_parameters(asymmetric=asymmetric, student=student)
    assert errors.plain.shape == errors.robust.shape == (len(errors.names),) * 2
    for robust in (False, True):
        for name, se in errors.se(robust=robust).items():
            # six errors: a swapped name or a lost unit is much further out
            assert abs(getattr(fit, name) - getattr(true, name)) < 6.0 * se or not asymmetric
            assert 0.0 < se < max(1.0, getattr(fit, name))


def test_errors_follow_the_units_of_the_sample() -> None:
    pnl, _ = simulate(TRUE, 1500, np.random.default_rng(4))
    fit = fit_garch(pnl)
    small = garch_errors(pnl, fit).se(robust=True)
    large = garch_errors(1e6 * pnl, fit.scaled(1e6)).se(robust=True)
    for name, power in (("mu", 1), ("omega", 2), ("alpha", 0), ("beta", 0)):
        assert large[name] == pytest.approx(1e6**power * small[name], rel=1e-6)


def test_on_the_edge_there_is_no_error_and_no_interval() -> None:
    pnl = np.random.default_rng(5).normal(size=400)
    fit = GarchFit(0.0, 1.0, 0.0, 0.0, 0.0)
    assert np.isnan(garch_errors(pnl, fit).robust).all()
    tail = Garch().estimate(pnl, [0.99], attrs.evolve(fit, covariance=np.full((4, 4), np.nan)))[0]
    assert math.isfinite(tail.var)
    assert math.isnan(tail.var_low)
    assert math.isnan(tail.es_se)


def test_the_sandwich_knows_the_spread_of_quasi_likelihood_and_the_interval_holds() -> None:
    """Innovations of five degrees of freedom, fitted as normal."""
    rng = np.random.default_rng(6)
    true = GarchFit(mu=0.0, omega=0.05, alpha=0.1, gamma=0.0, beta=0.85, df=5.0)
    found, plain, robust, held = [], [], [], 0
    runs, n = 40, 800
    for _ in range(runs):
        pnl, variances = simulate(true, n, rng)
        fitted = fit_garch(pnl)
        errors = garch_errors(pnl, fitted)
        fitted = attrs.evolve(fitted, covariance=errors.robust).scaled(1.0 / float(np.std(pnl)))
        found.append(fitted.alpha)
        plain.append(errors.se()["alpha"])
        robust.append(errors.se(robust=True)["alpha"])
        tail = Garch().estimate(pnl, [0.99], fitted)[0]
        # what a normal quantile times the true deviation is: the interval is about sd and mu
        held += tail.var_low <= normal_factors(0.99)[0] * math.sqrt(variances[-1]) <= tail.var_high
    spread = float(np.std(found))
    assert np.nanmedian(plain) < 0.8 * spread
    # the spread of 40 runs is known to 11 %, and the errors are skew in 800 observations
    assert 0.7 * spread < np.nanmedian(robust) < 1.4 * spread
    # 95 % less the sampling error of 40 runs and what a linear approximation costs
    assert held >= 0.83 * runs


def test_an_old_fit_keeps_its_interval_when_the_position_grows() -> None:
    pnl, _ = simulate(TRUE, 1200, np.random.default_rng(7))
    fitted = Garch(asymmetric=True).fit(pnl)
    one, ten = (Garch(asymmetric=True).estimate(s * pnl, [0.99], fitted)[0] for s in (1.0, 10.0))
    for name in ("var", "es", "var_low", "var_high", "es_se"):
        assert getattr(ten, name) == pytest.approx(10.0 * getattr(one, name), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_the_interval_exists_in_any_currency(unit: float) -> None:
    pnl, _ = simulate(TRUE, 800, np.random.default_rng(13))
    want = Garch().estimate(pnl, [0.99])[0]
    with np.errstate(over="raise", invalid="raise"):
        got = Garch().estimate(unit * pnl, [0.99])[0].scaled(1.0 / unit)
    # to the closeness at which a search ends
    assert (got.var_low, got.es_se) == pytest.approx((want.var_low, want.es_se), rel=1e-4)


def test_the_recursion_in_steps_is_the_recursion_of_the_window() -> None:
    pnl, _ = simulate(TRUE, 300, np.random.default_rng(8))
    window = garch_variances(pnl, TRUE)
    variance = float(window[0])
    for t, value in enumerate(pnl.tolist()):
        variance = TRUE.following(variance, value)
        assert variance == pytest.approx(float(window[t + 1]), rel=1e-13)
