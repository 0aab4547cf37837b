"""Exchanges in a tail, and the sums of long tails that are carried along with them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtre.kernels import tail_layout as lay
from rtre.kernels import tail_only
from rtre.kernels.blocks import first_not_below, total
from rtre.kernels.jit import is_compiled
from rtre.kernels.tail_arena import new_arena
from rtre.kernels.tail_sums import SHORT
from rtre.market import Float64

NO_TIMES = np.zeros(1, np.int64)
QUICK = is_compiled(tail_only.push)  # plain Python is 300 times slower: fewer values there


def arena(
    tails: list[str], window: int, *, rule: str = "linear", signs: tuple[int, ...] = (1, -1),
    spread: bool = False, keep_nan: bool = False,
) -> Float64:  # fmt: skip
    return new_arena(
        tails=[Fraction(t) for t in tails], window=window, signs=signs, rule=lay.RULES[rule],
        min_obs=1, max_age_ns=0, keep_nan=keep_nan, spread=spread, n_series=1,
    )  # fmt: skip


def exact(held: Float64, sign: int, tail: str) -> tuple[float, float]:
    """ES by definition, in exact addition, and the mean size of what it averages."""
    pnl = np.sort(sign * held)
    m = len(pnl) * Fraction(tail)
    k = max(1, math.ceil(m))
    parts = [*(-pnl[: k - 1]).tolist(), float(m - k + 1) * -float(pnl[k - 1])]
    return math.fsum(parts) / float(m), math.fsum(map(abs, parts)) / float(m)


def spiky(n: int) -> Float64:
    """Returns, with bad prints of all sizes among them, which enter the tail and leave it again."""
    rng = np.random.default_rng(12)
    values = rng.standard_t(4, n)
    where = rng.integers(0, n, n // 60)
    values[where] = rng.standard_normal(len(where)) * 10.0 ** rng.integers(0, 300, len(where))
    values[n // 2 :] = rng.standard_t(4, n - n // 2)
    return values


def series(name: str, n: int) -> Float64:
    rng = np.random.default_rng(11)
    return {
        "returns": lambda: rng.standard_t(3, n),
        "on a grid of ticks": lambda: np.round(rng.standard_t(3, n)),
        "a random walk": lambda: np.cumsum(rng.standard_normal(n)),
        "increasing": lambda: np.arange(n) * 0.1,
        "decreasing": lambda: np.arange(n) * -0.1,
        "spikes": lambda: spiky(n),
        "around zero": lambda: rng.standard_normal(n) + 0.97 * np.sin(np.arange(n) / 900),
    }[name]()


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize(
    "data",
    ["returns", "on a grid of ticks", "a random walk", "increasing", "decreasing", "spikes",
     "around zero"],
)  # fmt: skip
def test_es_of_long_tails_is_that_of_an_exact_sum(data: str, spread: bool) -> None:
    """1e-12 is the promise; measured 1e-15 of the mean size, spikes of up to 1e299 or not."""
    window, n = (1000, 6000) if QUICK else (500, 1300)
    values, tails, out = series(data, n), ["0.05", "0.4", "0.499"], np.empty((n, 12))
    state = arena(tails, window, rule="order", spread=spread)
    assert tail_only.push_rows(state, 0, values, NO_TIMES, out) == n
    assert field(state, lay.S_SUMMED) == 1
    assert window * Fraction(tails[1]) > SHORT
    for j in range(window, n, 7 if QUICK else 31):
        held = values[j + 1 - window : j + 1]
        for s, sign in enumerate((1, -1)):
            for c, tail in enumerate(tails):
                es, size = exact(held, sign, tail)
                found = out[j, 2 * (s * 3 + c) + 1]
                assert abs(found - es) <= 1e-14 * size, (j, sign, tail, found, es)


def field(state: Float64, name: int) -> int:
    ints = state.view(np.int64)
    return int(ints[ints[lay.H_AT_SERIES] + name])


@pytest.mark.parametrize("data", ["returns", "spikes", "a random walk"])
@pytest.mark.parametrize("spread", [False, True])
def test_sums_do_not_depend_on_batches_or_on_when_they_are_read(data: str, spread: bool) -> None:
    window, n = (600, 5000) if QUICK else (500, 900)
    values, tails, nothing = series(data, n), ["0.4", "0.45"], np.empty((0, 8))
    expected = np.empty((n, 8))
    tail_only.push_rows(arena(tails, window, spread=spread), 0, values, NO_TIMES, expected)
    rng, at = np.random.default_rng(2), 0
    cut, many, single = (arena(tails, window, spread=spread) for _ in range(3))
    while at < n:
        size = int(rng.integers(1, 400))
        piece, out = values[at : at + size], np.empty((len(values[at : at + size]), 8))
        asked = bool(rng.integers(0, 2))
        tail_only.push_rows(cut, 0, piece, NO_TIMES, out if asked else nothing)
        if asked:
            assert out.tobytes() == expected[at : at + size].tobytes()
        tail_only.push_many(many, np.zeros(len(piece), np.int64), piece, 0)
        at += size
    for value in values.tolist():
        tail_only.push(single, 0, value, 0)
    ints = cut.view(np.int64)
    series_at = int(ints[lay.H_AT_SERIES])
    found = int(lay.results(ints, series_at))
    tail_only.update(many, series_at)
    for state in (cut, many, single):
        assert state[found : found + 8].tobytes() == expected[-1].tobytes()


few = st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0, 5e-324])
odd = st.sampled_from([math.nan, math.inf, -1e300, 1e300])


class Tails(RuleBasedStateMachine):
    """A window of any size: its tails are its smallest values, whatever was exchanged."""

    @initialize(
        tails=st.lists(st.sampled_from(["0.01", "0.1", "0.3", "0.45"]), min_size=1, unique=True),
        window=st.sampled_from([1, 2, 3, 7, 40, 500]),
        signs=st.sampled_from([(1,), (-1,), (1, -1)]),
        spread=st.booleans(),
        keep=st.booleans(),
        seed=st.integers(0, 99),
    )
    def start(
        self, tails: list[str], window: int, signs: tuple[int, ...], spread: bool, keep: bool,
        seed: int,
    ) -> None:  # fmt: skip
        self.state = arena(tails, window, signs=signs, spread=spread, keep_nan=keep)
        self.tails, self.window, self.signs, self.keep = tails, window, signs, keep
        self.held: list[float] = []
        self.push(np.random.default_rng(seed).standard_normal(window).tolist())  # full from here on

    def push(self, values: list[float]) -> None:
        out = np.empty((len(values), 2 * len(self.signs) * len(self.tails)))
        array = np.array(values, float)
        assert tail_only.push_rows(self.state, 0, array, NO_TIMES, out) == len(values)
        taken = [v for v in values if abs(v) <= lay.HIGHEST or (self.keep and math.isnan(v))]
        self.held = (self.held + taken)[-self.window :]

    @rule(values=st.lists(few, max_size=80))
    def ties(self, values: list[float]) -> None:
        self.push(values)

    @rule(values=st.lists(st.one_of(st.floats(-9, 9), odd), max_size=40))
    def numbers(self, values: list[float]) -> None:
        self.push(values)

    @rule(size=st.integers(1, 600), step=st.sampled_from([-0.25, -1e-9, 1e-9, 0.25]))
    def monotone(self, size: int, step: float) -> None:
        self.push((np.arange(min(size, 2 * self.window + 5)) * step).tolist())

    @rule(size=st.integers(1, 300), seed=st.integers(0, 99))
    def noise(self, size: int, seed: int) -> None:
        self.push(np.random.default_rng(seed).standard_normal(size).tolist())

    @rule()
    def largest_leaves_for_its_equal(self) -> None:
        """The next value equals the one that leaves, which may be a tail's largest."""
        if len(self.held) == self.window:
            self.push([self.held[0]])

    @invariant()
    def tails_are_the_smallest_values(self) -> None:
        if not hasattr(self, "state"):
            return
        ints = self.state.view(np.int64)
        at = int(ints[lay.H_AT_SERIES])
        numbers = np.array([v for v in self.held if not math.isnan(v)])
        assert ints[at + lay.S_VALID] == len(numbers)
        if len(numbers) == 0:
            return
        for s, sign in enumerate(self.signs):
            count = int(ints[lay.side(at, s) + lay.T_COUNT])
            assert ints[at + lay.S_NEED] <= count <= ints[at + lay.S_CAP]
            first = int(lay.tail(ints, at, s, 0))
            kept = np.sort(sign * numbers)[:count]
            assert np.array_equal(self.state[first : first + count], kept)  # zeros of both signs
            for c, tail in enumerate(self.tails):
                self.sum_is_right(ints, at, s, c, kept)
                found = int(lay.results(ints, at)) + 2 * (s * len(self.tails) + c)
                var, es = self.state[found : found + 2]
                assert var == 0.0 - np.quantile(sign * numbers, float(Fraction(tail)))
                right, size = exact(numbers, sign, tail)
                assert abs(es - max(right, var)) <= 1e-14 * size + 5e-322

    def sum_is_right(self, ints: np.ndarray, at: int, s: int, c: int, kept: Float64) -> None:
        count = int(ints[int(lay.level(ints, at, c)) + lay.R_K]) - 1
        if ints[at + lay.S_SUMMED] and count > SHORT:
            u = int(lay.running(ints, at, s, c))
            parts = [*kept[:count], -self.state[u + lay.U_HIGH], -self.state[u + lay.U_LOW]]
            assert abs(math.fsum(parts)) <= 1e-14 * math.fsum(map(abs, kept[:count]))
            assert 0 < ints[u + lay.U_LEFT] <= count


TestTails = Tails.TestCase
TestTails.settings = settings(
    max_examples=80 if QUICK else 15, stateful_step_count=12, deadline=None
)


@given(st.integers(0, 700), st.integers(0, 9), st.integers(0, 5), st.booleans())
@settings(deadline=None, max_examples=60)
def test_long_blocks_are_searched_and_added_up_like_lists(
    n: int, seed: int, start: int, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-5, 5, n + start).astype(float) if ties else rng.normal(size=n + start)
    numbers = np.sort(numbers)
    block = numbers[start:]
    for x in [*rng.choice(block, 5 if n else 0), -9.0, 9.0, 0.1, *block[:1], *block[-1:]]:
        place = int(np.searchsorted(block, x, side="left"))
        assert first_not_below(numbers, start, n, float(x)) == start + place
    if n:
        size = math.fsum(abs(block))
        # each of 16 partial sums rounds at most n / 16 + 5 times
        assert abs(total(numbers, start, n) - math.fsum(block)) <= 1.2e-16 * (n / 16 + 5) * size
