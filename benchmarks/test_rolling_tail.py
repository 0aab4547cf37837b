"""Exact VaR and ES of a sliding window: what a value costs, against the ways there are.

    NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL" pytest -s benchmarks/test_rolling_tail.py

Set that variable where the CPU has AVX-512: on some of them numpy's AVX-512 selection is 4 to 7
times slower than its AVX2 one, and numpy as a peer would look worse than it is. `rolling_quantiles`
publishes no wheel for Python 3.11 and is shown as missing where it cannot be imported. Only ratios
mean something: everything compared takes turns in one process.
"""

from __future__ import annotations

import bisect
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pytest

from rtre.kernels import tail_only
from rtre.kernels.jit import direct
from rtre.kernels.tail_arena import new_arena
from rtre.kernels.tail_layout import LINEAR
from rtre.windows.rolling_tail import RollingTail, RollingTails
from rtre.windows.tail_settings import SPREAD_FROM

from gates import gate, interleaved, peer
from tables import record, table

WINDOWS = (250, 1000, 5000, 20_000, 100_000)
TAILS = (0.01, 0.05)
NO_TIMES = np.zeros(1, np.int64)
NOTHING = np.empty((0, 2))

Run = tuple[Callable[[], object], int]


def garch(n: int, seed: int = 5) -> np.ndarray:
    """GARCH(1,1) returns with t(5) shocks."""
    shocks = np.random.default_rng(seed).standard_t(5, n) * math.sqrt(3 / 5)
    out, variance = np.empty(n), 1e-4
    for i, z in enumerate(shocks.tolist()):
        out[i] = x = math.sqrt(variance) * z
        variance = 1e-6 + 0.08 * x * x + 0.91 * variance
    return out


DATA = garch(400_000)


def arena(tail: float, window: int, spread: bool = False, n_series: int = 1) -> np.ndarray:
    """Build a state that is already full."""
    state = new_arena(
        tails=[Fraction(str(tail))], window=window, signs=(1,), rule=LINEAR, min_obs=1,
        max_age_ns=0, keep_nan=False, spread=spread, n_series=n_series,
    )  # fmt: skip
    for series in range(n_series):
        tail_only.push_rows(state, series, DATA[-window:], NO_TIMES, NOTHING)
    return state


def singles(function: Callable[[float], object], n: int) -> Run:
    """Turn `function` into a run that calls it once for each of the next n values, for ever on."""

    def values() -> Iterator[float]:
        while True:
            yield from DATA.tolist()

    stream = values()

    def run() -> None:
        for x in islice(stream, n):
            function(x)

    return run, n


def our_call(tail: float, window: int, n: int = 2000) -> Run:
    """What `RollingTail.push` calls."""
    state = arena(tail, window, window >= SPREAD_FROM)
    return singles(partial(direct(tail_only.push_only, state, 0.0), state), n)


def ours(tail: float, window: int, n: int, spread: bool | None = None) -> Run:
    in_pieces = window >= SPREAD_FROM if spread is None else spread
    state, out, values = arena(tail, window, in_pieces), np.empty((n, 2)), DATA[:n]
    return lambda: tail_only.push_rows(state, 0, values, NO_TIMES, out), n


def river(tail: float, window: int, n: int = 2000) -> Run | None:
    module = peer("river.stats")
    if module is None:
        return None
    state = module.RollingQuantile(tail, window)
    for x in DATA[-window:].tolist():
        state.update(x)

    def step(x: float) -> None:
        state.update(x)
        state.get()

    return singles(step, n)


def partition(tail: float, window: int, n: int = 100) -> Run:
    """A ring, `numpy.partition` and a mean: VaR and ES anew for each value."""
    ring, place, k = DATA[-window:].copy(), 0, max(1, math.floor((window - 1) * tail) + 1)

    def step(x: float) -> tuple[float, float]:
        nonlocal place
        ring[place] = x
        place = (place + 1) % window
        low = np.partition(ring, (k - 1, k))
        return low[k - 1], low[:k].mean()

    return singles(step, n)


def sorted_list(tail: float, window: int, n: int, make: Callable[[list[float]], Any]) -> Run:
    """A deque beside a sorted list of the window; ES is the mean of its front."""
    arrived, ordered = deque(DATA[-window:].tolist()), make(sorted(DATA[-window:].tolist()))
    k = max(1, math.floor((window - 1) * tail) + 1)
    plain = isinstance(ordered, list)

    def step(x: float) -> tuple[float, float]:
        old = arrived.popleft()
        arrived.append(x)
        if plain:
            del ordered[bisect.bisect_left(ordered, old)]
            bisect.insort(ordered, x)
        else:
            ordered.remove(old)
            ordered.add(x)
        return ordered[k - 1], sum(islice(ordered, k)) / k

    return singles(step, n)


