"""Tails of books from candidates: after each tick what a sort of the whole P&L gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels import layout
from rtre.kernels.candidates import copy_front, displacement, merge, read_front, settle
from rtre.kernels.snapshot import take_peaks
from rtre.market import TickBatch, Universe
from rtre.models.historical import tail_of_sorted
from rtre.order import tail_ranks
from rtre.sheet import RESULTS, Sheet
from rtre.windows.lines import Evaluation, Lines

N, WINDOW, SECOND = 4, 150, 10**9
CONFIDENCES = (0.9, 0.97)
UNIVERSE = Universe(tuple("ABCD"))
BOOKS = {
    "long": {"A": 1.0, "B": 2.0, "C": 3.0},
    "hedged": {"A": 5.0, "B": -4.0, "D": -1.0},
    "one": {"D": -2.0},
}
EVALUATIONS: tuple[Evaluation, ...] = ("every-tick", "per-batch")


class Market:
    """Random ticks into `Lines`, and the tails that a sort gives."""

    def __init__(self, evaluation: Evaluation, seed: int, window: int = WINDOW) -> None:
        self.lines = Lines(
            UNIVERSE, BOOKS, window=window, interval_ns=SECOND, jump=10.0,
            confidences=CONFIDENCES, evaluation=evaluation,
        )  # fmt: skip
        self.rng = np.random.default_rng(seed)
        self.interval = 1_000
        self.level = 100.0 * np.exp(self.rng.normal(size=N))

    def tick(self, asset: int, price: float, interval: int | None = None) -> None:
        at = (self.interval if interval is None else interval) * SECOND
        self.level[asset] = price
        batch = TickBatch.of(asset, price, at)
        if self.lines.apply(batch, 0) == 0:
            self.lines.open_row(self.interval)
            assert self.lines.apply(batch, 0) == 1

    def step(self, asset: int, size: float) -> None:
        self.tick(asset, self.level[asset] * math.exp(size * self.rng.standard_t(3)))

    def close(self, size: float, assets: range = range(N)) -> None:
        self.interval += 1
        for asset in assets:
            self.step(asset, size)

    def fill(self, size: float = 1e-2) -> None:
        for _ in range(self.lines.window + 5):
            self.close(size)

    def watched(self, what: int) -> int:
        return int(layout.watch(self.lines.ints)[:, what].sum())

    def check(self) -> None:
        """Every line against brute force. P&L of some 500 with 1e-15 each a tick: 1e-11 of that."""
        lines = self.lines
        which = np.flatnonzero(lines.observations() >= 2)
        out = np.full((len(lines), 2, RESULTS), math.nan)
        lines.tails(which, out)
        kept = layout.tails(lines.floats, lines.ints)
        for line in which.tolist():
            losses = np.sort(0.0 - self.pnl(line))[::-1]
            for c, confidence in enumerate(CONFIDENCES):
                want = tail_of_sorted(losses, tail_ranks(len(losses), confidence))
                wanted = (want.var, want.es, want.var_low, want.var_high, want.es_se)
                assert out[line, c] == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True)
                assert out[line, c, 0] == want.var, "to the bit, whatever the evaluation"
                if lines.every_tick:
                    assert kept[line, c, :2] == pytest.approx(wanted[:2], rel=1e-9, abs=1e-9)

    def pnl(self, line: int) -> np.ndarray:
        lines = self.lines
        if line < N:
            units = {UNIVERSE.symbols[line]: float(lines.net[line])}
        else:
            units = list(BOOKS.values())[line - N]
        assets = [UNIVERSE.asset(s) for s in units]
        rows = np.zeros(lines.window)
        for asset, quantity in sorted(zip(assets, units.values(), strict=True)):
            rows += quantity * lines.last[asset] * lines.returns[asset]
        return np.asarray(rows[~np.isnan(rows)])


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_small_steps_keep_the_candidates_and_the_tail_is_exact(evaluation: Evaluation) -> None:
    market = Market(evaluation, 1)
    market.fill()
    market.check()
    before = market.watched(layout.W_REBUILDS)
    for k in range(600):
        market.step(k % N, 1e-5)
        market.check()
    assert market.watched(layout.W_COUNT) < 3 * WINDOW, "some rows are no candidates"
    assert market.watched(layout.W_REBUILDS) - before <= 3
    assert market.watched(layout.W_FALLBACKS) == 0


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_intervals_close_without_a_new_choice_each_time(evaluation: Evaluation) -> None:
    market = Market(evaluation, 2)
    market.fill()
    market.check()
    before = market.watched(layout.W_REBUILDS)
    closes = 60
    for _ in range(closes):
        market.close(1e-4)
        market.check()
        for k in range(40):
            market.step(k % N, 1e-5)
        market.check()
    assert market.watched(layout.W_REBUILDS) - before < 3 * closes / 4


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_large_steps_make_a_book_fall_back_and_it_returns_at_the_close(
    evaluation: Evaluation,
) -> None:
    market = Market(evaluation, 3)
    market.fill()
    for _ in range(20):
        for asset in range(N):
            market.step(asset, 0.5)
        market.check()
    assert market.watched(layout.W_FALLBACKS) >= 1
    assert market.watched(layout.W_TOUCHED) >= 1
    work = {book.name: book for book in market.lines.work()}
    assert any(book.touched and book.candidates == 0 for book in work.values())
    assert sum(book.fallbacks for book in work.values()) == market.watched(layout.W_FALLBACKS)
    market.close(1e-4)
    market.check()
    assert market.watched(layout.W_TOUCHED) == 0
    for k in range(300):
        market.step(k % N, 1e-6)
        market.check()


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_a_price_that_returns_to_its_old_value_restores_the_floor(evaluation: Evaluation) -> None:
    market = Market(evaluation, 4)
    market.fill()
    market.check()
    floors = layout.limits(market.lines.floats, market.lines.ints)[:, layout.L_FLOOR]
    before, price = floors.copy(), market.level[0]
    for _ in range(50):  # a prototype marked assets as changed by "no change yet", and overflowed
        market.tick(0, price * 1.0001)
        market.check()
        assert (floors <= before).all()
        market.tick(0, price)
        market.check()
        np.testing.assert_allclose(floors, before, rtol=1e-12)


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_late_ticks_gaps_and_silent_assets_leave_the_tail_exact(evaluation: Evaluation) -> None:
    market = Market(evaluation, 5)
    market.fill()
    rng = market.rng
    for k in range(300):
        draw = rng.random()
        if draw < 0.1:
            market.close(1e-3, range(1, N))  # A is silent: its books miss the row
        elif draw < 0.15:
            market.interval += 3
            market.close(1e-3)
        elif draw < 0.25:
            newest = market.lines.clocks[:, layout.C_INTERVAL].tolist()
            for asset, interval in enumerate(newest):
                if 0 < interval < market.interval:
                    market.tick(asset, market.level[asset] * 1.01, interval)
        elif draw < 0.3:
            market.lines.break_chain(int(rng.integers(N)))
        else:
            market.step(k % N, 1e-4)
        market.check()


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_large_late_ticks_at_each_boundary_leave_the_tail_exact(evaluation: Evaluation) -> None:
    market = Market(evaluation, 12)
    market.fill()
    for _ in range(40):
        market.close(1e-3, range(0, 1))  # one opens the interval, the others are late for the last
        for asset in range(1, N):
            move = 1.0 + float(market.rng.choice([-0.05, 0.05]))
            market.tick(asset, market.level[asset] * move, market.interval - 1)
        market.check()
        for asset in range(1, N):
            market.step(asset, 1e-4)
            market.check()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_book_that_touches_all_rows_stays_current_while_a_row_is_incomplete(seed: int) -> None:
    market = Market("every-tick", seed)
    market.fill()
    for _ in range(20):
        for asset in range(N):
            market.step(asset, 0.5)
    assert market.watched(layout.W_TOUCHED) >= 1
    for asset in (0, 1):
        market.lines.break_chain(asset)  # the next return of each is masked
    for k in range(100):
        market.step(k % N, 0.3)
        market.check()


def test_a_hedge_to_the_last_digit_is_no_drift() -> None:
    universe = Universe(("A", "B"))
    lines = Lines(
        universe, {"pair": {"A": 3.0, "B": -1.0}}, window=150, interval_ns=SECOND, jump=10.0,
        confidences=CONFIDENCES, evaluation="every-tick",
    )  # fmt: skip
    rng = np.random.default_rng(3)
    price = 100.0
    for interval in range(1_000, 1_400):
        price *= math.exp(1e-2 * rng.standard_t(3))
        batch = TickBatch.of([0, 1], [price, 3.0 * price], interval * SECOND)
        lines.open_row(interval)
        assert lines.apply(batch, 0) == 2
        layout.watch(lines.ints)[:, layout.W_SINCE] = 10**9  # an audit each time
    assert lines.work()[0].drift < 1e-12


@given(
    st.lists(
        st.tuples(
            st.integers(0, N - 1),
            st.sampled_from([0.0, 1e-9, 1e-6, 1e-4, 1e-2, 0.3, -0.3, -1e-4, -1e-9]),
            st.sampled_from([0, 0, 0, 0, 1, 2]),
        ),
        max_size=60,
    ),
    st.sampled_from([2, 3, 60, 100]),
    st.sampled_from(EVALUATIONS),
)
@settings(max_examples=60, deadline=None)
def test_any_moves_give_what_a_sort_gives(
    moves: list[tuple[int, float, int]], window: int, evaluation: Evaluation
) -> None:
    market = Market(evaluation, 6, window)
    market.fill()
    for asset, move, gap in moves:
        market.interval += gap
        market.tick(asset, market.level[asset] * (1.0 + move))
        market.check()


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_equal_and_constant_rows_are_all_the_same_tail(evaluation: Evaluation) -> None:
    market = Market(evaluation, 7)
    for _ in range(WINDOW + 5):
        market.close(0.0)
    market.check()
    for k in range(50):
        market.step(k % N, 0.0 if k % 2 else 1e-3)
        market.check()


def test_an_audit_finds_the_drift_of_many_ticks_and_it_is_tiny() -> None:
    market = Market("every-tick", 8)
    market.fill()
    for k in range(2000):
        market.step(k % N, 1e-6)
    layout.watch(market.lines.ints)[:, layout.W_SINCE] = 10**9  # an audit is due
    for k in range(N):
        market.step(k, 1e-6)
    drift = layout.limits(market.lines.floats, market.lines.ints)[:, layout.L_DRIFT]
    assert (drift > 0.0).all()
    # 2,000 roundings of 1e-16 each, at random
    assert (drift < 1e-12).all()


def test_a_drift_that_rounding_cannot_explain_stops_the_engine() -> None:
    market = Market("every-tick", 8)
    market.fill()
    values = layout.values(market.lines.floats, market.lines.ints)
    values[0, :5] *= 1.0 + 1e-6  # as a bug would
    layout.watch(market.lines.ints)[:, layout.W_SINCE] = 10**9
    with pytest.raises(RuntimeError, match="drifted"):
        market.step(0, 1e-6)


def test_peaks_hold_the_highest_of_the_ticks_since_they_were_taken() -> None:
    market = Market("every-tick", 9)
    market.fill()
    lines = market.lines
    sheet = Sheet.empty(N, len(BOOKS), 2)

    def take(factor: float) -> np.ndarray:
        take_peaks(lines.floats, lines.ints, sheet.block, factor)
        return sheet.peaks.copy()

    take(1.0)
    kept = layout.tails(lines.floats, lines.ints)
    seen = [kept[:, :, :2].copy()]
    for k in range(100):
        market.step(k % N, 1e-2)
        seen.append(kept[:, :, :2].copy())
    np.testing.assert_array_equal(take(10.0), 10.0 * np.max(seen, axis=0))
    np.testing.assert_array_equal(take(1.0), seen[-1])
    sheet.values[:] = 1e9
    assert (take(1.0) == 1e9).all(), "no peak lies below what is shown beside it"


@given(st.floats(-1e6, 1e6), st.floats(-1.0, 0.0), st.floats(0.0, 10.0), st.floats(0.0, 1.0))
@settings(deadline=None)  # the first call may compile
def test_no_return_between_the_extremes_loses_more_than_the_displacement(
    change: float, low: float, high: float, where: float
) -> None:
    r = min(max(low + where * (high - low), low), high)
    bound = displacement(change, low, high)
    assert bound >= 0.0
    assert change * r >= -bound


pnl_of_rows = st.one_of(st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0]), st.floats(-3.0, 3.0))


@given(st.lists(pnl_of_rows, min_size=1, max_size=12), st.data())
@settings(deadline=None)
def test_a_front_is_taken_as_it_stands_if_it_is_the_lowest_in_order_and_only_then(
    rows: list[float], data: st.DataObject
) -> None:
    values, count = np.array([*rows, -9.0]), len(rows)  # what lies behind `count` is no candidate
    want = data.draw(st.integers(1, count))
    sort = np.argsort(values[:count], kind="stable")
    swap = data.draw(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)))
    sort[list(swap)] = sort[list(swap[::-1])]
    order, out = np.array([*sort, count]), np.full(count + 1, math.nan)
    lowest = sorted(rows)[:want]
    right = [rows[place] for place in sort[:want]] == lowest
    assert read_front(values, order, count, want, out) == right
    if not right:
        settle(values, order, count, want)
        copy_front(values, order, want, out)
    assert out[:want].tolist() == lowest
    assert sorted(order[:count].tolist()) == list(range(count))


@given(st.lists(pnl_of_rows, max_size=8), pnl_of_rows, st.booleans())
@settings(deadline=None)
def test_the_open_row_goes_among_the_worst_where_it_belongs(
    rows: list[float], newest: float, more: bool
) -> None:
    want = len(rows) + int(more or not rows)  # one more than the others, or all places taken
    out = np.array([*sorted(rows), math.nan])
    merge(newest, len(rows), want, out)
    assert out[:want].tolist() == sorted([*rows, newest])[:want]
