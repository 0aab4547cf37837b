"""The parts of the hot path by themselves; `tests/windows/test_windows_lines.py` has the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels import arenas, layout, roll, ticks
from rtre.kernels.books import reprice
from rtre.market import TickBatch

TIME = 1_000


def state(window: int = 4, confirm: int = 3, jump: float = 0.1) -> layout.State:
    return arenas.new_state(
        n_assets=2, window=window, interval_ns=10, lead_ns=5, jump=jump, confirm=confirm,
        holdings=[(1, 0, -3.0), (0, 0, 2.0)], n_books=1,
    )  # fmt: skip


def apply(arenas: layout.State, batch: TickBatch, start: int = 0) -> int:
    return ticks.apply_ticks(*arenas, batch.block, start, len(batch))


def test_the_call_ends_at_the_tick_that_needs_a_row_and_has_not_touched_it() -> None:
    arenas = state()
    batch = TickBatch.of(0, [100.0, 101.0, 102.0], [TIME, TIME + 1, TIME + 10])
    assert apply(arenas, batch) == 0
    assert layout.counts(arenas[1]).sum() == 0
    roll.open_row(*arenas, TIME // 10)
    assert apply(arenas, batch) == 2
    assert layout.counts(arenas[1]).tolist() == [2, 0, 0, 0, 0, 0]
    assert layout.prices(*arenas)[0, layout.LAST] == 101.0
    roll.open_row(*arenas, TIME // 10 + 1)
    assert apply(arenas, batch, 2) == 3


def test_the_last_nanosecond_of_all_opens_a_row_like_any_other() -> None:
    arenas = state()
    last = 2**63 - 1
    batch = TickBatch.of(0, 100.0, last)
    assert apply(arenas, batch) == 0
    assert layout.counts(arenas[1]).sum() == 0
    roll.open_row(*arenas, last // 10)
    assert apply(arenas, batch) == 1
    assert layout.clocks(arenas[1])[0, layout.C_INTERVAL] == last // 10


def test_the_first_and_the_last_nanosecond_of_an_interval_lie_in_it() -> None:
    arenas = state()
    for first in (0, 10, 40):  # the first interval of all, the next one, and one after a gap
        batch = TickBatch.of(0, [100.0] * 3, [first + (first == 0), first + 9, first + 10])
        assert apply(arenas, batch) == 0
        roll.open_row(*arenas, first // 10)
        assert apply(arenas, batch) == 2
    early = TickBatch.of(1, [7.0, 7.1], [19, 40])
    assert apply(arenas, early) == 2
    clocks = layout.clocks(arenas[1])
    assert clocks[1, [layout.C_BASE_INTERVAL, layout.C_INTERVAL]].tolist() == [1, 4]


@pytest.mark.parametrize(
    ("asset", "price", "event", "init", "verdict"),
    [
        (-1, 100.0, TIME, TIME, layout.UNKNOWN_ASSET),
        (2, 100.0, TIME, TIME, layout.UNKNOWN_ASSET),
        (-(2**31), 100.0, TIME, TIME, layout.UNKNOWN_ASSET),
        (2**31 - 1, 100.0, TIME, TIME, layout.UNKNOWN_ASSET),
        (0, math.nan, TIME, TIME, layout.BAD_PRICE),
        (0, math.inf, TIME, TIME, layout.BAD_PRICE),
        (0, -math.inf, TIME, TIME, layout.BAD_PRICE),
        (0, -0.0, TIME, TIME, layout.BAD_PRICE),
        (0, 5e-324, TIME, TIME, layout.BAD_PRICE),
        (0, 9e-31, TIME, TIME, layout.BAD_PRICE),
        (0, 2e30, TIME, TIME, layout.BAD_PRICE),
        (0, 100.0, 0, TIME, layout.BAD_TIME),
        (0, 100.0, -1, TIME, layout.BAD_TIME),
        (0, 100.0, -(2**63), -(2**63), layout.BAD_TIME),
        (0, 100.0, TIME + 6, TIME, layout.BAD_TIME),
        (0, 100.0, TIME + 5, TIME, layout.APPLIED),
        (0, 100.0, 2**63 - 1, 2**63 - 1, layout.APPLIED),
        (0, 100.0, 1, TIME, layout.LATE),
        (0, 1e-30, TIME, TIME, layout.QUARANTINED),
        (0, 1e30, TIME, TIME, layout.QUARANTINED),
        (0, 89.0, TIME, TIME, layout.QUARANTINED),
        (0, 91.0, TIME, TIME, layout.APPLIED),
    ],
)
def test_a_tick_is_judged_by_price_time_and_asset(
    asset: int, price: float, event: int, init: int, verdict: int
) -> None:
    floats, ints = arenas = state()
    roll.open_row(*arenas, TIME // 10)
    apply(arenas, TickBatch.of(0, 100.0, TIME))
    prices, clocks = layout.prices(floats, ints), layout.clocks(ints)
    assert ticks.judge(floats, ints, prices, clocks, asset, price, event, init) == verdict


@pytest.mark.parametrize(
    ("price", "suspect", "want"),
    [
        (50.0, 50.0, True),
        (54.9, 50.0, True),
        (55.1, 50.0, False),  # nearer to the last price, and not near the suspect
        (20.0, 50.0, True),  # further out
        (150.0, 50.0, False),
        (200.0, 150.0, True),
        (120.0, 150.0, False),
        (50.0, math.nan, False),
    ],
)
def test_an_outlier_agrees_near_the_suspect_or_beyond_it(
    price: float, suspect: float, want: bool
) -> None:
    assert ticks.agrees(price, suspect, 100.0, 0.1) == want


def test_rows_are_found_round_the_ring_and_only_those_there_are() -> None:
    _, ints = arenas = state(window=4)
    opened = [3, 4, 8, 9, 11, 20]
    for interval in opened:
        roll.open_row(*arenas, interval)
    rows = layout.rows(ints)
    for interval in range(25):
        slot = ticks.find_row(ints, interval)
        if interval in opened[-4:]:
            assert rows[slot] == interval
        elif interval < 20:
            assert slot == -1


@given(
    st.lists(st.one_of(st.just(math.nan), st.floats(-1.0, 1.0)), max_size=40),
    st.floats(-1e6, 1e6),
)
@settings(deadline=None)
def test_repricing_adds_to_observed_rows_and_leaves_masked_ones(
    column: list[float], change: float
) -> None:
    pnl = np.arange(len(column), dtype=float)
    reprice(pnl, np.array(column), change)
    for s, (got, r) in enumerate(zip(pnl.tolist(), column, strict=True)):
        if math.isnan(r):
            assert got == s
        else:
            # one product and one sum, or both in one rounding where the CPU can
            assert got == pytest.approx(s + change * r, rel=1e-15, abs=1e-9)
