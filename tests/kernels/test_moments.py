"""Running moments against exact sums of fractions, over everything a window can go through."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels.moments import MOMENTS, of_book
from rtre.market import TickBatch, Universe
from rtre.windows.lines import Lines
from rtre.windows.moments import LineMoments

moves = st.lists(
    st.one_of(st.none(), st.floats(-0.3, 0.3), st.sampled_from([0.0, 0.05, -0.05])), max_size=30
)


def make(window: int, units: float = 3.0) -> Lines:
    return Lines(
        Universe(("A", "B")),
        {"book": {"A": units, "B": 1.0}},
        window=window,
        interval_ns=10,
        jump=1e15,
    )


def exact(values: list[float], ddof: int) -> tuple[float, float]:
    """Mean and standard deviation with no rounding before the last step."""
    n = len(values)
    fractions = [Fraction(v) for v in values]
    mean = sum(fractions, Fraction(0)) / n
    squares = sum(((f - mean) ** 2 for f in fractions), Fraction(0))
    return float(mean), math.sqrt(squares / (n - ddof)) if n > ddof else math.nan


@given(moves, st.integers(2, 6), st.integers(0, 1))
@settings(max_examples=120, deadline=None)
def test_rolling_moments_are_the_exact_ones(
    script: list[float | None], window: int, ddof: int
) -> None:
    lines = make(window)
    moments = lines.tracker(LineMoments)
    price = 100.0
    largest = [0.0, 0.0, 0.0]
    for k, move in enumerate(script, 1):
        lines.open_row(k)
        lines.apply(TickBatch.of(1, 50.0 + k % 3, 10 * k), 0)
        if move is not None:
            price *= 1.0 + move
            lines.apply(TickBatch.of(0, price, 10 * k + 1), 0)
        which = np.array([0, 1, 2])
        for line, (mean, sd, n) in zip(which.tolist(), moments.of(which, ddof), strict=True):
            sample = lines.sample(line).tolist()
            assert n == len(sample)
            if not sample:
                assert math.isnan(mean)
                continue
            want_mean, want_sd = exact(sample, ddof)
            # of the largest that has passed through: a sum keeps the rounding of what has left it
            unit = largest[line] = max(largest[line], *(abs(v) for v in sample))
            assert mean == pytest.approx(want_mean, rel=1e-12, abs=1e-13 * unit)
            # sums of squares about zero: the square root halves the digits that are left when a
            # sample hardly varies
            assert sd == pytest.approx(want_sd, rel=1e-9, abs=1e-7 * unit, nan_ok=True)


def test_a_huge_return_leaves_no_trace_once_it_is_out() -> None:
    lines = make(8)
    moments = lines.tracker(LineMoments)
    rng = np.random.default_rng(3)
    prices = list(100.0 * np.exp(1e-4 * rng.standard_normal(6).cumsum()))
    prices += [1e12, 1e12 * 1.0001]
    prices += list(1e12 * np.exp(1e-4 * rng.standard_normal(9).cumsum()))
    for k, price in enumerate(prices, 1):
        lines.open_row(k)
        lines.apply(TickBatch.of(0, price, 10 * k), 0)
        if len(prices) - k < 2:
            mean, sd, n = moments.of(np.array([0]), 1)[0]
            want_mean, want_sd = exact(lines.sample(0).tolist(), 1)
            assert n == 8
            assert (mean, sd) == pytest.approx((want_mean, want_sd), rel=1e-9)


def test_a_late_tick_is_in_the_moments_at_once_and_after_the_roll() -> None:
    lines = make(6)
    moments = lines.tracker(LineMoments)
    for k in range(1, 5):
        lines.open_row(k)
        lines.apply(TickBatch.of([0, 1], [100.0 + k, 50.0 + k], 10 * k), 0)
    lines.open_row(5)
    lines.apply(TickBatch.of(0, 106.0, 51), 0)
    lines.apply(TickBatch.of(1, 60.0, 49), 0)  # into interval 4, which is closed
    for _ in range(2):
        got = moments.of(np.array([1]), 1)[0, :2]
        np.testing.assert_allclose(got, exact(lines.sample(1).tolist(), 1), rtol=1e-12)
        lines.open_row(6)


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_constant_book_has_no_deviation(ddof: int) -> None:
    out = np.empty(MOMENTS)
    of_book(np.full(5, 0.1), np.zeros(5, np.int64), 5, ddof, out)
    assert out.tolist() == pytest.approx([0.1, 0.0, 5.0], abs=1e-16)


def test_a_book_of_one_row_has_no_sample_deviation() -> None:
    out = np.empty(MOMENTS)
    of_book(np.array([2.0, 9.0]), np.array([0, 1]), 2, 1, out)
    assert out[0] == 2.0
    assert math.isnan(out[1])
