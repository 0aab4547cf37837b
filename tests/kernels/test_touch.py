"""The worst scenarios found by `collect` against a sort of what numpy makes of the same ticks."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtre.kernels.books import reprice
from rtre.kernels.touch import MEMBERS, ROWS, SELECTIONS, collect, members_for, settle
from rtre.market import Float64, Int64

# ties, both zeros, the smallest numbers there are, and sizes that swallow all others
awkward = st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0, 1e150, -1e150])
returns = st.one_of(awkward, st.just(math.nan), st.floats(-0.1, 0.1), st.integers(-2, 2).map(float))
changes = st.one_of(st.floats(-10, 10), st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e100, -1e100]))
levels = st.one_of(awkward, st.floats(-100, 100), st.integers(-2, 2).map(float))


class Book:
    """A P&L vector as an engine would hold it, with its twin in numpy."""

    def __init__(self, pnl: Float64, missing: Int64, most: int) -> None:
        self.pnl, self.missing = pnl.copy(), missing
        self.twin = pnl.copy()
        self.state = np.zeros(ROWS + members_for(most), np.int64)
        self.buffer = np.full(len(pnl) + 1, math.nan)

    def tick(self, column: Float64, change: float, need: int) -> None:
        reprice(self.pnl, column, change)
        self.twin = self.twin + np.where(np.isnan(column), 0.0, change * column)
        self.ask(need)

    def ask(self, need: int) -> None:
        n = collect(self.pnl, self.missing, need, self.state, self.buffer)
        if n < 0:
            self.check(settle(self.pnl, self.missing, need, self.state, self.buffer), need)
            n = collect(self.pnl, self.missing, need, self.state, self.buffer)
            if n < 0:
                assert need > np.sum(self.missing == 0), "asked again, it has to answer"
                return
        self.check(n, need)

    def check(self, n: int, need: int) -> None:
        assert self.pnl.tobytes() == self.twin.tobytes()
        want = np.sort(self.twin[self.missing == 0])[:need]
        assert n == len(want)
        assert self.buffer[:n].tolist() == want.tolist()
        rows = self.state[ROWS : ROWS + self.state[MEMBERS]]
        assert len(set(rows.tolist())) == len(rows), "a row that is twice a member counts twice"


class Ticks(RuleBasedStateMachine):
    """A book that is repriced, asked, masked, and moved behind the state's back."""

    most: ClassVar[int] = 70  #: rows; more than two vectors of any CPU, and no multiple of one

    @initialize(data=st.data(), window=st.integers(1, most))
    def start(self, data: st.DataObject, window: int) -> None:
        of = npst.arrays(np.float64, (window,), elements=levels)
        self.columns = [
            data.draw(npst.arrays(np.float64, (window,), elements=returns)) for _ in range(2)
        ]
        self.book = Book(data.draw(of), np.zeros(window, np.int64), window)
        self.need = data.draw(st.integers(1, window))

    @rule(asset=st.integers(0, 1), change=changes)
    def tick(self, asset: int, change: float) -> None:
        self.book.tick(self.columns[asset], change, self.need)

    @rule()
    def ask(self) -> None:
        self.book.ask(self.need)

    @rule(data=st.data())
    def want_another_number(self, data: st.DataObject) -> None:
        self.need = data.draw(st.integers(1, len(self.book.pnl)))

    @rule(data=st.data(), gaps=st.integers(0, 2))
    def mask_a_row(self, data: st.DataObject, gaps: int) -> None:
        self.book.missing[data.draw(st.integers(0, len(self.book.pnl) - 1))] = gaps

    @rule(data=st.data(), level=levels)
    def move_a_row(self, data: st.DataObject, level: float) -> None:
        s = data.draw(st.integers(0, len(self.book.pnl) - 1))
        self.book.pnl[s] = self.book.twin[s] = level

    @rule(junk=st.sampled_from([math.nan, math.inf, -math.inf, 0.0]))
    def others_use_the_buffer(self, junk: float) -> None:
        self.book.buffer[:] = junk

    @invariant()
    def rows_stay_rows(self) -> None:
        if hasattr(self, "book"):
            rows = self.book.state[ROWS : ROWS + self.book.state[MEMBERS]]
            assert ((rows >= 0) & (rows < len(self.book.pnl))).all()


TestTicks = Ticks.TestCase
TestTicks.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def market(window: int, ticks: int, seed: int) -> tuple[Float64, Float64, Int64, Float64]:
    """P&L, returns (20, W) of fat tails and one common factor, and ticks of a few basis points."""
    rng = np.random.default_rng(seed)
    common = rng.standard_t(4, window) * 0.005
    columns = common + rng.standard_t(4, (20, window)) * 0.01
    positions = rng.standard_normal(20) * 1e4
    asset = rng.integers(0, 20, ticks)
    return positions @ columns, columns, asset, positions[asset] * rng.normal(0, 5e-4, ticks)


