"""The tail-only structure: numpy's quantile to the bit, its work, and its parts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels import tail_layout as lay
from rtre.kernels import tail_only
from rtre.kernels.blocks import first_not_below, move, total
from rtre.kernels.jit import is_compiled, kernel
from rtre.kernels.tail_arena import new_arena
from rtre.market import Float64, Int64
from rtre.order import rank_table

NO_TIMES = np.zeros(1, np.int64)
QUICK = is_compiled(tail_only.push)  # plain Python is 300 times slower: fewer values there


def arena(
    tails: list[str], window: int, *, rule: str = "linear", signs: tuple[int, ...] = (1, -1),
    spread: bool = False,
) -> Float64:  # fmt: skip
    return new_arena(
        tails=[Fraction(t) for t in tails], window=window, signs=signs, rule=lay.RULES[rule],
        min_obs=1, max_age_ns=0, keep_nan=False, spread=spread, n_series=1,
    )  # fmt: skip


def field(state: Float64, name: int) -> int:
    ints: Int64 = state.view(np.int64)
    return int(ints[ints[lay.H_AT_SERIES] + name])


def series(name: str, n: int) -> Float64:
    rng = np.random.default_rng(7)
    returns = rng.standard_t(3, n)
    return {
        "returns": lambda: returns,
        "on a grid of ticks": lambda: np.round(returns),
        "a random walk": lambda: np.cumsum(rng.standard_normal(n)),
        "increasing": lambda: np.arange(n) * 0.1,
        "decreasing": lambda: np.arange(n) * -0.1,
        "constant": lambda: np.full(n, 0.3),
        "zeros of both signs": lambda: rng.choice([0.0, -0.0, 1e-9, -1e-9], n),
        "denormal and huge": lambda: returns * rng.choice([5e-324, 1e-308, 1.0, 1e290], n),
    }[name]()


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("window", [1, 2, 7, 250, 1000])
@pytest.mark.parametrize(
    "data",
    ["returns", "on a grid of ticks", "a random walk", "increasing", "decreasing", "constant",
     "zeros of both signs", "denormal and huge"],
)  # fmt: skip
def test_var_is_that_of_numpy_to_the_bit(data: str, window: int, spread: bool) -> None:
    n = max(3 * window, 60) if QUICK else min(2 * window + 40, 600)
    values, tails = series(data, n), ["0.01", "0.05", "0.4"]
    state, out = arena(tails, window, spread=spread), np.empty((n, 12))
    assert tail_only.push_rows(state, 0, values, NO_TIMES, out) == n
    asked = [*range(min(n, 12)), *range(12, n, 29 if QUICK else 97)]  # warm-up in full
    for j in asked:
        held = values[max(0, j + 1 - window) : j + 1]
        with np.errstate(under="ignore"):
            expected = [
                0.0 - np.quantile(sign * held, float(Fraction(t)))
                for sign in (1, -1)
                for t in tails
            ]
        assert out[j, ::2].tobytes() == np.array(expected).tobytes(), (j, out[j, ::2], expected)


@pytest.mark.parametrize("data", ["returns", "on a grid of ticks", "a random walk"])
def test_es_is_that_of_an_exact_sum(data: str) -> None:
    window, n = (6000, 20_000) if QUICK else (300, 900)
    values, out = series(data, n), np.empty((n, 4))
    state = arena(["0.01", "0.05"], window, signs=(1,), rule="order")
    tail_only.push_rows(state, 0, values, NO_TIMES, out)
    for j in range(0, n, 211):
        held = np.sort(values[max(0, j + 1 - window) : j + 1])
        for c, tail in enumerate((Fraction("0.01"), Fraction("0.05"))):
            m = len(held) * tail
            k = max(1, math.ceil(m))
            exact = math.fsum([*(-held[: k - 1]), float(m - k + 1) * -held[k - 1]]) / float(m)
            worst = math.fsum(abs(held[:k])) / float(m)  # = |ES| unless signs cancel in the tail
            assert abs(out[j, 2 * c + 1] - exact) <= 1e-12 * worst
            assert out[j, 2 * c] == -held[k - 1]


@pytest.mark.parametrize("rule", ["linear", "lower", "higher", "nearest", "midpoint"])
def test_each_rule_of_numpy_is_met_for_every_size_of_a_growing_window(rule: str) -> None:
    values = np.random.default_rng(1).standard_normal(400 if QUICK else 120)
    tails = ["0.01", "0.025", "0.05", "0.1", "0.25", "0.3", "0.499"]
    state, out = arena(tails, 400, rule=rule, signs=(1,)), np.empty((len(values), 14))
    tail_only.push_rows(state, 0, values, NO_TIMES, out)
    for n in range(1, len(values) + 1):
        expected = np.quantile(values[:n], [float(t) for t in tails], method=rule)
        assert np.array_equal(out[n - 1, ::2], 0.0 - expected), n


def test_ranks_are_those_of_the_rank_table() -> None:
    confidences, window = (0.99, 0.975, 0.95, 0.9), 2000
    ranks, m = rank_table(confidences, window)
    state = arena(["0.01", "0.025", "0.05", "0.1"], window, rule="order")
    ints = state.view(np.int64)
    at = int(ints[lay.H_AT_SERIES])
    for n in range(1, window + 1, 1 if QUICK else 13):
        lay.place(state, ints, n, at)
        for c in range(4):
            r = int(lay.level(ints, at, c))
            assert ints[r + lay.R_K] == ranks[c, n, 0]
            assert state[r + lay.R_M] == m[c, n]


def worst_tick(values: Float64, window: int, spread: bool) -> tuple[int, float, float]:
    """Most elements touched in a tick; median over ticks that touch any; and rebuilds."""
    state = arena(["0.01"], window, signs=(1,), spread=spread)
    nothing = np.empty((0, 2))
    tail_only.push_rows(state, 0, values[:window], NO_TIMES, nothing)
    before, rebuilt = field(state, lay.S_TOUCHED), field(state, lay.S_REBUILDS)
    work = np.empty(len(values) - window)
    for j, value in enumerate(values[window:].tolist()):
        tail_only.push(state, 0, value, 0)
        now = field(state, lay.S_TOUCHED)
        work[j], before = now - before, now
    rebuilds = field(state, lay.S_REBUILDS) - rebuilt
    return int(work.max()), float(np.median(work[work > 0])), rebuilds


@pytest.mark.skipif(not QUICK, reason="half a million ticks")
@pytest.mark.parametrize("data", ["returns", "a random walk", "increasing", "on a grid of ticks"])
def test_in_pieces_the_worst_tick_touches_less_than_20_times_the_median(data: str) -> None:
    """Counted, not timed; the median is over ticks that touch the tail. Measured: 3 to 7."""
    window = 20_000
    values = series(data, 3 * window)
    worst, median, rebuilds = worst_tick(values, window, spread=True)
    assert worst <= 20 * median
    assert rebuilds == 0
    # and it is the pieces that do it
    if data == "increasing":
        assert worst_tick(values, window, spread=False)[0] >= window


@kernel
def moved(values: Float64, to: int, start: int, count: int) -> None:
    move(values, to, start, count)


@given(st.lists(st.floats(-1e6, 1e6), max_size=120), st.data())
@settings(deadline=None, max_examples=100)
def test_blocks_move_sum_and_search_like_lists(numbers: list[float], data: st.DataObject) -> None:
    n = len(numbers)
    start = data.draw(st.integers(0, n))
    count = data.draw(st.integers(0, n - start))
    to = data.draw(st.integers(0, n - count))
    array, expected = np.array(numbers), list(numbers)
    expected[to : to + count] = numbers[start : start + count]
    found = total(array, start, count) if n else 0.0
    piece = numbers[start : start + count]
    # each of the partial sums rounds at most count times
    assert abs(found - math.fsum(piece)) <= 1.2e-16 * count * math.fsum(map(abs, piece))
    moved(array, to, start, count)
    assert array.tolist() == expected
    numbers.sort()
    x = data.draw(st.floats(-1e6, 1e6) if not numbers else st.sampled_from(numbers))
    below = sum(v < x for v in numbers)
    assert first_not_below(np.array([0.0, *numbers]), 1, n, x) == 1 + below
