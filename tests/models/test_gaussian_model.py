"""The normal model against closed forms, simulation and the additivity of its contributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from rtre.errors import DataError
from rtre.models.gaussian import Gaussian, normal_contributions, normal_factors


@pytest.mark.parametrize("confidence", [0.9, 0.975, 0.999])
def test_factors_are_the_quantile_and_the_mean_beyond_it(confidence: float) -> None:
    z, c = normal_factors(confidence)
    assert z == pytest.approx(stats.norm.ppf(confidence), rel=1e-12)
    beyond, _ = integrate.quad(lambda x: x * stats.norm.pdf(x), z, 40.0, epsabs=1e-14)
    assert c == pytest.approx(beyond / (1.0 - confidence), rel=1e-8)  # the accuracy of quad here


def test_each_reading_of_the_mean_has_its_formula() -> None:
    pnl = np.array([1.0, -2.0, 4.0, 0.5, -1.5])
    z, c = normal_factors(0.99)
    mean, rms = pnl.mean(), math.sqrt(np.mean(pnl**2))
    for model, centre, sd in (
        (Gaussian(), mean, pnl.std(ddof=1)),
        (Gaussian(ddof=0), mean, pnl.std()),
        (Gaussian(mean="zero"), 0.0, rms),
        (Gaussian(mean="zero", ddof=0), 0.0, rms),
        (Gaussian(mean="ignored"), 0.0, pnl.std(ddof=1)),
    ):
        tail = model.estimate(pnl, [0.99])[0]
        assert tail.var == pytest.approx(-centre + z * sd, rel=1e-12)
        assert tail.es == pytest.approx(-centre + c * sd, rel=1e-12)


def test_interval_and_standard_error_hold_on_normal_samples() -> None:
    rng = np.random.default_rng(11)
    truth = [f * 2.0 - 0.3 for f in normal_factors(0.99)]
    tails = [Gaussian().estimate(rng.normal(0.3, 2.0, 250), [0.99])[0] for _ in range(2000)]
    covered = np.mean([t.var_low <= truth[0] <= t.var_high for t in tails])
    assert covered == pytest.approx(0.95, abs=0.015)  # 3 standard errors of 2000 draws
    spread = float(np.std([t.es for t in tails]))
    # 5 %: three standard errors of a standard deviation from 2000 draws
    assert np.mean([t.es_se for t in tails]) == pytest.approx(spread, rel=0.05)


def test_the_promised_share_of_losses_is_beyond_var() -> None:
    rng = np.random.default_rng(12)
    rates = []
    for _ in range(500):
        var = Gaussian().estimate(rng.normal(size=1000), [0.99])[0].var
        rates.append(stats.norm.sf(var))
    # the estimate is good to 1/n in probability; its mean over 500 samples to 2 % of the tail
    assert np.mean(rates) == pytest.approx(0.01, rel=0.05)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_contributions_add_up_to_the_portfolio(assets: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    exposures, mean = rng.normal(0.0, 1000.0, assets), rng.normal(0.0, 0.01, assets)
    root = rng.normal(0.0, 0.02, (assets, assets))
    covariance = root @ root.T
    var, es = normal_contributions(exposures, mean, covariance, 0.975)
    sd = math.sqrt(max(exposures @ covariance @ exposures, 0.0))
    z, c = normal_factors(0.975)
    # 1e-9 of the gross amounts: long and short nearly cancel in some draws
    gross = float(np.sum(np.abs(var)) + np.sum(np.abs(es)))
    assert np.sum(var) == pytest.approx(-exposures @ mean + z * sd, abs=1e-9 * gross)
    assert np.sum(es) == pytest.approx(-exposures @ mean + c * sd, abs=1e-9 * gross)


def test_a_hedge_contributes_a_negative_amount() -> None:
    covariance = np.array([[4e-4, 3.6e-4], [3.6e-4, 4e-4]])
    var, _ = normal_contributions(np.array([100.0, -40.0]), np.zeros(2), covariance, 0.99)
    assert var[0] > 0.0 > var[1]


def test_no_exposure_contributes_nothing() -> None:
    var, es = normal_contributions(np.zeros(2), np.zeros(2), np.eye(2), 0.99)
    assert not var.any()
    assert not es.any()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"mean": "median"}, "'median'"), ({"ddof": 2}, "got 2"), ({"ddof": True}, "got True")],
)
def test_a_wrong_parameter_is_named_with_its_value(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Gaussian(**wrong)  # type: ignore[arg-type]
