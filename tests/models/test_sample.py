"""The moments that models share keep their digits, and bad samples are named."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.models.sample import deviation_of, mean_of, sample_problem

values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@given(values, st.sampled_from([0.0, 1e9, -1e12]))
def test_moments_agree_with_exact_arithmetic(numbers: list[float], offset: float) -> None:
    sample = np.array(numbers) + offset
    exact = [float(v) for v in sample]
    # an ulp of the largest value: what rounding the mean itself may cost
    ulp = max(abs(v) for v in exact) * 2.3e-16
    mean = mean_of(sample)
    assert mean == pytest.approx(statistics.fmean(exact), abs=2.0 * ulp)
    want = statistics.stdev(exact)
    assert deviation_of(sample, mean, 1) == pytest.approx(want, rel=1e-9, abs=4.0 * ulp)


def test_a_sample_that_does_not_vary_has_deviation_zero() -> None:
    sample = np.full(1000, 0.1)
    assert mean_of(sample) == 0.1
    assert deviation_of(sample, mean_of(sample), 1) == 0.0


@pytest.mark.parametrize("unit", [1e-150, 1e-30, 1e30, 1e150])
def test_the_deviation_of_tiny_and_huge_currencies_does_not_vanish(unit: float) -> None:
    sample = unit * np.array([1.0, 2.0, 3.0])
    assert deviation_of(sample, mean_of(sample), 1) == pytest.approx(unit, rel=1e-12)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        ([], "0 observations, needs at least 3"),
        ([1.0, 2.0], "2 observations, needs at least 3"),
        ([1.0, math.nan, math.inf], "2 of 3 observations are not finite"),
        ([1.0, 2.0, 1e200], "overflow"),
        ([[1.0, 2.0, 3.0]], "one axis"),
    ],
)
def test_a_bad_sample_is_named(sample: list[float], words: str) -> None:
    assert words in sample_problem(np.array(sample), 3)


def test_a_good_sample_has_no_problem() -> None:
    assert sample_problem(np.array([1.0, -2.0, 0.0]), 3) == ""


def alternating(first: float, one: float, other: float) -> np.ndarray:
    """A thousand and one values, as NIST's NumAcc2 to NumAcc4 lay them out."""
    return np.array([first, *[one, other] * 500])


@pytest.mark.parametrize(
    ("values", "mean", "sd", "digits"),
    [
        (np.array([10000001.0, 10000003.0, 10000002.0]), 10000002.0, 1.0, 15),
        (alternating(1.2, 1.1, 1.3), 1.2, 0.1, 15),
        # one part in 1e7 of each value is already lost in binary: nine and eight digits are left
        (alternating(1000000.2, 1000000.1, 1000000.3), 1000000.2, 0.1, 9),
        (alternating(10000000.2, 10000000.1, 10000000.3), 10000000.2, 0.1, 8),
    ],
    ids=["NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4"],
)
def test_the_moments_are_those_that_nist_certifies(
    values: np.ndarray, mean: float, sd: float, digits: int
) -> None:
    # NIST StRD univariate: mean, and standard deviation with divisor n - 1
    got = mean_of(values)
    assert got == pytest.approx(mean, rel=1e-15)
    assert deviation_of(values, got, 1) == pytest.approx(sd, rel=10.0**-digits)
