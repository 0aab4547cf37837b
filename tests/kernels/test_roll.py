"""Opening a row: what leaves, what opens, and that the books are then exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels import layout, roll
from rtre.market import Quality, TickBatch, Universe
from rtre.windows.lines import Lines

UNIVERSE = Universe(("A", "B"))


def make(window: int = 3) -> Lines:
    return Lines(UNIVERSE, {"b": {"A": 2.0, "B": -1.0}}, window=window, interval_ns=10)


def fill(lines: Lines, first: int, prices: list[float]) -> None:
    for k, price in enumerate(prices, first):
        lines.open_row(k)
        lines.apply(TickBatch.of([0, 1], [price, 2 * price], 10 * k), 0)


def test_the_oldest_row_leaves_a_full_ring_and_no_other() -> None:
    lines = make()
    fill(lines, 5, [100.0, 101.0, 102.0])
    assert (lines.rows, lines.oldest, lines.head) == (3, 0, 2)
    lines.open_row(8)
    assert (lines.rows, lines.oldest, lines.head) == (3, 1, 0)
    assert layout.rows(lines.ints).tolist() == [8, 6, 7]
    assert lines.observed.tolist() == [2, 2]
    assert np.isnan(lines.returns[:, 0]).all()


def test_a_window_of_two_holds_the_open_interval_and_one_before() -> None:
    lines = make(window=2)
    fill(lines, 1, [100.0, 101.0, 99.0, 98.0])
    assert lines.observed.tolist() == [2, 2]
    assert lines.sample(0).tolist() == [
        2.0 * 98.0 * (99.0 / 101.0 - 1.0),
        2.0 * 98.0 * (98.0 / 99.0 - 1.0),
    ]
    assert lines.complete.tolist() == [2]


@given(st.lists(st.floats(90.0, 110.0), min_size=1, max_size=12), st.integers(2, 5))
@settings(deadline=None)
def test_complete_rows_are_counted_as_they_come_and_go(prices: list[float], window: int) -> None:
    lines = make(window)
    fill(lines, 1, prices)
    order = (lines.oldest + np.arange(lines.rows)) % lines.window
    assert np.count_nonzero(lines.missing[0, order] == 0) == lines.complete[0]


def test_after_a_roll_everything_is_to_be_evaluated_again() -> None:
    lines = make()
    fill(lines, 1, [100.0])
    lines.dirty[:] = 0
    lines.apply(TickBatch.of(0, 100.5, 12), 0)
    assert lines.dirty.tolist() == [layout.CHANGED, 0, layout.CHANGED]
    lines.open_row(2)
    assert lines.dirty.tolist() == [layout.CHANGED | layout.CLOSED] * 3


def test_the_price_at_which_an_interval_began_is_kept() -> None:
    lines = make()
    fill(lines, 1, [100.0, 101.0])
    close = lines.prices[:, layout.CLOSE]
    assert close.tolist() == [100.0, 200.0]
    lines.open_row(3)
    assert close.tolist() == [101.0, 202.0]


@pytest.mark.parametrize("ticks_after", [0, 1])
def test_a_gap_is_over_when_an_interval_was_seen_from_end_to_end(ticks_after: int) -> None:
    lines = make()
    fill(lines, 1, [100.0, 101.0])
    lines.flags[0] = int(Quality.GAP)
    roll.break_chain(lines.ints, 0)
    if ticks_after:
        lines.apply(TickBatch.of(0, 101.5, 25), 0)
        assert math.isnan(lines.returns[0, lines.head])
    lines.open_row(3)
    assert lines.flags[0] == Quality.GAP
    lines.apply(TickBatch.of(0, 101.7, 31), 0)
    lines.open_row(4)
    assert lines.flags[0] == (0 if ticks_after else Quality.GAP)
