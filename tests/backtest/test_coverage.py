"""Coverage tests: formulas, edges, size and power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rtre.backtest.coverage import binomial, kupiec, kupiec_region, tuff
from rtre.errors import DataError

levels = st.sampled_from([0.95, 0.975, 0.99])


@given(st.integers(2, 400), levels, st.data())
def test_the_ratio_is_that_of_the_two_likelihoods(
    n: int, confidence: float, data: st.DataObject
) -> None:
    x = data.draw(st.integers(0, n))
    tail = 1.0 - confidence
    # the binomial coefficient cancels in the ratio
    bound = stats.binom.logpmf(x, n, tail)
    free = stats.binom.logpmf(x, n, x / n)
    assert kupiec(n, x, confidence).statistic == pytest.approx(2.0 * (free - bound), abs=1e-6)


@given(st.integers(1, 10**7), levels, st.data())
def test_every_count_has_an_answer(n: int, confidence: float, data: st.DataObject) -> None:
    x = data.draw(st.one_of(st.just(0), st.just(n), st.integers(0, n)))
    for result in (
        kupiec(n, x, confidence),
        binomial(n, x, confidence),
        binomial(n, x, confidence, law="normal"),
    ):
        assert math.isfinite(result.statistic)
        assert 0.0 <= result.p_value <= 1.0
        assert result.inputs == {"n": n, "x": x, "confidence": confidence}


def test_the_direction_tells_a_low_var_from_a_high_one() -> None:
    assert kupiec(1000, 25, 0.99).direction == "too low"
    assert kupiec(1000, 10, 0.99).direction == "in line"
    none = kupiec(250, 0, 0.99)
    assert none.rejects()  # LR 5.03: the likelihood ratio is two-sided
    assert none.direction == "too high"


def test_the_size_of_the_tests_is_near_what_they_promise() -> None:
    rng = np.random.default_rng(1)
    counts = rng.binomial(1000, 0.05, 4000)
    # the count is discrete: the exact test stays below 5 %, the ratio may pass it a little
    assert np.mean([kupiec(1000, int(x), 0.95).rejects() for x in counts]) == pytest.approx(
        0.05, abs=0.012
    )
    assert np.mean([binomial(1000, int(x), 0.95).rejects() for x in counts]) < 0.05 + 0.01


def test_twice_the_exceedances_are_found() -> None:
    rng = np.random.default_rng(2)
    counts = rng.binomial(1000, 0.02, 500)
    assert np.mean([kupiec(1000, int(x), 0.99).rejects() for x in counts]) > 0.7


@given(st.integers(20, 3000), levels, st.sampled_from([0.01, 0.05, 0.1]))
def test_the_region_is_what_the_test_accepts(n: int, confidence: float, level: float) -> None:
    low, high = kupiec_region(n, confidence, level)
    for x in {low, high, (low + high) // 2}:
        assert not kupiec(n, x, confidence).rejects(level - 1e-12)
    if low > 0:
        assert kupiec(n, low - 1, confidence).rejects(level)
    if high < n:
        assert kupiec(n, high + 1, confidence).rejects(level)


def test_an_empty_region_is_said() -> None:
    with pytest.raises(DataError, match="no number of exceedances"):
        kupiec_region(255, 0.99, 0.9999)


def test_the_exact_p_value_is_twice_the_smaller_tail() -> None:
    got = binomial(100, 9, 0.95)
    assert got.p_value == pytest.approx(2.0 * stats.binom.sf(8, 100, 0.05))
    assert got.statistic == pytest.approx(4.0 / math.sqrt(100 * 0.05 * 0.95))
    assert binomial(100, 5, 0.95).p_value == 1.0
    normal = binomial(100, 9, 0.95, law="normal")
    assert normal.p_value == pytest.approx(2.0 * stats.norm.sf(normal.statistic))


@given(st.integers(1, 100_000), levels)
def test_the_time_until_first_failure_is_a_geometric_ratio(first: int, confidence: float) -> None:
    got = tuff(first, confidence)
    bound = stats.geom.logpmf(first, 1.0 - confidence)
    free = stats.geom.logpmf(first, 1.0 / first) if first > 1 else 0.0
    assert got.statistic == pytest.approx(max(2.0 * (free - bound), 0.0), rel=1e-6, abs=1e-6)


def test_an_early_failure_points_to_a_low_var_and_a_late_one_to_a_high_one() -> None:
    assert tuff(1, 0.99).direction == "too low"
    assert tuff(1, 0.99).rejects()
    assert tuff(2000, 0.99).direction == "too high"
    assert tuff(2000, 0.99).rejects()


def test_no_failure_is_undecided_until_the_next_would_come_too_late() -> None:
    young = tuff(None, 0.99, n=300)
    assert (young.statistic, young.p_value) == (0.0, 1.0)
    assert "undecided" in young.note
    old = tuff(None, 0.99, n=2000)
    assert old.statistic == tuff(2001, 0.99).statistic
    assert old.rejects()
    assert old.direction == "too high"


def test_no_failure_needs_the_number_of_periods() -> None:
    with pytest.raises(DataError, match="how many periods"):
        tuff(None, 0.99)
    with pytest.raises(DataError, match="period 5 of 4"):
        tuff(5, 0.99, n=4)
    with pytest.raises(DataError, match="law must be"):
        binomial(10, 1, 0.99, law="poisson")  # type: ignore[arg-type]
