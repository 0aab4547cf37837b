"""The search for a GARCH in one kernel: against scipy's optimisers, and its own parts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from rtre.kernels.garch import (
    DF_HIGH,
    DF_LOW,
    OUTSIDE,
    PERSISTENCE,
    search_cost,
    simplex_search,
    unpack,
)
from rtre.models.garch_fit import GarchFit, fit_garch, garch_loglik

VARIANTS = [(False, False), (True, False), (False, True), (True, True)]


def parameters(x: np.ndarray, asymmetric: bool, student: bool) -> GarchFit:
    """Read a vector as parameters, with numpy and in another order."""
    names = ["mu", "omega", "gains", *["losses"] * asymmetric, "beta", *["df"] * student]
    at = dict(zip(names, x.tolist(), strict=True))
    logits = np.array([at["gains"], at.get("losses", at["gains"]), at["beta"], 0.0])
    weights = np.exp(logits - logits.max())
    gains, losses, beta, _ = PERSISTENCE * weights / weights.sum()
    df = DF_LOW + (DF_HIGH - DF_LOW) / (1.0 + math.exp(-at["df"])) if student else math.inf
    return GarchFit(at["mu"], math.exp(at["omega"]), 2.0 * gains, 2.0 * (losses - gains), beta, df)


def sample(n: int, seed: int, kind: int) -> np.ndarray:
    """P&L of mean zero and deviation one: clustered, with heavy tails, or without clusters."""
    rng = np.random.default_rng(seed)
    out, variance = np.empty(n), 1.0
    for t in range(n):
        z = rng.standard_t(4.0) / math.sqrt(2.0) if kind == 1 else rng.standard_normal()
        out[t] = math.sqrt(variance) * z
        weight = 0.04 + (0.12 if out[t] < 0.0 else 0.0)
        variance = 1.0 if kind == 2 else 0.05 + weight * out[t] ** 2 + 0.84 * variance
    return np.asarray((out - out.mean()) / out.std())


@pytest.mark.parametrize(("asymmetric", "student"), VARIANTS)
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_the_cost_is_the_likelihood_at_the_parameters(
    asymmetric: bool, student: bool, seed: int
) -> None:
    pnl = sample(60, seed, 0)
    x = np.random.default_rng(seed).normal(size=4 + asymmetric + student) * 2.0
    want = parameters(x, asymmetric, student)
    got = unpack(x, asymmetric, student)
    assert got[:5] == pytest.approx(
        (want.mu, want.omega, want.alpha, want.gamma, want.beta), rel=1e-12, abs=1e-15
    )
    assert got[5] == pytest.approx(want.df if student else 0.0, rel=1e-12)
    cost = search_cost(pnl, x, asymmetric, student)
    assert cost == pytest.approx(-garch_loglik(pnl, want) / 60.0, rel=1e-9)


@pytest.mark.parametrize("bad", [61.0, -61.0, math.nan, math.inf])
def test_far_out_the_cost_is_that_of_being_outside(bad: float) -> None:
    for j in range(4):
        x = np.zeros(4)
        x[j] = bad
        assert search_cost(sample(60, 1, 0), x, False, False) == OUTSIDE


@pytest.mark.parametrize(("asymmetric", "student"), VARIANTS)
@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_fit_is_as_high_as_that_of_scipys_optimisers(
    asymmetric: bool, student: bool, kind: int
) -> None:
    k = 4 + asymmetric + student
    for seed in range(2):
        pnl = sample(500, 10 * kind + seed, kind)

        def cost(x: np.ndarray, pnl: np.ndarray = pnl) -> float:
            if not np.max(np.abs(x)) < 60.0:
                return 1e10
            return -garch_loglik(pnl, parameters(x, asymmetric, student))

        best = math.inf
        for alpha, persistence in ((0.05, 0.9), (0.1, 0.97), (0.15, 0.6)):
            start = np.zeros(k)
            rest = 1.0 - persistence
            start[1:4] = math.log(rest), math.log(alpha / 2 / rest), math.log(alpha / 2 / rest)
            start[3 + asymmetric] = math.log((persistence - alpha) / rest)
            if student:
                start[-1] = -3.0
            found = optimize.minimize(cost, start, method="L-BFGS-B")
            best = min(best, found.fun)
        fit = fit_garch(pnl, asymmetric=asymmetric, innovations="t" if student else "normal")
        # in likelihood, of which a difference of two would be a standard error
        assert fit.loglik > -best - 1e-5


@pytest.mark.parametrize(("asymmetric", "student"), VARIANTS)
def test_a_search_ends_where_it_stops_and_never_above_its_start(
    asymmetric: bool, student: bool
) -> None:
    pnl, k = sample(200, 3, 0), 4 + asymmetric + student
    S = np.empty((k + 4, k + 1))
    S[0] = -1.0
    before = search_cost(pnl, S[0, :k].copy(), asymmetric, student)
    for most in (0, 1, 7, 50):
        S[0, :k] = -1.0
        assert simplex_search(pnl, S, 0.5, 1e-9, most, asymmetric, student) == most
        assert S[0, k] <= before
        assert search_cost(pnl, S[0, :k].copy(), asymmetric, student) == S[0, k]
        before = S[0, k]
    assert simplex_search(pnl, S, 0.5, 1e-3, 5000, asymmetric, student) < 5000
