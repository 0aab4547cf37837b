"""Profile intervals: their ends are where the likelihood says, they hold, and they are lopsided."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import optimize, stats

from rtre.errors import DataError
from rtre.models.evt import fit_gpd, gpd_nll, gpd_tail
from rtre.models.evt_profile import profile_interval


def sample(n: int, seed: int, xi: float = 0.3) -> np.ndarray:
    """Losses of which a tenth is beyond 10, by exactly the law of the fit."""
    rng = np.random.default_rng(seed)
    body = rng.uniform(0.0, 10.0, n - n // 10)
    return np.append(body, 10.0 + stats.genpareto.rvs(xi, size=n // 10, random_state=rng))


@pytest.mark.parametrize("what", ["var", "es"])
def test_the_ends_are_where_a_search_under_the_constraint_puts_them(what: Any) -> None:
    losses = sample(1500, 1)
    fit = fit_gpd(losses, 10.0)
    excess = losses[losses > 10.0] - 10.0
    for end in profile_interval(losses, fit, 0.99, what=what):

        def miss(x: np.ndarray, end: float = end) -> float:
            beta = math.exp(x[1])
            grown = (10.0 ** x[0] - 1.0) / x[0]  # a tenth of the losses, a hundredth beyond VaR
            var = 10.0 + beta * grown
            number = var if what == "var" else (var + beta - 10.0 * x[0]) / (1.0 - x[0])
            return number - end

        found = optimize.minimize(
            lambda x: gpd_nll(excess, x[0], math.exp(x[1])),
            [fit.xi, math.log(fit.beta)],
            constraints={"type": "eq", "fun": miss},
            method="SLSQP",
            options={"ftol": 1e-12},
        )
        assert 2.0 * (found.fun - fit.nll) == pytest.approx(stats.chi2.isf(0.05, 1), rel=1e-3)


def test_the_shapes_interval_ends_where_the_likelihood_has_fallen_enough() -> None:
    losses = sample(1500, 2)
    fit = fit_gpd(losses, 10.0)
    excess = losses[losses > 10.0] - 10.0
    low, high = profile_interval(losses, fit, what="xi")
    assert low < fit.xi < high
    for xi in (low, high):
        best = optimize.minimize_scalar(
            lambda b, xi=xi: gpd_nll(excess, xi, b), bounds=(0.2, 5.0), method="bounded"
        )
        assert 2.0 * (best.fun - fit.nll) == pytest.approx(stats.chi2.isf(0.05, 1), rel=1e-3)
    assert low == pytest.approx(fit.xi - 1.96 * fit.se_xi, abs=0.1)


def test_the_interval_holds_and_reaches_further_up_than_down() -> None:
    # the share beyond is exact in these samples, as the interval takes it to be
    held, runs, lopsided = 0, 60, 0
    law = stats.genpareto(0.3)
    true = 10.0 + float(law.isf(0.01))
    for seed in range(runs):
        losses = sample(1000, 100 + seed)
        fit = fit_gpd(losses, 10.0)
        low, high = profile_interval(losses, fit, 0.999)
        held += low <= true <= high
        var = gpd_tail(fit, 0.999).var
        lopsided += high - var > var - low
    assert held >= 0.87 * runs  # three binomial errors below 95 %
    assert lopsided == runs


def test_more_coverage_is_a_wider_interval_and_units_do_not_matter() -> None:
    losses = sample(1000, 3)
    fit = fit_gpd(losses, 10.0)
    narrow, wide = (profile_interval(losses, fit, 0.99, coverage=c) for c in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    large = profile_interval(1e6 * losses, fit_gpd(1e6 * losses, 1e7), 0.99, coverage=0.5)
    assert large == pytest.approx([1e6 * end for end in narrow], rel=1e-6)


def test_es_has_no_upper_end_where_a_tail_without_a_mean_is_believed() -> None:
    many = (sample(300, seed, xi=0.8) for seed in range(4, 40))
    losses, fit = next((x, f) for x in many if 0.8 < (f := fit_gpd(x, 10.0)).xi < 0.95)
    # thirty excesses know the shape to a third
    assert profile_interval(losses, fit, 0.99, what="es")[1] == math.inf
    assert math.isfinite(profile_interval(losses, fit, 0.99)[1])
    heavy = sample(3000, 5, xi=1.6)
    with pytest.raises(DataError, match="has no ES"):
        profile_interval(heavy, fit_gpd(heavy, 10.0), 0.99, what="es")


def test_wrong_questions_are_refused() -> None:
    losses = sample(1000, 6)
    fit = fit_gpd(losses, 10.0)
    with pytest.raises(DataError, match="inside the threshold"):
        profile_interval(losses, fit, 0.9)
    with pytest.raises(DataError, match="var, es or xi, got 'beta'"):
        profile_interval(losses, fit, what="beta")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="coverage"):
        profile_interval(losses, fit, coverage=95.0)


def test_a_search_beside_laws_that_cannot_be_warns_of_nothing() -> None:
    losses = stats.genpareto.rvs(-0.2, size=8000, random_state=1)  # warnings are errors here
    fit = fit_gpd(losses, float(np.sort(losses)[-801]))
    low, high = profile_interval(losses, fit, 0.99)
    assert low < gpd_tail(fit, 0.99).var < high
