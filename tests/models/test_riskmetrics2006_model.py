"""RiskMetrics 2006: the mixture's weights and what they do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtre.errors import DataError
from rtre.models.ewma import Ewma
from rtre.models.gaussian import normal_factors
from rtre.models.riskmetrics2006 import RiskMetrics2006, long_memory_weights
from rtre.models.student_t import t_factors


def test_weights_are_those_of_fourteen_recursions() -> None:
    pnl = np.random.default_rng(1).normal(size=6000)
    taus = [4.0 * math.sqrt(2.0) ** k for k in range(14)]
    shares = [1.0 - math.log(tau) / math.log(1560.0) for tau in taus]
    mixed = 0.0
    for tau, share in zip(taus, shares, strict=True):
        mu, variance = math.exp(-1.0 / tau), 1.0
        for value in pnl:
            variance = mu * variance + (1.0 - mu) * float(value) ** 2
        mixed += share / sum(shares) * variance
    tail = RiskMetrics2006().estimate(pnl, [0.99])[0]
    # 1e-6: the slowest recursion keeps exp(-6000/362) of its start
    assert tail.var == pytest.approx(normal_factors(0.99)[0] * math.sqrt(mixed), rel=1e-6)


@pytest.mark.parametrize("n", [1, 10, 1000])
def test_weights_add_up_to_one_and_fall_with_age(n: int) -> None:
    weights = long_memory_weights(n, 1560.0, 4.0, math.sqrt(2.0), 14)
    assert np.sum(weights) == pytest.approx(1.0, rel=1e-12)
    assert np.all(np.diff(weights) > 0.0)


def test_memory_is_longer_than_that_of_one_ewma() -> None:
    pnl = np.concatenate([np.full(1, 30.0), np.random.default_rng(2).normal(size=200)])
    assert (
        RiskMetrics2006().estimate(pnl, [0.99])[0].var > 1.2 * Ewma().estimate(pnl, [0.99])[0].var
    )


def test_one_component_is_an_ewma() -> None:
    pnl = np.random.default_rng(3).normal(size=400)
    one = RiskMetrics2006(kmax=1, tau1=16.0)
    same = Ewma(decay=math.exp(-1.0 / 16.0))
    got, want = one.estimate(pnl, [0.975])[0], same.estimate(pnl, [0.975])[0]
    for name in ("var", "es", "var_low", "var_high", "es_se"):
        assert getattr(got, name) == pytest.approx(getattr(want, name), rel=1e-12)


@pytest.mark.parametrize("df", [None, 6.0, 10.0])
def test_the_interval_holds_var_as_often_as_it_says(df: float | None) -> None:
    rng = np.random.default_rng(5)
    model, n = RiskMetrics2006(df=df), 400
    var = normal_factors(0.99)[0] if df is None else t_factors(0.99, df, matched=True)[0]
    inside = []
    for _ in range(1000):
        pnl = (
            rng.normal(size=n) if df is None else rng.standard_t(df, n) * math.sqrt((df - 2.0) / df)
        )
        tail = model.estimate(pnl, [0.99])[0]
        inside.append(tail.var_low <= var <= tail.var_high)
    # three errors of 1000 runs below, and above what heavy tails add: their squares are so skewed
    # that most samples err by less than their variance says
    assert 0.93 < np.mean(inside) < 0.99


def test_a_t_without_a_fourth_moment_has_no_error() -> None:
    pnl = np.random.default_rng(6).normal(size=400)
    tail = RiskMetrics2006(df=4.0).estimate(pnl, [0.99])[0]
    assert math.isfinite(tail.var)
    assert np.isnan([tail.var_low, tail.var_high, tail.es_se]).all()
    calm = RiskMetrics2006(df=4.0).estimate(np.zeros(400), [0.99])[0]
    assert (calm.var, calm.var_low, calm.es_se) == (0.0, 0.0, 0.0)


def test_t_innovations_have_the_mixed_variance() -> None:
    pnl = np.random.default_rng(4).normal(size=400)
    normal = RiskMetrics2006().estimate(pnl, [0.99])[0]
    heavy = RiskMetrics2006(df=5.0).estimate(pnl, [0.99])[0]
    ratio = t_factors(0.99, 5.0, matched=True)[0] / normal_factors(0.99)[0]
    assert heavy.var == pytest.approx(ratio * normal.var, rel=1e-12)


def test_the_promised_share_of_losses_is_beyond_var() -> None:
    from scipy import stats

    rng = np.random.default_rng(5)
    model = RiskMetrics2006()
    rates = [stats.norm.sf(model.estimate(rng.normal(size=500), [0.99])[0].var) for _ in range(500)]
    # 40 effective observations overstate the tail a little (convexity): 1.0 to 1.3 %
    assert 0.0095 < np.mean(rates) < 0.0135


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tau0": 100.0}, "longest memory"),
        ({"df": 2.0}, "more than 2"),
        ({"kmax": 0}, "at least|from 1"),
        ({"rho": 1.0}, "more than 1"),
    ],
)
def test_wrong_parameters_are_named(wrong: dict[str, float], words: str) -> None:
    with pytest.raises(DataError, match=words):
        RiskMetrics2006(**wrong)  # type: ignore[arg-type]