@pytest.mark.parametrize("need", [1, 4, 15, 64, 65, 299, 300])
def test_a_run_of_ticks_gives_what_a_sort_gives(need: int) -> None:
    pnl, columns, asset, change = market(300, 300, need)
    columns[3, ::7] = math.nan
    missing = np.zeros(300, np.int64)
    missing[::7] = 1
    book = Book(pnl, missing, need)  # a state of exactly the size that is asked for
    for i, dv in zip(asset, change, strict=True):
        book.tick(columns[i], dv, need)


def test_small_ticks_need_few_selections() -> None:
    pnl, columns, asset, change = market(300, 400, 1)
    book = Book(pnl, np.zeros(300, np.int64), 15)
    for i, dv in zip(asset, change, strict=True):
        book.tick(columns[i], dv, 15)
    assert book.state[SELECTIONS] <= 4  # 1 when this was written: the first


def test_incomplete_rows_in_the_tail_need_no_selection() -> None:
    pnl, columns, asset, change = market(300, 100, 2)
    missing = np.zeros(300, np.int64)
    missing[np.argsort(pnl)[:30:2]] = 1
    book = Book(pnl, missing, 10)
    for i, dv in zip(asset, change, strict=True):
        book.tick(columns[i], dv, 10)
    assert book.state[SELECTIONS] <= 4  # as above


def test_a_jump_that_turns_the_order_round_is_noticed() -> None:
    column = np.linspace(-1.0, 1.0, 100)
    book = Book(column * 5.0, np.zeros(100, np.int64), 10)
    for change in (0.0, -10.0, 0.0, 1e9, -2e9):
        book.tick(column, change, 10)
    assert book.state[SELECTIONS] == 4


def test_one_row_that_falls_below_all_members_is_noticed() -> None:
    book = Book(np.arange(100.0), np.zeros(100, np.int64), 10)
    book.ask(10)
    column = np.zeros(100)
    column[99] = -1.0
    book.tick(column, 99.5, 10)
    assert book.buffer[:3].tolist() == [-0.5, 0.0, 1.0]


def test_a_member_whose_row_becomes_incomplete_is_replaced() -> None:
    book = Book(np.arange(100.0), np.zeros(100, np.int64), 10)
    book.ask(10)
    book.missing[3], book.pnl[50], book.twin[50] = 1, -1.0, -1.0
    book.ask(10)
    assert book.buffer[:5].tolist() == [-1.0, 0.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("valid", [0, 1, 2])
def test_fewer_complete_rows_than_wanted_are_given_all(valid: int) -> None:
    missing = np.ones(40, np.int64)
    missing[:valid] = 0
    book = Book(-np.arange(40.0), missing, 5)
    for _ in range(3):
        book.tick(np.ones(40), 1.0, 5)
        book.ask(5)


def test_a_vector_of_one_value_is_no_special_case() -> None:
    book = Book(np.zeros(1000), np.zeros(1000, np.int64), 50)
    for change in (0.0, 1.0, -3.0):
        book.tick(np.ones(1000), change, 50)
    assert book.state[SELECTIONS] == 1


def test_ties_at_the_edge_of_the_selection_are_told_from_larger_values() -> None:
    book = Book(np.repeat([2.0, 1.0, 0.0], [20, 30, 1]), np.zeros(51, np.int64), 5)
    book.ask(5)
    assert book.buffer[:5].tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_members_chosen_for_many_are_let_go_when_few_are_wanted() -> None:
    book = Book(np.random.default_rng(1).standard_normal(900), np.zeros(900, np.int64), 500)
    book.ask(500)
    many = int(book.state[MEMBERS])
    book.ask(5)
    assert book.state[MEMBERS] < many / 10


@given(npst.arrays(np.float64, st.integers(1, 70), elements=levels), st.data())
@settings(max_examples=300, deadline=None)
def test_collect_answers_straight_after_settle_whatever_rows_are_incomplete(
    pnl: Float64, data: st.DataObject
) -> None:
    missing = data.draw(npst.arrays(np.int64, (len(pnl),), elements=st.integers(0, 2)))
    missing[data.draw(st.integers(0, len(pnl) - 1))] = 0
    need = data.draw(st.integers(1, int(np.sum(missing == 0))))
    book = Book(pnl, missing, need)
    assert settle(pnl, missing, need, book.state, book.buffer) == need
    book.buffer[:] = math.nan  # `collect` is not to live on what `settle` left there
    book.check(collect(pnl, missing, need, book.state, book.buffer), need)


def test_an_incomplete_row_below_all_others_does_not_keep_collect_from_answering() -> None:
    missing = np.zeros(100, np.int64)
    missing[0] = 1
    book = Book(np.arange(100.0), missing, 10)
    book.ask(10)
    for _ in range(3):
        book.check(collect(book.pnl, missing, 10, book.state, book.buffer), 10)
    assert book.state[SELECTIONS] == 1
