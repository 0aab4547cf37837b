"""Independence tests: formulas, edges, size and power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rtre.backtest.coverage import kupiec, tuff
from rtre.backtest.exceedances import Counts, Transitions
from rtre.backtest.independence import (
    christoffersen,
    conditional_coverage,
    time_between_failures,
)
from rtre.errors import DataError

cells = st.builds(Transitions, *[st.integers(0, 50)] * 4)


def chain(n: int, stay: float, enter: float, rng: np.random.Generator) -> Counts:
    """Exceedances that follow each other with probability `stay`."""
    hits, draws = np.zeros(n, bool), rng.random(n)
    for t in range(1, n):
        hits[t] = draws[t] < (stay if hits[t - 1] else enter)
    return Counts.of(hits)


@given(cells)
def test_every_table_has_an_answer(t: Transitions) -> None:
    result = christoffersen(t)
    assert result.statistic >= 0.0
    assert math.isfinite(result.statistic)
    assert 0.0 <= result.p_value <= 1.0


@given(cells)
def test_the_ratio_is_the_g_statistic_of_the_table(t: Transitions) -> None:
    table = np.array([[t.n00, t.n01], [t.n10, t.n11]])
    if table.sum(axis=0).all() and table.sum(axis=1).all():
        want = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood").statistic
        assert christoffersen(t).statistic == pytest.approx(want, abs=1e-8)


@pytest.mark.parametrize("hits", [[0] * 50, [1] * 50, [1], [0], [0, 1], [1, 0]])
def test_runs_that_tell_nothing_are_accepted(hits: list[int]) -> None:
    counts = Counts.of(hits)
    assert christoffersen(counts.transitions).statistic == pytest.approx(0.0, abs=1e-12)
    assert christoffersen(counts.transitions).p_value == pytest.approx(1.0, abs=1e-5)
    both = conditional_coverage(counts.n, counts.x, counts.transitions, 0.95)
    assert both.statistic == pytest.approx(kupiec(counts.n, counts.x, 0.95).statistic, abs=1e-12)
    assert 0.0 <= time_between_failures(counts, 0.95).p_value <= 1.0


def test_the_size_of_the_tests_is_near_what_they_promise() -> None:
    rng = np.random.default_rng(1)
    runs = [Counts.of(rng.random(1000) < 0.05) for _ in range(1500)]
    for results in (
        [christoffersen(r.transitions) for r in runs],
        [conditional_coverage(r.n, r.x, r.transitions, 0.95) for r in runs],
    ):
        # the laws are asymptotic, and an exceedance is rare: 3 to 8 % over seeds
        assert 0.02 < np.mean([r.rejects() for r in results]) < 0.09


def test_time_between_failures_rejects_right_models_more_often_than_it_says() -> None:
    rng = np.random.default_rng(3)
    runs = [Counts.of(rng.random(1000) < 0.05) for _ in range(1000)]
    rejected = [time_between_failures(r, 0.95, mixed=False).rejects() for r in runs]
    # each wait is a sample of one, for which chi2(1) is no limit: the docstring says 17 %
    assert np.mean(rejected) == pytest.approx(0.17, abs=0.04)  # three binomial errors


def test_clusters_are_found_and_named() -> None:
    rng = np.random.default_rng(2)
    runs = [chain(1000, 0.35, 0.034, rng) for _ in range(200)]
    results = [christoffersen(r.transitions) for r in runs]
    assert np.mean([r.rejects() for r in results]) > 0.9
    assert np.mean([r.direction == "too low" for r in results]) > 0.95


def test_coverage_counts_all_periods_or_only_those_with_a_predecessor() -> None:
    hits = [1] + [0, 0, 1, 0] * 10
    counts = Counts.of(hits)
    t = counts.transitions
    by_periods = conditional_coverage(counts.n, counts.x, t, 0.95)
    by_pairs = conditional_coverage(counts.n, counts.x, t, 0.95, coverage_over="pairs")
    independence = christoffersen(t).statistic
    assert by_periods.statistic == pytest.approx(kupiec(41, 11, 0.95).statistic + independence)
    assert by_pairs.statistic == pytest.approx(kupiec(40, 10, 0.95).statistic + independence)
    # the pairs form is the ratio of the chain against independent draws at the promised rate
    bound = 10 * math.log(0.05) + 30 * math.log(0.95)
    rows = (t.n00 + t.n01, t.n10 + t.n11)
    free = sum(
        k * math.log(k / m)
        for k, m in ((t.n00, rows[0]), (t.n01, rows[0]), (t.n10, rows[1]), (t.n11, rows[1]))
        if k
    )
    assert by_pairs.statistic == pytest.approx(2.0 * (free - bound))


def test_counts_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DataError, match="9 pairs"):
        conditional_coverage(10, 1, Transitions(5, 1, 1, 0), 0.95)
    with pytest.raises(DataError, match="coverage_over"):
        conditional_coverage(
            8,
            1,
            Transitions(5, 1, 1, 0),
            0.95,
            coverage_over="all",  # type: ignore[arg-type]
        )


def test_time_between_failures_adds_up_the_waits() -> None:
    counts = Counts.of([0, 0, 1, 1, 0, 0, 0, 1, 0, 0])
    waits = sum(tuff(gap, 0.95).statistic for gap in (3, 1, 4))
    alone = time_between_failures(counts, 0.95, mixed=False)
    assert alone.statistic == pytest.approx(waits)
    assert alone.law == "chi2(3)"
    mixed = time_between_failures(counts, 0.95)
    assert mixed.statistic == pytest.approx(waits + kupiec(10, 3, 0.95).statistic)
    assert mixed.law == "chi2(4)"


def test_without_an_exceedance_there_is_no_wait_to_test() -> None:
    counts = Counts.of([0] * 250)
    alone = time_between_failures(counts, 0.99, mixed=False)
    assert (alone.statistic, alone.p_value) == (0.0, 1.0)
    mixed = time_between_failures(counts, 0.99)
    assert mixed.statistic == kupiec(250, 0, 0.99).statistic
    assert mixed.law == "chi2(1)"
    assert mixed.note
