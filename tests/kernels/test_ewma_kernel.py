"""The running EWMA against its definition: a sum over the sample with a weight for each age."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.market import TickBatch, Universe
from rtre.windows.ewma import EwmaVariance
from rtre.windows.lines import Lines

DECAYS = (0.5, 0.94, 1.0)


def make(window: int) -> Lines:
    return Lines(
        Universe(("A", "B")),
        {"book": {"A": -2.0, "B": 1.0}},
        window=window,
        interval_ns=10,
        jump=1e15,
    )


def by_definition(sample: np.ndarray, decay: float) -> float:
    ages = np.arange(len(sample))[::-1]
    weights = [decay**age for age in ages.tolist()]
    return math.fsum(w * x * x for w, x in zip(weights, sample.tolist(), strict=True)) / math.fsum(
        weights
    )


@given(
    st.lists(st.one_of(st.none(), st.floats(-0.3, 0.3), st.just(0.0)), max_size=30),
    st.integers(2, 6),
    st.sampled_from(DECAYS),
)
@settings(max_examples=120, deadline=None)
def test_the_recursion_is_the_weighted_sum(
    script: list[float | None], window: int, decay: float
) -> None:
    lines = make(window)
    variance = lines.tracker(EwmaVariance, decay)
    price = 100.0
    for k, move in enumerate(script, 1):
        lines.open_row(k)
        lines.apply(TickBatch.of(1, 50.0 + k % 3, 10 * k), 0)
        if move is not None:
            price *= 1.0 + move
            lines.apply(TickBatch.of(0, price, 10 * k + 1), 0)
        which = np.array([0, 1, 2])
        for line, (got, n) in zip(which.tolist(), variance.of(which), strict=True):
            sample = lines.sample(line)
            assert n == len(sample)
            if not len(sample):
                assert math.isnan(got)
                continue
            # what was subtracted on leaving is known to 1e-16 of the largest square
            unit = float(np.max(sample * sample))
            assert got == pytest.approx(by_definition(sample, decay), rel=1e-9, abs=1e-9 * unit)


def test_a_huge_return_leaves_no_trace_once_it_is_out() -> None:
    rng = np.random.default_rng(3)
    for decay in DECAYS:
        lines = make(8)
        variance = lines.tracker(EwmaVariance, decay)
        prices = [100.0, 100.1, *(1e12 * np.exp(1e-4 * rng.standard_normal(12).cumsum()))]
        for k, price in enumerate(prices, 1):
            lines.open_row(k)
            lines.apply(TickBatch.of(0, price, 10 * k), 0)
        got = variance.of(np.array([0]))[0, 0]
        assert got == pytest.approx(by_definition(lines.sample(0), decay), rel=1e-9)


def test_a_late_tick_is_in_the_variance_at_once_and_after_the_roll() -> None:
    lines = make(6)
    variance = lines.tracker(EwmaVariance, 0.9)
    for k in range(1, 5):
        lines.open_row(k)
        lines.apply(TickBatch.of([0, 1], [100.0 + k, 50.0 + k], 10 * k), 0)
    lines.open_row(5)
    lines.apply(TickBatch.of(0, 106.0, 51), 0)
    lines.apply(TickBatch.of(1, 60.0, 49), 0)  # into interval 4, which is closed
    for _ in range(2):
        got = variance.of(np.array([1]))[0, 0]
        assert got == pytest.approx(by_definition(lines.sample(1), 0.9), rel=1e-12)
        lines.open_row(6)


def test_a_whole_number_as_decay_is_the_same_statistic() -> None:
    lines = make(4)
    assert lines.tracker(EwmaVariance, 1) is lines.tracker(EwmaVariance, 1.0)
