"""`Lines` against the slow twin, over arbitrary ticks; and the corners, one by one."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from grid_twin import GridTwin
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.kernels import layout
from rtre.market import TickBatch, Universe
from rtre.models.historical import tail_of_sorted
from rtre.order import tail_ranks
from rtre.sheet import RESULTS
from rtre.windows.lines import EVALUATIONS, Evaluation, Lines

INTERVAL = 10
UNIVERSE = Universe(("A", "B", "C"))
BOOKS = {"long": {"A": 2.0}, "mixed": {"A": 1.0, "B": -3.0}, "idle": {"C": 0.0}}
UNITS = [{0: 2.0}, {0: 1.0, 1: -3.0}, {}]


CONFIDENCES = (0.6, 0.9)


def make(
    window: int = 4, confirm: int = 3, evaluation: Evaluation = "on-demand"
) -> tuple[Lines, GridTwin]:
    lines = Lines(
        UNIVERSE, BOOKS, window=window, interval_ns=INTERVAL, lead_ns=5, jump=0.1, confirm=confirm,
        confidences=CONFIDENCES, evaluation=evaluation,
    )  # fmt: skip
    return lines, GridTwin(3, window, INTERVAL, 5, 0.1, confirm)


def feed(lines: Lines, batch: TickBatch) -> None:
    start = 0
    while start < len(batch):
        start = lines.apply(batch, start)
        if start < len(batch):
            lines.open_row(int(batch.ts_event_ns[start]) // INTERVAL)


def compare(lines: Lines, twin: GridTwin) -> None:
    """Everything that can be seen from outside, exactly; sums to their rounding."""
    order = (lines.oldest + np.arange(lines.rows)) % lines.window
    assert layout.rows(lines.ints)[order].tolist() == twin.rows
    for i, asset in enumerate(twin.assets):
        got = lines.returns[i, order].tolist()
        want = [asset.returns.get(row, math.nan) for row in twin.rows]
        assert repr(got) == repr(want), "returns are the very same bits"
        assert lines.observed[i] == sum(not math.isnan(r) for r in want)
        seen = sorted(r for r in want[:-1] if not math.isnan(r))
        ends = layout.ends(lines.floats, lines.ints)[i]
        low, high = lines.clocks[i, (layout.C_LOWEST, layout.C_HIGHEST)]
        assert ends[0, :low].tolist() == seen[:low]
        assert (-ends[1, :high]).tolist() == seen[::-1][:high]
        assert lines.last[i] == asset.last or (asset.last is None and math.isnan(lines.last[i]))
        assert lines.clocks[i, layout.C_CONFIRMED] == len(asset.outliers)
    for b, units in enumerate(UNITS):
        want_pnl = twin.pnl(units)
        got = lines.sample(len(UNIVERSE) + b)
        assert len(got) == lines.complete[b] == len(want_pnl)
        # a price of 100 and returns within an interval: some ten additions of size 1000 each
        np.testing.assert_allclose(got, list(want_pnl.values()), rtol=1e-9, atol=1e-8)
    compare_tails(lines)
    c = twin.counts
    assert lines.counts.tolist() == [
        c["applied"], c["price"], c["time"], c["late"], c["unknown"], c["quarantined"]
    ]  # fmt: skip


def compare_tails(lines: Lines) -> None:
    """Tails against a sort of the samples, which have been compared above."""
    n_obs = lines.observations()
    which = np.flatnonzero(n_obs >= 2)
    out = np.full((len(lines), len(CONFIDENCES), RESULTS), math.nan)
    lines.tails(which, out)
    kept = layout.tails(lines.floats, lines.ints)
    for line in range(len(lines)):
        if n_obs[line] < 2:
            assert np.isnan(kept[line]).all()
            continue
        losses = np.sort(0.0 - lines.sample(line))[::-1]
        for c, confidence in enumerate(CONFIDENCES):
            want = attrs.astuple(tail_of_sorted(losses, tail_ranks(len(losses), confidence)))[:5]
            want = [want[k] for k in (0, 1, 2, 3, 4)]
            np.testing.assert_allclose(out[line, c], want, rtol=1e-9, atol=1e-8)
            if lines.every_tick:  # kept by adding up ticks, within this test some hundred
                np.testing.assert_allclose(kept[line, c, :2], want[:2], rtol=1e-9, atol=1e-8)


prices = st.one_of(
    st.floats(95.0, 105.0),
    st.sampled_from(
        [100.0, 100.0, 101.0, 85.0, 70.0, 60.0, 130.0, 160.0, 0.0, -1.0, math.nan, math.inf, 1e-31]
    ),
)
ticks = st.tuples(
    st.integers(-1, 3),
    prices,
    st.integers(-25, 25),  # time since the newest tick so far
    st.sampled_from([0, 0, 0, 5, -5, -6, 1000]),  # receipt time less event time
)
steps = st.one_of(st.lists(ticks, min_size=1, max_size=12), st.integers(0, 2))


@pytest.mark.parametrize("evaluation", EVALUATIONS)
@given(script=st.lists(steps, max_size=12), window=st.integers(2, 5), confirm=st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_any_ticks_give_what_the_slow_twin_gives(
    evaluation: Evaluation,
    script: list[list[tuple[int, float, int, int]] | int],
    window: int,
    confirm: int,
) -> None:
    lines, twin = make(window, confirm, evaluation)
    now = 100
    for step in script:
        if isinstance(step, int):
            lines.break_chain(step)
            twin.lose(step)
            continue
        rows = []
        for asset, price, since, delay in step:
            event = now + since
            now = max(now, event)
            rows.append((asset, price, event, event + delay))
        asset_column, price_column, events, inits = (list(c) for c in zip(*rows, strict=True))
        batch = TickBatch.of(asset_column, price_column, events, ts_init_ns=inits)
        feed(lines, batch)
        twin.feed(batch)
        compare(lines, twin)


def test_an_interval_without_a_trade_is_a_mask_and_not_a_zero_return() -> None:
    lines, _ = make()
    feed(lines, TickBatch.of([0, 1, 0, 0], [100.0, 50.0, 101.0, 102.0], [101, 102, 111, 121]))
    assert lines.observed.tolist() == [2, 0, 0]
    assert np.isnan(lines.returns[1]).all()


def test_a_return_across_a_gap_in_time_is_masked() -> None:
    lines, _ = make()
    feed(lines, TickBatch.of(0, [100.0, 101.0, 105.0, 106.0], [101, 111, 191, 201]))
    order = (lines.oldest + np.arange(4)) % 4
    want = [math.nan, 101.0 / 100.0 - 1.0, math.nan, 106.0 / 105.0 - 1.0]
    assert repr(lines.returns[0, order].tolist()) == repr(want)
    assert lines.observed[0] == 2


def test_a_late_tick_amends_a_closed_interval() -> None:
    lines, _ = make()
    feed(lines, TickBatch.of([1, 0, 1, 0], [50.0, 100.0, 50.0, 101.0], [101, 102, 111, 112]))
    feed(lines, TickBatch.of(0, 100.5, 125))  # opens the next interval
    feed(lines, TickBatch.of(1, 51.0, 119))  # asset 1 is still in the one before
    closed = (lines.head - 1) % lines.window
    assert lines.returns[1, closed] == 51.0 / 50.0 - 1.0
    assert lines.dirty[1] & layout.CLOSED
    feed(lines, TickBatch.of(1, 52.0, 126))
    assert lines.returns[1, lines.head] == 52.0 / 51.0 - 1.0


def test_one_fat_finger_moves_nothing_and_three_prints_of_a_crash_do() -> None:
    lines, _ = make()
    feed(lines, TickBatch.of(0, [100.0, 1.0, 100.5], [101, 102, 103]))
    assert lines.last[0] == 100.5
    assert lines.clocks[0, layout.C_CONFIRMED] == 0
    feed(lines, TickBatch.of(0, [85.0, 85.1], [104, 105]))
    assert lines.last[0] == 100.5
    feed(lines, TickBatch.of(0, 85.2, 106))
    assert lines.last[0] == 85.2


def test_a_crash_whose_every_print_is_a_jump_below_the_last_is_believed_at_the_third() -> None:
    lines, _ = make()
    feed(lines, TickBatch.of(0, [100.0, 85.0, 72.0, 61.0], [101, 102, 103, 104]))
    assert lines.last[0] == 61.0


def test_outliers_on_both_sides_confirm_nothing() -> None:
    lines, _ = make()
    feed(lines, TickBatch.of(0, [100.0, 50.0, 200.0, 50.0, 200.0], [101, 102, 103, 104, 105]))
    assert lines.last[0] == 100.0


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_an_enormous_price_there_and_back_within_an_interval_leaves_no_trace(
    evaluation: Evaluation,
) -> None:
    lines, twin = make(window=6, confirm=1, evaluation=evaluation)
    quiet = TickBatch.of([0, 1] * 3, [100.0, 50.0, 101.0, 51.0, 102.0, 50.5],
                         [101, 101, 111, 111, 121, 121])  # fmt: skip
    feed(lines, quiet)
    twin.feed(quiet)
    spike = TickBatch.of([0, 0], [1e29, 102.0], [122, 123])
    feed(lines, spike)
    twin.feed(spike)
    # nothing follows: no roll comes to sum the books afresh
    for b, units in enumerate(UNITS):
        want = list(twin.pnl(units).values())
        np.testing.assert_allclose(lines.sample(3 + b), want, rtol=1e-12)


def test_prices_at_the_ends_of_the_range_give_finite_numbers_only() -> None:
    lines, _ = make(confirm=1)
    extremes = [1e-30, 1e30] * 3
    feed(lines, TickBatch.of(0, extremes, [101 + 10 * k for k in range(6)]))
    assert np.isfinite(lines.sample(0)).all()
    assert np.isfinite(lines.sample(3)).all()
    assert np.isfinite(lines.sample(3) ** 2).all()


def test_the_closed_sample_stands_still_while_the_interval_is_open() -> None:
    lines, _ = make(window=8)
    rng = np.random.default_rng(2)
    for k in range(6):
        feed(lines, TickBatch.of([0, 1], 100 + rng.normal(size=2), 101 + 10 * k))
    feed(lines, TickBatch.of(0, 100.0, 161))
    before = [lines.sample(i, closed=True) for i in (0, 1, 3, 4, 5)]
    feed(lines, TickBatch.of([0, 1, 0], [103.0, 99.0, 104.0], [162, 163, 164]))
    for want, line in zip(before, (0, 1, 3, 4, 5), strict=True):
        assert lines.sample(line, closed=True).tolist() == want.tolist()
    # a book's closed sample is the sum of its symbols' (same prices, and all rows are complete)
    both = lines.sample(0, closed=True) / 3.0 + lines.sample(1, closed=True)
    np.testing.assert_allclose(lines.sample(4, closed=True), both, rtol=1e-12)


def test_a_symbol_without_a_position_has_no_exposure_even_without_a_price() -> None:
    lines, _ = make()
    assert lines.exposure[2] == 0.0
    assert np.isnan(lines.exposure[:2]).all()


@pytest.mark.parametrize(
    ("books", "settings_", "words"),
    [
        ({}, {"window": 1}, "window"),
        ({}, {"interval_ns": 0}, "interval"),
        ({"b": {}}, {}, "'b'"),
        ({"b": {"A": math.nan}}, {}, "nan"),
        ({"b": {"A": 1e16}}, {}, "1e+16"),
        ({"b": {"X": 0.0}}, {}, "'X'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_value(
    books: dict[str, dict[str, float]], settings_: dict[str, int], words: str
) -> None:
    with pytest.raises(DataError, match=words.replace("+", r"\+")):
        Lines(UNIVERSE, books, **({"window": 4, "interval_ns": 10} | settings_))


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_of_a_book_that_never_fell_back_it_is_not_said_that_ticks_touch_its_rows(
    evaluation: Evaluation,
) -> None:
    lines, _ = make(evaluation=evaluation)
    feed(lines, TickBatch.of(np.array([0, 1] * 3), np.full(6, 10.0), np.arange(6) * INTERVAL))
    assert [(book.touched, book.fallbacks) for book in lines.work()] == [(False, 0)] * 3
