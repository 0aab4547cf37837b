"""`RollingTail` against a deque, and its edges: settings, times, snapshots, many series."""

from __future__ import annotations

import doctest
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tail_twin import Twin, tail_of, tolerance

from rtre.errors import DataError
from rtre.windows import rolling_tail
from rtre.windows.rolling_tail import RollingTail, RollingTails

RULES = ("order", "linear", "lower", "higher", "nearest", "midpoint")
SIGNS = {"lower": 1, "upper": -1}

# ties, both zeros, the smallest numbers there are, huge ones, and what is no number
awkward = st.sampled_from(
    [0.0, -0.0, 5e-324, -5e-324, 1e-308, 1e300, -1e300, math.nan, math.inf, -math.inf, 1e308]
)
values = st.one_of(st.integers(-4, 4).map(float), st.floats(-100, 100), awkward)
levels = st.lists(
    st.sampled_from([0.99, 0.95, 0.9, 0.75, 0.6, 0.501]), min_size=1, max_size=3, unique=True
)


def check(
    tail: RollingTail | tuple[RollingTails, int], twin: Twin, rule: str, min_obs: int
) -> None:
    """Compare every number that can be asked for."""
    if isinstance(tail, tuple):
        tails, series = tail
    else:
        tails, series = tail._tails, 0
    assert tails.n_obs(series) == len(twin.values())
    sides = tails.settings.sides
    for side in SIGNS if sides == "both" else [sides]:
        held = twin.values(SIGNS[side])
        for confidence in tails.settings.confidences:
            found = tails.tail(series, confidence, side)
            if len(held) < min_obs:
                assert found is None
                continue
            p = 1 - Fraction(str(confidence))
            var, es = tail_of(held, p, rule)
            assert found is not None
            assert found[0] == var  # to the bit
            assert abs(found[1] - es) <= tolerance(held, p)
            assert found[1] >= found[0]


class Window(RuleBasedStateMachine):
    """A window bounded by count, by age, or both, with everything that can be asked of it."""

    @initialize(
        levels=levels,
        window=st.one_of(st.integers(1, 4), st.integers(1, 150)),
        max_age=st.one_of(st.none(), st.integers(1, 60)),
        rule=st.sampled_from(RULES),
        sides=st.sampled_from(["lower", "upper", "both"]),
        nan=st.sampled_from(["skip", "keep"]),
        rebuild=st.sampled_from(["at once", "in pieces"]),
        data=st.data(),
    )
    def start(
        self, levels: list[float], window: int, max_age: int | None, rule: str, sides: str,
        nan: str, rebuild: str, data: st.DataObject,
    ) -> None:  # fmt: skip
        self.rule_name, self.now = rule, 0
        self.min_obs = data.draw(st.integers(1, min(window, 3)))
        self.twin = Twin(window, max_age, nan)
        self.tail = RollingTail(
            levels, window=window, rule=rule, sides=sides, min_obs=self.min_obs,
            max_age_ns=max_age, nan=nan, rebuild=rebuild,
        )  # fmt: skip

    @rule(value=values, wait=st.integers(-2, 9))
    def one(self, value: float, wait: int) -> None:
        self.now += wait
        self.tail.push(value, self.now)
        self.twin.push(value, self.now)

    @rule(batch=st.lists(values, max_size=120), step=st.integers(0, 2))
    def batch(self, batch: list[float], step: int) -> None:
        times = self.now + step * np.arange(len(batch))
        out = self.tail.push_many(batch, times)
        for value, time in zip(batch, times.tolist(), strict=True):
            self.twin.push(value, time)
        self.now = max(self.now, *times.tolist()) if batch else self.now
        if batch and len(self.twin.values()) >= self.min_obs:
            settings = self.tail.settings
            last = out[-1, 0, 0].tolist()
            side = "upper" if settings.sides == "upper" else "lower"
            assert tuple(last) == self.tail.tail(settings.confidences[0], side)

    @rule(size=st.integers(1, 300), direction=st.sampled_from([-1, 0, 1]), seed=st.integers(0, 9))
    def trend(self, size: int, direction: int, seed: int) -> None:
        noise = np.random.default_rng(seed).standard_normal(size)
        batch = np.arange(size) * float(direction) if direction else noise
        self.tail.push_many(batch, self.now)
        for value in batch.tolist():
            self.twin.push(value, self.now)

    @rule(silence=st.sampled_from([0, 1, 30, 10_000]))
    def wait(self, silence: int) -> None:
        self.now += silence
        self.tail.evict(self.now)
        self.twin.evict(self.now)

    @rule()
    def save_and_restore(self) -> None:
        self.tail = RollingTail.restore(self.tail.snapshot())

    @invariant()
    def is_the_twin(self) -> None:
        if hasattr(self, "tail"):
            check(self.tail, self.twin, self.rule_name, self.min_obs)
            counts, twin = self.tail.counts, self.twin
            assert (counts.nans, counts.rejected) == (twin.nans, twin.rejected)
            assert (counts.aged, counts.displaced) == (twin.aged, twin.displaced)


