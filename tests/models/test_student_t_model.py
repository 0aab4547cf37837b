"""The Student-t model: its law, its fit, and the tails in which moments do not exist."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from rtre.errors import DataError
from rtre.models.gaussian import Gaussian
from rtre.models.student_t import StudentT, fit_t, t_covariance, t_factors, t_loglik


@given(st.floats(1.05, 200.0), st.sampled_from([0.9, 0.975, 0.99]))
def test_factors_are_the_quantile_and_the_mean_beyond_it(df: float, confidence: float) -> None:
    q, c = t_factors(confidence, df)
    assert q == pytest.approx(stats.t.ppf(confidence, df), rel=1e-9)
    # substitute x = q/u: the tail integral becomes one over (0, 1), regular for df above 1
    beyond, _ = integrate.quad(
        lambda u: q / u * float(stats.t.pdf(q / u, df)) * q / u**2, 0.0, 1.0, limit=200
    )
    assert c == pytest.approx(beyond / (1.0 - confidence), rel=1e-4)  # quad near df = 1


def test_es_is_infinite_where_the_mean_does_not_exist() -> None:
    assert t_factors(0.99, 1.0)[1] == math.inf
    assert math.isfinite(t_factors(0.99, 0.7)[0])


def test_a_variance_match_needs_a_variance() -> None:
    assert math.isnan(t_factors(0.99, 2.0, matched=True)[0])
    scale, matched = t_factors(0.99, 8.0)[0], t_factors(0.99, 8.0, matched=True)[0]
    assert matched == pytest.approx(scale * math.sqrt(6.0 / 8.0), rel=1e-12)


@pytest.mark.parametrize("df", [0.9, 1.5, 2.5, 4.0, 12.0])
def test_the_fit_is_the_maximum_of_the_likelihood(df: float) -> None:
    rng = np.random.default_rng(int(10 * df))
    sample = 3.0 + 0.2 * rng.standard_t(df, 1500)
    fit = fit_t(sample)
    assert not isinstance(fit, str)
    want = stats.t.logpdf(sample, fit.df, fit.loc, fit.scale).sum()
    assert fit.loglik == pytest.approx(want, rel=1e-10)
    for name, step in (
        ("df", 1e-3 * fit.df),
        ("loc", 1e-3 * fit.scale),
        ("scale", 1e-3 * fit.scale),
    ):
        for sign in (1.0, -1.0):
            at = {"df": fit.df, "loc": fit.loc, "scale": fit.scale}
            at[name] += sign * step
            assert t_loglik(sample, **at) < fit.loglik


def test_a_normal_sample_ends_at_the_normal_limit() -> None:
    sample = np.random.default_rng(21).uniform(-1.0, 1.0, 2000)  # tails lighter than normal
    fit = fit_t(sample)
    assert not isinstance(fit, str)
    assert fit.df == 300.0
    tail = StudentT().estimate(sample, [0.99])[0]
    assert tail.var == pytest.approx(Gaussian(ddof=0).estimate(sample, [0.99])[0].var, rel=0.01)


def test_too_many_equal_values_are_refused() -> None:
    rng = np.random.default_rng(22)
    sample = np.concatenate([np.zeros(300), rng.normal(size=200)])
    tail = StudentT().estimate(sample, [0.99])[0]
    assert "equal observations" in tail.problem


def test_the_information_matrix_is_the_spread_of_the_score() -> None:
    rng = np.random.default_rng(23)
    df, n = 4.0, 400_000
    u = rng.standard_t(df, n)
    step = 1e-4
    scores = []
    for i in range(3):
        ends = []
        for sign in (1.0, -1.0):
            at = [df, 0.0, 1.0]
            at[(1, 2, 0)[i]] += sign * step  # in the order loc, scale, df
            ends.append(stats.t.logpdf(u, *at))
        scores.append((ends[0] - ends[1]) / (2.0 * step))
    information = np.cov(np.array(scores))
    want = np.linalg.inv(t_covariance(df, 1, df_known=False))
    # information of df is small (0.006): compare on the scale of each pair, 2 % for 400 000 draws
    size = np.sqrt(np.outer(np.diag(want), np.diag(want)))
    assert np.max(np.abs(information - want) / size) < 0.02


def test_intervals_hold_on_samples_of_its_own_law() -> None:
    rng = np.random.default_rng(24)
    truth = t_factors(0.99, 4.0)
    tails = [StudentT().estimate(rng.standard_t(4.0, 1000), [0.99])[0] for _ in range(400)]
    covered = np.mean([t.var_low <= truth[0] <= t.var_high for t in tails])
    assert covered == pytest.approx(0.95, abs=0.035)  # three binomial standard errors
    spread = float(np.std([t.es for t in tails]))
    assert np.mean([t.es_se for t in tails]) == pytest.approx(spread, rel=0.15)
    rates = [stats.t.sf(t.var, 4.0) for t in tails]
    assert np.mean(rates) == pytest.approx(0.01, rel=0.05)  # three standard errors, see below
    assert np.std(rates) / 20.0 < 0.0002


def test_a_fit_keeps_only_the_degrees_of_freedom() -> None:
    rng = np.random.default_rng(25)
    old, new = rng.standard_t(3.0, 500), 50.0 + 7.0 * rng.standard_t(3.0, 500)
    model = StudentT()
    fitted = model.fit(old)
    tail = model.estimate(new, [0.99], fitted)[0]
    again = fit_t(new, fitted)
    assert not isinstance(again, str)
    assert again.df == fitted
    assert tail.var == pytest.approx(-again.loc + again.scale * t_factors(0.99, again.df)[0])


def test_a_known_df_is_not_fitted() -> None:
    sample = np.random.default_rng(26).standard_t(3.0, 500)
    assert StudentT(df=5.0).fit(sample) == 5.0
    fixed = fit_t(sample, 5.0)
    assert not isinstance(fixed, str)
    assert fixed.df == 5.0


def test_wild_samples_have_a_var_but_no_es() -> None:
    sample = np.random.default_rng(27).standard_cauchy(2000)
    tail = StudentT(df=0.9).estimate(sample, [0.99])[0]
    assert math.isfinite(tail.var)
    assert tail.es == math.inf
    assert math.isnan(tail.es_se)


@pytest.mark.parametrize("df", [0.1, 1e4, math.nan])
def test_a_wrong_df_is_named_with_its_value(df: float) -> None:
    with pytest.raises(DataError, match=r"StudentT\.df must be .* got"):
        StudentT(df=df)
