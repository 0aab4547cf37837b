"""Counting of exceedances against a plain loop."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.backtest.exceedances import Counts, Transitions, exceedances
from rtre.errors import DataError

marks = st.lists(st.booleans(), min_size=1, max_size=60)


@given(marks)
def test_counts_agree_with_a_plain_loop(hits: list[bool]) -> None:
    counts = Counts.of(hits)
    pairs = {(a, b): 0 for a in (False, True) for b in (False, True)}
    for before, now in itertools.pairwise(hits):
        pairs[before, now] += 1
    want = Transitions(pairs[0, 0], pairs[0, 1], pairs[1, 0], pairs[1, 1])
    assert counts.transitions == want
    assert (counts.n, counts.x) == (len(hits), sum(hits))
    assert counts.positions == tuple(i + 1 for i, hit in enumerate(hits) if hit)
    assert counts.first == (hits.index(True) + 1 if any(hits) else None)
    assert sum(counts.gaps) == (counts.positions[-1] if counts.positions else 0)
    assert all(gap >= 1 for gap in counts.gaps)


def test_a_loss_equal_to_its_forecast_is_no_exceedance() -> None:
    assert exceedances([2.0, 2.0001], [2.0, 2.0]).tolist() == [False, True]


def test_an_infinite_forecast_is_never_beaten() -> None:
    assert not exceedances([1e300], [math.inf]).any()


def test_the_ratio_of_a_right_forecast_is_near_one() -> None:
    rng = np.random.default_rng(1)
    counts = Counts.of(exceedances(rng.normal(size=100_000), np.full(100_000, 1.6448536)))
    assert counts.ratio(0.95) == pytest.approx(1.0, abs=0.045)  # three binomial standard errors


@pytest.mark.parametrize(
    ("losses", "var", "words"),
    [
        ([1.0], [1.0, 2.0], "one value a period"),
        ([], [], "empty"),
        ([1.0, math.nan], [1.0, 1.0], "1 of 2 values of losses are NaN"),
        ([1.0, 1.0], [math.nan, math.nan], "2 of 2 values of var are NaN"),
        ([[1.0]], [[1.0]], "one value a period"),
    ],
)
def test_series_that_cannot_be_compared_are_refused(
    losses: list[float], var: list[float], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        exceedances(losses, var)


def test_marks_are_zeros_and_ones() -> None:
    with pytest.raises(DataError, match="zeros and ones"):
        Counts.of([0.0, 2.0])


def test_transitions_cannot_be_negative() -> None:
    with pytest.raises(DataError, match="negative"):
        Transitions(1, -1, 0, 0)