TestWindow = Window.TestCase
TestWindow.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)


@given(
    st.lists(st.tuples(st.integers(0, 4), values), max_size=200),
    st.integers(1, 30),
    st.one_of(st.none(), st.just(50)),
)
@settings(deadline=None, max_examples=60)
def test_many_series_in_one_arena_do_not_touch_each_other(
    batch: list[tuple[int, float]], window: int, max_age: int | None
) -> None:
    tails = RollingTails(5, [0.9, 0.75], window=window, sides="both", max_age_ns=max_age)
    twins = [Twin(window, max_age) for _ in range(5)]
    for now in range(0, 100, 25):
        tails.push([s for s, _ in batch], [v for _, v in batch], now)
        for series, value in batch:
            twins[series].push(value, now)
    tails.evict(100)
    for series, twin in enumerate(twins):
        twin.evict(100)
        check((tails, series), twin, "order", 1)


def test_many_growing_rings_share_the_arena() -> None:
    rng = np.random.default_rng(4)
    tails = RollingTails(7, 0.95, window=3000, max_age_ns=10**6, rule="linear")
    twins = [Twin(3000, 10**6) for _ in range(7)]
    for now in range(40):
        which, batch = rng.integers(0, 7, 300), rng.standard_normal(300)
        tails.push(which, batch, now)
        for series, value in zip(which.tolist(), batch.tolist(), strict=True):
            twins[series].push(value, now)
    restored = RollingTails.restore(tails.snapshot())
    for series, twin in enumerate(twins):
        assert len(twin.held) > 1000
        check((tails, series), twin, "linear", 1)
        check((restored, series), twin, "linear", 1)


def test_a_growing_ring_keeps_its_order_and_stops_at_its_bound() -> None:
    tail, twin = RollingTail(0.99, window=1000, max_age_ns=10**9), Twin(1000, 10**9)
    for now, value in enumerate(np.random.default_rng(2).standard_normal(2500).tolist()):
        tail.push(value, now)
        twin.push(value, now)
    check(tail, twin, "order", 1)
    assert tail.counts.displaced == twin.displaced == 1500


@pytest.mark.parametrize("rebuild", ["at once", "in pieces"])
def test_the_bits_do_not_depend_on_the_batches(rebuild: str) -> None:
    rng = np.random.default_rng(3)
    series = rng.standard_t(3, 3000)
    whole = RollingTail([0.99, 0.95], window=500, sides="both", rebuild=rebuild)
    expected = whole.push_many(series)
    cut = RollingTail([0.99, 0.95], window=500, sides="both", rebuild=rebuild)
    at, rows = 0, []
    while at < len(series):
        size = int(rng.integers(0, 40))
        rows.append(cut.push_many(series[at : at + size]))
        at += size
    assert np.concatenate(rows).tobytes() == expected.tobytes()
    single = RollingTail([0.99, 0.95], window=500, sides="both", rebuild=rebuild)
    for value in series.tolist():
        single.push(value)
    assert single.tail(0.99, "upper") == tuple(expected[-1, 1, 0])
    assert single.tail(0.95) == tuple(expected[-1, 0, 1])


def test_the_bits_do_not_depend_on_when_they_are_asked_for() -> None:
    # a refill in pieces that ends makes the sums of a long tail anew, and no value of it changes
    series = np.random.default_rng(2).standard_normal(30_000)
    asked = RollingTail(0.9, window=2500, rebuild="in pieces")
    expected = asked.push_many(series)
    seldom = RollingTails(1, 0.9, window=2500, rebuild="in pieces")
    for at in range(0, len(series), 7):
        part = series[at : at + 7]
        seldom.push(np.zeros(len(part), int), part)
        assert seldom.tail(0, 0.9) == tuple(expected[at + len(part) - 1, 0, 0])
    assert seldom.counts(0).refills > 0


def test_a_snapshot_goes_on_with_the_same_bits_even_amid_a_refill() -> None:
    series = np.cumsum(np.random.default_rng(6).standard_normal(9000))  # sheds its tail often
    tail = RollingTail([0.95], window=2000, rebuild="in pieces", rule="linear")
    expected = tail.push_many(series)
    again = RollingTail([0.95], window=2000, rebuild="in pieces", rule="linear")
    rows = []
    for at in range(0, len(series), 500):
        rows.append(again.push_many(series[at : at + 500]))
        again = RollingTail.restore(again.snapshot())
    assert np.concatenate(rows).tobytes() == expected.tobytes()
    assert again.counts == tail.counts
    assert again.counts.refills > 0


