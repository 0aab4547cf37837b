"""The inner loops of the Student-t fit against whole-array numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from rtre.kernels.student import LOC, SCALE, location_scale, score_data


def by_em(x: np.ndarray, df: float) -> tuple[float, float]:
    """The textbook algorithm: weights, then the mean, then the variance about the new mean."""
    loc, scale = 0.0, 0.7
    for _ in range(3000):
        weights = (df + 1.0) / (df + ((x - loc) / scale) ** 2)
        loc = float(np.sum(weights * x) / np.sum(weights))
        scale = math.sqrt(float(np.sum(weights * (x - loc) ** 2)) / len(x))
    return loc, scale


@given(st.integers(5, 60), st.floats(1.0, 200.0), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_location_and_scale_are_those_of_em(n: int, df: float, seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=n)
    state = np.array([0.0, 0.7])
    location_scale(x, df, state)
    # the last step was below 1e-12 of the scale, and steps shrink by a tenth at least
    assert (state[LOC], state[SCALE]) == pytest.approx(by_em(x, df), rel=1e-9, abs=1e-10)


def test_values_that_coincide_have_no_scale() -> None:
    state = np.array([0.0, 0.7])
    location_scale(np.array([0.0] * 9 + [1.0]), 0.5, state)
    assert state[SCALE] == 0.0


@pytest.mark.parametrize("df", [0.4, 3.0, 250.0])
def test_the_score_is_the_slope_of_the_likelihood(df: float) -> None:
    x = np.random.default_rng(1).standard_t(3.0, 200)

    def likelihood(at: np.ndarray) -> float:
        return float(np.mean(stats.t.logpdf(x, at[0], 0.1, 0.8)))

    slope = optimize.approx_fprime(np.array([df]), likelihood, 1e-6 * df)[0]
    shape = 0.5 * (df + 1.0), 0.5 * df
    fixed = _digamma(shape[0]) - _digamma(shape[1]) - 1.0 / df
    # forward differences of a step of 1e-6 keep five digits of a slope of order one
    assert fixed + score_data(x, df, 0.1, 0.8) == pytest.approx(2.0 * slope, abs=3e-5)


def _digamma(x: float) -> float:
    """Slope of log gamma by a central difference."""
    return (math.lgamma(x * (1 + 1e-5)) - math.lgamma(x * (1 - 1e-5))) / (2e-5 * x)
