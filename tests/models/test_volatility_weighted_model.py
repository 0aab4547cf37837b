"""Volatility-weighted historical simulation, and the variance recursion behind it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.kernels.garch import variance_path
from rtre.models.historical import Historical
from rtre.models.volatility_weighted import VolatilityWeighted, ewma_variances, volatility_scaled


@given(
    st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=50),
    st.tuples(
        st.floats(0.0, 1.0),
        st.floats(0.0, 0.5),
        st.floats(-0.5, 0.5),
        st.floats(0.0, 0.99),
        st.floats(0.0, 100.0),
    ),
)
def test_the_kernel_follows_the_recursion_one_step_at_a_time(
    shocks: list[float], law: tuple[float, float, float, float, float]
) -> None:
    omega, alpha, gamma, beta, first = law
    out = np.empty(len(shocks) + 1)
    variance_path(np.array(shocks), omega, alpha, gamma, beta, first, out)
    want = [first]
    for shock in shocks:
        weight = alpha + (gamma if shock < 0.0 else 0.0)
        want.append(omega + weight * shock**2 + beta * want[-1])
    np.testing.assert_allclose(out, want, rtol=1e-12, atol=1e-12)


def test_each_forecast_is_made_before_its_return() -> None:
    values = np.random.default_rng(1).normal(size=50)
    before = ewma_variances(values, 0.94, first=1.0)
    values[30] = 1e6
    after = ewma_variances(values, 0.94, first=1.0)
    assert np.array_equal(before[:31], after[:31])
    assert after[31] > 1e10


def test_the_start_is_the_sample_variance() -> None:
    values = np.random.default_rng(2).normal(3.0, 2.0, 100)
    assert ewma_variances(values, 0.94)[0] == pytest.approx(values.var(ddof=1), rel=1e-12)


def test_columns_are_scaled_each_by_its_own_volatility() -> None:
    returns = np.random.default_rng(3).normal(size=(200, 3)) * [1.0, 5.0, 0.1]
    got = volatility_scaled(returns, 0.94)
    for j in range(3):
        assert np.array_equal(got[:, j], volatility_scaled(returns[:, j], 0.94))


def test_risk_follows_volatility_where_plain_simulation_lags() -> None:
    rng = np.random.default_rng(4)
    pnl = np.concatenate([rng.normal(size=450), 4.0 * rng.normal(size=50)])
    scaled = VolatilityWeighted().estimate(pnl, [0.95])[0].var
    plain = Historical().estimate(pnl, [0.95])[0].var
    truth = 4.0 * 1.645
    assert scaled == pytest.approx(truth, rel=0.25)  # EWMA remembers 33 days: 12 % error each way
    assert plain < 0.6 * truth


def test_the_promised_share_of_losses_is_beyond_var_when_volatility_clusters() -> None:
    rng = np.random.default_rng(5)
    hits, runs = 0, 800
    for _ in range(runs):
        sd = np.exp(np.cumsum(0.05 * rng.normal(size=501)))
        pnl = sd * rng.normal(size=501)
        hits += -pnl[-1] > VolatilityWeighted().estimate(pnl[:-1], [0.95])[0].var
    assert hits / runs == pytest.approx(0.05, abs=0.025)  # three binomial standard errors


def test_a_sample_that_does_not_vary_is_refused() -> None:
    with pytest.raises(DataError, match="volatility is zero"):
        volatility_scaled(np.full(20, 2.0), 0.94)
    tail = VolatilityWeighted().estimate(np.full(20, 2.0), [0.99])[0]
    assert "volatility is zero" in tail.problem
    assert math.isnan(tail.var)


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"target": "tomorrow"}, {"rule": "best"}])
def test_a_wrong_parameter_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match="VolatilityWeighted"):
        VolatilityWeighted(**wrong)  # type: ignore[arg-type]