def test_a_damaged_or_foreign_snapshot_is_refused() -> None:
    tail = RollingTail(0.99, window=50)
    data = tail.snapshot()
    for bad in (b"", data[:10], data[:-8], data[:40] + b"x" + data[41:], b"x" * len(data)):
        with pytest.raises(DataError):
            RollingTail.restore(bad)
    with pytest.raises(DataError, match="2 series"):
        RollingTail.restore(RollingTails(2, 0.99, window=5).snapshot())


def test_a_snapshot_that_points_outside_is_refused() -> None:
    from rtre.kernels import tail_layout as lay

    for field in (lay.S_POS, lay.S_AT_RING, lay.S_ROOM, lay.S_RING, lay.S_SLOTS, lay.S_CAP):
        tail = RollingTail(0.99, window=50)
        tails = tail._tails
        tails._arena.view(np.int64)[tails._at(0) + field] = 1 << 40
        with pytest.raises(DataError, match=r"outside|settings|shorter"):
            RollingTail.restore(tail.snapshot())


def test_one_bad_spike_followed_by_silence_leaves_no_trace() -> None:
    series = np.random.default_rng(8).standard_normal(300)
    clean = RollingTail([0.99, 0.9], window=100, sides="both").push_many(series)
    dirty = RollingTail([0.99, 0.9], window=100, sides="both")
    dirty.push_many([-1e300, 1e300, 1e16, -7e15])
    assert np.array_equal(dirty.push_many(series)[100:], clean[100:])
    aging = RollingTail(0.9, window=100, max_age_ns=60)
    aging.push(-1e300, 0)
    aging.push(-1.0, 30)
    aging.evict(60)
    assert aging.tail(0.9) == (1.0, 1.0)
    aging.evict(10_000)
    assert aging.tail(0.9) is None
    assert aging.n_obs == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"confidences": 0.5}, {"confidences": 1.0}, {"confidences": []}, {"confidences": math.nan},
        {"confidences": [0.99, 0.99]}, {"confidences": 0.9999999999},
        {"window": 0}, {"window": 2.5}, {"window": 1 << 25}, {"min_obs": 0}, {"min_obs": 11},
        {"rule": "hazen"}, {"sides": "left"}, {"nan": "drop"}, {"rebuild": "never"},
        {"max_age_ns": 0},
    ],
)  # fmt: skip
def test_a_parameter_out_of_range_is_refused_with_its_value(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {"confidences": 0.99, "window": 10}
    with pytest.raises(DataError, match="got"):
        RollingTail(**(right | wrong))


def test_what_does_not_fit_is_refused_and_nothing_is_taken() -> None:
    tail = RollingTail(0.99, window=10)
    for value in ("x", None):
        with pytest.raises(DataError, match="number"):
            tail.push(value)  # type: ignore[arg-type]
    for bad in ([[1.0]], ["x"]):
        with pytest.raises(DataError):
            tail.push_many(bad)
    with pytest.raises(DataError, match="2 times"):
        tail.push_many([1.0, 2.0, 3.0], [1, 2])
    with pytest.raises(DataError, match="out must"):
        tail.push_many([1.0], out=np.empty((1, 1, 2, 2)))
    with pytest.raises(DataError, match="no tail"):
        tail.tail(0.95)
    with pytest.raises(DataError, match="no tail"):
        tail.tail(0.99, "upper")
    with pytest.raises(DataError, match="ts_ns"):
        RollingTail(0.99, window=10, max_age_ns=5).push_many([1.0])
    tails = RollingTails(2, 0.99, window=10)
    for series in ([2], [-1], [0, 1]):
        with pytest.raises(DataError):
            tails.push(series, [1.0])
    with pytest.raises(DataError):
        tails.tail(2, 0.99)
    assert tail.counts.ticks == tails.counts(0).ticks == 0


def test_time_never_goes_back() -> None:
    tail = RollingTail(0.9, window=10, max_age_ns=100)
    tail.push(-1.0, 1000)
    tail.push(-2.0, 500)
    assert tail.counts.late == 1
    tail.evict(1099)
    assert tail.n_obs == 2
    tail.evict(1100)
    assert tail.n_obs == 0


def test_the_examples_in_the_docstrings_are_true() -> None:
    found = doctest.testmod(rolling_tail)
    assert found.attempted > 0
    assert found.failed == 0
