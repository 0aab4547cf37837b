"""The dynamic quantile test: the regression, its edges, size and power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.backtest.dynamic_quantile import dynamic_quantile
from rtre.errors import DataError


def test_the_statistic_is_that_of_the_regression() -> None:
    rng = np.random.default_rng(1)
    losses, var = rng.normal(size=400), rng.uniform(1.0, 2.0, 400)
    got = dynamic_quantile(losses, var, 0.95, lags=2)
    hit = (losses > var) - 0.05
    rows = [[1.0, var[t], hit[t - 1], hit[t - 2], losses[t - 1] ** 2] for t in range(2, 400)]
    x, y = np.array(rows), hit[2:]
    want = y @ x @ np.linalg.inv(x.T @ x) @ x.T @ y / (0.05 * 0.95)
    assert got.statistic == pytest.approx(want, rel=1e-9)
    assert got.law == "chi2(5)"


def test_the_size_of_the_test_is_near_what_it_promises() -> None:
    rng = np.random.default_rng(2)
    sd = np.exp(rng.normal(0.0, 0.3, (600, 1000)))
    rejected = [
        dynamic_quantile(s * z, 1.6448536 * s, 0.95).rejects()
        for s, z in zip(sd, rng.normal(size=(600, 1000)), strict=True)
    ]
    # asymptotic, with rare hits: 4 to 9 %
    assert 0.03 < np.mean(rejected) < 0.10


def test_a_var_that_ignores_volatility_is_found() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(60):
        sd = np.exp(np.cumsum(rng.normal(0.0, 0.05, 1000)))
        losses = sd * rng.normal(size=1000)
        found.append(dynamic_quantile(losses, np.full(1000, np.quantile(losses, 0.95)), 0.95))
    # coverage is right by construction: only the timing of the exceedances is wrong
    assert np.mean([r.rejects() for r in found]) > 0.75


@given(
    st.sampled_from([0, 1, 4]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["none", "all", "one", "random"]),
)
def test_every_sample_has_an_answer(
    lags: int, with_var: bool, with_square: bool, kind: str
) -> None:
    rng = np.random.default_rng(4)
    losses = rng.normal(size=30)
    var = {
        "none": np.full(30, 100.0),
        "all": np.full(30, -100.0),
        "one": np.full(30, np.sort(losses)[-2]),
        "random": rng.normal(size=30),
    }[kind]
    got = dynamic_quantile(losses, var, 0.95, lags=lags, with_var=with_var, with_square=with_square)
    assert math.isfinite(got.statistic)
    assert 0.0 <= got.p_value <= 1.0
    if kind == "none" and (lags or with_var):
        assert "repeat" in got.note


def test_a_change_of_currency_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    losses, var = rng.normal(size=300), rng.uniform(1.0, 2.0, 300)
    one, other = (dynamic_quantile(k * losses, k * var, 0.95).statistic for k in (1.0, 1e-7))
    assert other == pytest.approx(one, rel=1e-8)


@pytest.mark.parametrize("unit", [1e-320, 1e-200, 1e155, 1e300])
def test_losses_whose_squares_overflow_or_vanish_have_the_same_answer(unit: float) -> None:
    rng = np.random.default_rng(6)
    losses, var = rng.normal(size=300), rng.uniform(1.0, 2.0, 300)
    with np.errstate(all="raise", under="ignore"):
        got = dynamic_quantile(unit * losses, unit * var, 0.95)
    # the smallest numbers have few digits
    rel = 1e-9 if unit > 1e-300 else 0.01
    assert got.statistic == pytest.approx(dynamic_quantile(losses, var, 0.95).statistic, rel=rel)


def test_an_infinite_loss_is_refused_as_a_regressor_only() -> None:
    losses = np.zeros(50)
    losses[20] = math.inf
    with pytest.raises(DataError, match="infinite loss"):
        dynamic_quantile(losses, np.ones(50), 0.95)
    got = dynamic_quantile(losses, np.ones(50), 0.95, with_square=False)
    assert got.inputs["x"] == 1


def test_samples_that_are_too_short_are_refused() -> None:
    with pytest.raises(DataError, match="4 lags need more than 5 periods, got 5"):
        dynamic_quantile(np.zeros(5), np.ones(5), 0.95)
    with pytest.raises(DataError, match="infinite VaR"):
        dynamic_quantile(np.zeros(50), np.full(50, math.inf), 0.95)