def containers(tail: float, window: int, n: int) -> Run | None:
    module = peer("sortedcontainers")
    return None if module is None else sorted_list(tail, window, n, module.SortedList)


def scipy_filter(tail: float, window: int, n: int) -> Run | None:
    module = peer("scipy.ndimage")
    if module is None or window >= n:  # it mirrors the edges, at a cost beyond measure
        return None
    values = DATA[:n]
    return lambda: module.percentile_filter(values, 100 * tail, size=window), n


def polars(tail: float, window: int, n: int) -> Run | None:
    module = peer("polars")
    if module is None:
        return None
    values = module.Series(DATA[:n])
    return (
        lambda: values.rolling_quantile(tail, interpolation="linear", window_size=window),
        n,
    )


def pandas(tail: float, window: int, n: int) -> Run | None:
    module = peer("pandas")
    if module is None:
        return None
    values = module.Series(DATA[:n])
    return lambda: values.rolling(window).quantile(tail), n


def compare(number: int, what: str, tail: float, window: int, mine: Run, limit: float | None,
            name: str, other: Run | None, rounds: int = 15) -> None:  # fmt: skip
    """Measure one pair and report it."""
    runs = {"ours": mine} | ({} if other is None else {name: other})
    found = interleaved(runs, rounds)
    gate(number, what, peer=name, ours=found["ours"], theirs=found.get(name), limit=limit,
         window=window, tail=tail)  # fmt: skip


@pytest.mark.parametrize(("number", "window", "limit"), [(1, 1000, 0.85), (2, 20_000, 0.25)])
def test_a_call_with_one_value_against_river(number: int, window: int, limit: float) -> None:
    compare(number, "one call, VaR+ES", 0.01, window, our_call(0.01, window), limit,
            "river (VaR only)", river(0.01, window), 15)  # fmt: skip


def test_a_call_with_one_value_against_partition() -> None:
    compare(3, "one call, VaR+ES", 0.01, 1000, our_call(0.01, 1000), 1 / 20,
            "numpy.partition VaR+ES", partition(0.01, 1000), 15)  # fmt: skip


def test_the_public_class_one_value_at_a_time() -> None:
    tail = RollingTail(0.99, window=1000, rule="linear")
    tail.push_many(DATA[:1000])

    def step(x: float) -> None:
        tail.push(x)
        tail.tail(0.99)

    compare(1, "RollingTail.push + tail", 0.01, 1000, singles(step, 2000), None,
            "river (VaR only)", river(0.01, 1000), 15)  # fmt: skip


def test_calls_against_rolling_quantiles() -> None:
    module = peer("rolling_quantiles")
    other = None
    if module is not None:
        pipe = module.Pipeline(
            module.LowPass(window=1000, portion=1000, subsample_rate=1, quantile=0.01)
        )
        other = singles(pipe.feed, 2000)
    compare(4, "one call, VaR+ES", 0.01, 1000, our_call(0.01, 1000), 3.0,
            "rolling_quantiles (VaR only)", other)  # fmt: skip
    tails = RollingTails(100, 0.99, window=1000, rule="linear")
    rng = np.random.default_rng(1)
    which, values = rng.integers(0, 100, 4096), DATA[:4096].copy()
    for _ in range(30):
        tails.push(which, values)
    for size in (64, 4096):
        batch = which[:size], values[:size]
        compare(5, f"batch of {size}, 100 series", 0.01, 1000,
                (lambda batch=batch: tails.push(*batch), size), 0.2,
                "rolling_quantiles per call", other, 25)  # fmt: skip


@pytest.mark.parametrize("window", [250, 500, *WINDOWS[1:]])
@pytest.mark.parametrize("tail", TAILS)
def test_a_batch_against_the_libraries(tail: float, window: int) -> None:
    n = 60_000 if window < 100_000 else 150_000
    if window <= 20_000:
        number, limit = (6, 0.7) if tail == 0.01 else (7, 1.0)
        compare(number, "batch", tail, window, ours(tail, window, n), limit,
                "scipy percentile_filter (VaR)", scipy_filter(tail, window, n), 25)  # fmt: skip
    compare(8, "batch", tail, window, ours(tail, window, n), 0.8,
            "polars (VaR only)", polars(tail, window, n), 9)  # fmt: skip
    compare(8, "batch", tail, window, ours(tail, window, n), 1 / 7,
            "pandas (VaR only)", pandas(tail, window, n), 5)  # fmt: skip


