"""Ranks are exact: no float error moves one."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from rtre.errors import DataError
from rtre.order import binomial_quantile, rank_table, tail_probability, tail_ranks


@pytest.mark.parametrize(
    ("n", "confidence", "k"),
    [(100, 0.95, 5), (200, 0.95, 10), (1000, 0.99, 10), (500, 0.975, 13), (250, 0.99, 3)],
)
def test_var_is_the_order_statistic_a_person_would_count(n: int, confidence: float, k: int) -> None:
    assert tail_ranks(n, confidence).k == k


@given(
    n=st.integers(1, 5000), thousandths=st.integers(501, 999), digits=st.sampled_from([1000, 10000])
)
def test_ranks_agree_with_rational_arithmetic(n: int, thousandths: int, digits: int) -> None:
    part = thousandths * (digits // 1000)
    ranks = tail_ranks(n, part / digits)
    m = n * Fraction(digits - part, digits)
    assert ranks.k == max(1, math.ceil(m))
    assert ranks.weight == float(m - ranks.k + 1)
    assert ranks.m == float(m)
    assert 0.0 < ranks.weight <= 1.0


@given(n=st.integers(1, 3000), confidence=st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.999]))
def test_the_interval_of_var_has_at_least_its_coverage(n: int, confidence: float) -> None:
    ranks = tail_ranks(n, confidence)
    tail = 1.0 - confidence
    # the true quantile lies between the ranks when high <= number of losses beyond it < low
    covered = stats.binom.cdf(ranks.low - 1, n, tail) - stats.binom.cdf(ranks.high - 1, n, tail)
    assert covered >= 0.95 - 1e-12
    assert ranks.high <= ranks.k <= ranks.low


def test_two_hundred_and_fifty_days_do_not_bound_a_99_percent_var_from_above() -> None:
    assert tail_ranks(250, 0.99).high == 0
    assert tail_ranks(10, 0.95).low == 3


def test_the_table_holds_the_ranks_of_every_sample_size() -> None:
    confidences = (0.95, 0.99)
    ranks, m = rank_table(confidences, 600)
    for c, confidence in enumerate(confidences):
        for n in (1, 2, 20, 99, 100, 101, 599, 600):
            want = tail_ranks(n, confidence)
            assert tuple(ranks[c, n]) == (want.k, want.high, want.low)
            assert m[c, n] == want.m


@pytest.mark.parametrize("confidence", [0.0, 0.5, 1.0, 1.5, -0.99, 95.0, float("nan")])
def test_a_confidence_out_of_range_is_named(confidence: float) -> None:
    with pytest.raises(DataError, match=r"between 0\.5 and 1.*got"):
        tail_probability(confidence)


def test_no_losses_have_no_ranks() -> None:
    with pytest.raises(DataError, match="n=0"):
        tail_ranks(0, 0.99)


def test_numpy_floats_are_read_like_python_floats() -> None:
    assert tail_probability(np.float64(0.975)) == Fraction(1, 40)


@given(
    st.integers(1, 3000),
    st.one_of(st.sampled_from([0.01, 0.025, 0.05, 0.001]), st.floats(1e-6, 0.5)),
    st.one_of(st.sampled_from([0.025, 0.975, 0.005]), st.floats(1e-3, 0.999)),
)
def test_the_quantile_of_a_binomial_is_that_of_scipy_stats(
    n: int, p: float, probability: float
) -> None:
    sizes = np.array([n, n + 1, 7 * n])
    got = binomial_quantile(probability, sizes, p)
    expected = stats.binom.ppf(probability, sizes, p)
    # where a sum is the probability itself, rounding decides in scipy, and not here
    sums = stats.binom.cdf(np.minimum(got, expected), sizes, p)
    on_the_edge = np.abs(sums - probability) <= 1e-11 * probability
    assert np.all((got == expected) | (on_the_edge & (np.abs(got - expected) == 1)))


@pytest.mark.parametrize("n", [1, 3, 7, 99, 1001])
def test_half_of_an_odd_number_of_fair_coins_is_reached_just_below_the_middle(n: int) -> None:
    assert binomial_quantile(0.5, np.array([n]), 0.5).tolist() == [n // 2]


@given(
    st.integers(1, 60),
    st.fractions(Fraction(1, 99), Fraction(1, 2), max_denominator=100),
    st.data(),
)
def test_a_sum_that_is_the_probability_itself_reaches_it(
    n: int, p: Fraction, data: st.DataObject
) -> None:
    k = data.draw(st.integers(0, n))
    below = [math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1)]
    probability = float(sum(below))
    assume(probability < 1.0 - 1e-9 and float(below[-1]) > 1e-9)
    assert binomial_quantile(probability, np.array([n]), float(p)).tolist() == [k]


_IMPORTS = """
import sys
import rtre.warm, rtre.models.gaussian, rtre.models.historical, rtre.models.student_t
print([*sys.modules])
"""


def test_a_start_does_not_import_the_slow_parts_of_scipy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTS], check=True, capture_output=True, text=True, timeout=120
    )
    assert "rtre.order" in done.stdout
    assert "scipy.stats" not in done.stdout
    assert "scipy.optimize" not in done.stdout
