"""GARCH: the likelihood against a plain sum, the fit against its own data, and the forecast."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rtre.errors import DataError
from rtre.models.garch import (
    Garch,
    GarchFit,
    fit_garch,
    garch_loglik,
    garch_variances,
    horizon_variance,
)
from rtre.models.gaussian import normal_factors

TRUE = GarchFit(mu=0.05, omega=0.04, alpha=0.05, gamma=0.1, beta=0.85)


def simulate(fit: GarchFit, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """P&L and the variance of each, with one forecast more."""
    pnl, variances = np.empty(n), np.empty(n + 1)
    variances[0] = fit.variance
    if math.isinf(fit.df):
        z = rng.standard_normal(n)
    else:
        z = rng.standard_t(fit.df, n) * math.sqrt((fit.df - 2.0) / fit.df)
    for t in range(n):
        shock = math.sqrt(variances[t]) * z[t]
        pnl[t] = fit.mu + shock
        weight = fit.alpha + (fit.gamma if shock < 0.0 else 0.0)
        variances[t + 1] = fit.omega + weight * shock**2 + fit.beta * variances[t]
    return pnl, variances


fits = st.builds(
    GarchFit,
    mu=st.floats(-0.5, 0.5),
    omega=st.floats(0.01, 1.0),
    alpha=st.floats(0.0, 0.3),
    gamma=st.floats(0.0, 0.2),
    beta=st.floats(0.0, 0.9),
    df=st.sampled_from([math.inf, 3.0, 8.0]),
)


@given(fits, st.integers(0, 1000))
def test_the_likelihood_is_the_sum_of_the_densities(fit: GarchFit, seed: int) -> None:
    pnl = np.random.default_rng(seed).normal(size=80)
    shocks = pnl - fit.mu
    start = np.mean(shocks**2)
    variance = fit.omega + (fit.alpha + 0.5 * fit.gamma + fit.beta) * start
    total = 0.0
    for shock in shocks:
        sd = math.sqrt(variance)
        if math.isinf(fit.df):
            total += stats.norm.logpdf(shock, scale=sd)
        else:
            total += stats.t.logpdf(shock, fit.df, scale=sd * math.sqrt((fit.df - 2.0) / fit.df))
        weight = fit.alpha + (fit.gamma if shock < 0.0 else 0.0)
        variance = fit.omega + weight * shock**2 + fit.beta * variance
    assert garch_loglik(pnl, fit) == pytest.approx(total, rel=1e-10)
    assert garch_variances(pnl, fit)[-1] == pytest.approx(variance, rel=1e-12)


def test_outside_the_parameter_space_the_likelihood_is_zero() -> None:
    pnl = np.random.default_rng(1).normal(size=50)
    assert garch_loglik(pnl, GarchFit(0.0, -10.0, 0.1, 0.0, 0.1)) == -math.inf


@pytest.mark.parametrize("df", [math.inf, 6.0])
def test_the_fit_finds_the_law_of_its_data(df: float) -> None:
    true = attrs.evolve(TRUE, df=df)
    pnl, _ = simulate(true, 20_000, np.random.default_rng(2))
    kind = "normal" if math.isinf(df) else "t"
    fit = fit_garch(pnl, asymmetric=True, innovations=kind)
    # three to four standard errors of 20 000 observations, from the spread over repeated fits
    assert fit.mu == pytest.approx(true.mu, abs=0.025)
    assert fit.omega == pytest.approx(true.omega, abs=0.012)
    assert fit.alpha == pytest.approx(true.alpha, abs=0.02)
    assert fit.gamma == pytest.approx(true.gamma, abs=0.035)
    assert fit.beta == pytest.approx(true.beta, abs=0.03)
    assert fit.loglik >= garch_loglik(pnl, true)
    if kind == "t":
        assert fit.df == pytest.approx(6.0, abs=0.9)


def test_the_fit_is_a_maximum() -> None:
    pnl, _ = simulate(TRUE, 3000, np.random.default_rng(3))
    fit = fit_garch(pnl, asymmetric=True)
    for name in ("mu", "omega", "alpha", "gamma", "beta"):
        for sign in (1.0, -1.0):
            moved = attrs.evolve(fit, **{name: getattr(fit, name) + sign * 2e-3})
            assert garch_loglik(pnl, moved) < fit.loglik


def test_a_short_position_has_the_opposite_asymmetry() -> None:
    pnl, _ = simulate(TRUE, 5000, np.random.default_rng(4))
    long, short = (fit_garch(sign * pnl, asymmetric=True) for sign in (1.0, -1.0))
    assert long.gamma > 0.0 > short.gamma
    # negative shocks of one are positive shocks of the other
    assert short.alpha == pytest.approx(long.alpha + long.gamma, abs=1e-3)
    assert short.loglik == pytest.approx(long.loglik, abs=1e-4)


def test_normal_quasi_likelihood_survives_heavy_tails() -> None:
    true = GarchFit(0.0, 0.05, 0.1, 0.0, 0.85, df=5.0)
    pnl, _ = simulate(true, 20_000, np.random.default_rng(5))
    fit = fit_garch(pnl)
    assert fit.persistence == pytest.approx(true.persistence, abs=0.02)
    assert fit.variance == pytest.approx(true.variance, rel=0.25)  # heavy tails: slow convergence


def test_noise_without_clusters_keeps_a_finite_long_run_variance() -> None:
    fit = fit_garch(np.random.default_rng(6).normal(size=500))
    assert fit.persistence < 1.0
    assert math.isfinite(fit.variance)
    assert math.sqrt(garch_variances(np.random.default_rng(6).normal(size=500), fit)[-1]) == (
        pytest.approx(1.0, abs=0.15)
    )


@given(st.integers(1, 60), st.floats(0.1, 10.0))
def test_the_variance_over_a_horizon_has_its_closed_form(steps: int, following: float) -> None:
    p, v = TRUE.persistence, TRUE.variance
    want = sum(v + p ** (k - 1) * (following - v) for k in range(1, steps + 1))
    assert horizon_variance(TRUE, following, steps) == pytest.approx(want, rel=1e-12)


def test_at_a_persistence_of_one_variance_grows_by_omega_a_step() -> None:
    fit = GarchFit(0.0, 0.5, 0.1, 0.0, 0.9)
    assert fit.variance == math.inf
    assert horizon_variance(fit, 2.0, 3) == pytest.approx(2.0 + 2.5 + 3.0)


def test_the_forecast_follows_the_volatility_of_the_day() -> None:
    rng = np.random.default_rng(7)
    true = GarchFit(0.0, 0.02, 0.1, 0.0, 0.88)
    errors = []
    for _ in range(25):
        pnl, variances = simulate(true, 1500, rng)
        var = Garch().estimate(pnl, [0.99])[0].var
        errors.append(var / (normal_factors(0.99)[0] * math.sqrt(variances[-1])) - 1.0)
    assert abs(float(np.mean(errors))) < 0.03
    assert float(np.std(errors)) < 0.1  # where the unconditional deviation is off by a third


def test_an_old_fit_serves_a_new_position() -> None:
    pnl, _ = simulate(TRUE, 2000, np.random.default_rng(8))
    model = Garch(asymmetric=True)
    fitted = model.fit(pnl)
    assert fitted is not None
    tail = model.estimate(1e3 * pnl[-1000:], [0.99], fitted)[0]
    fresh = model.estimate(1e3 * pnl[-1000:], [0.99])[0]
    assert tail.var == pytest.approx(fresh.var, rel=0.2)


@pytest.mark.parametrize("wrong", [{"innovations": "cauchy"}, {"asymmetric": "yes"}])
def test_a_wrong_parameter_is_named_with_its_value(wrong: dict[str, str]) -> None:
    with pytest.raises(DataError, match=f"must be .*{next(iter(wrong.values()))}"):
        Garch(**wrong)  # type: ignore[arg-type]