def test_the_numbers_are_exact() -> None:
    """Gate 19: VaR equals `numpy.quantile` to the bit; ES against an exact sum."""
    wrong, worst = 0, 0.0
    for tail in TAILS:
        for window in (250, 1000, 20_000):
            n = window + 5000
            state, out = arena(tail, window, window >= SPREAD_FROM), np.empty((n, 2))
            tail_only.push_rows(state, 0, DATA[:n], NO_TIMES, out)
            for j in range(window, n, 250):
                held = np.sort(DATA[j + 1 - window : j + 1])
                wrong += out[j, 0] != 0.0 - np.quantile(held, tail)
                m = window * Fraction(str(tail))
                k = math.ceil(m)
                parts = [*(-held[: k - 1]), float(m - k + 1) * -held[k - 1]]
                exact = math.fsum(parts) / float(m)
                worst = max(worst, abs(out[j, 1] - exact) / exact)
    gate(19, "share of VaR not bitwise numpy's", peer="numpy.quantile", ours=float(wrong),
         theirs=1.0, limit=0.0, unit="relative")  # fmt: skip
    gate(19, "error of ES", peer="math.fsum", ours=worst, theirs=1.0, limit=1e-12,
         unit="relative")  # fmt: skip


def test_cost_per_value_by_window() -> None:
    """The curve of each method: singles one value a call, batches 50,000 or more."""
    lines = []
    for window in WINDOWS:
        n = 50_000 if window < 100_000 else 120_000
        slow = max(20, 20_000 // window * 10)
        runs: dict[str, Run | None] = {
            "rtre batch, rebuild at once": ours(0.01, window, n, spread=False),
            "rtre batch, in pieces": ours(0.01, window, n, spread=True),
            "rtre one call": our_call(0.01, window),
            "river one call (VaR)": river(0.01, window, 1000),
            "list + bisect": sorted_list(0.01, window, 500, lambda x: x),
            "sortedcontainers": containers(0.01, window, 300),
            "numpy.partition": partition(0.01, window, slow),
            "scipy batch (VaR)": scipy_filter(0.01, window, n) if window <= 20_000 else None,
            "polars batch (VaR)": polars(0.01, window, n),
            "pandas batch (VaR)": pandas(0.01, window, n),
        }
        found = interleaved({name: run for name, run in runs.items() if run is not None}, 3)
        for name, ns in found.items():
            record(curve="rolling tail", method=name, window=window, ns=ns)
        lines.append((str(window), *(found.get(name, math.nan) for name in runs)))
    print(table("ns per value, 99 %, GARCH-t returns", ("window", *runs), lines))


@pytest.mark.parametrize("data", ["returns", "random walk"])
def test_latency_of_single_ticks(data: str) -> None:
    """A tail rebuilt at once and one refilled in pieces; the cost of an empty call is taken off."""
    ticks = 60_000
    walk = np.cumsum(np.random.default_rng(1).standard_normal(ticks))
    values = (DATA[:ticks] if data == "returns" else walk).tolist()
    clock, lines = time.perf_counter_ns, []
    for window in (20_000, 100_000):
        for spread in (False, True):
            state, push = arena(0.01, window, spread), tail_only.push
            took, idle = np.empty(ticks), np.empty(ticks)
            before = tail_only.push_rows  # any name: only its look-up is wanted
            for j, x in enumerate(values):
                begun = clock()
                push(state, 0, x, 0)
                middle = clock()
                before  # noqa: B018
                idle[j] = clock() - middle
                took[j] = middle - begun
            took -= np.median(idle)
            found = np.percentile(took, [50, 90, 99, 99.9, 99.99])
            how = "in pieces" if spread else "at once"
            name = f"W {window:,} {how}"
            lines.append((name, *found, float(took.max()), float(found[4] / found[0])))
            for share, ns in zip((50, 90, 99, 99.9, 99.99), found, strict=True):
                record(latency="rolling tail", data=data, window=window, rebuild=how,
                       percentile=share, ns=float(ns))  # fmt: skip
    head = (data, "p50", "p90", "p99", "p99.9", "p99.99", "max", "p99.99 / p50")
    print(table("ns per call, 99 %, call included, clock taken off", head, lines))
