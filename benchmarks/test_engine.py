"""What a tick costs in the kernels and in the engine, against recomputing with numpy.

``pytest benchmarks/test_engine.py -s`` prints the tables. Ours and the baseline take turns in one
process and each shows its median, so a busy machine slows both; read the ratios. numpy's AVX-512
partition is slower than its AVX2 one on some CPUs, which would flatter us: run with
``NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL"`` for the fairer figure (a name that the CPU does not
have is refused by numpy; the table says what was set).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest

from rtre import RiskConfig, RiskEngine, TickBatch, Universe

from tables import headline, table

SECOND = 10**9
START = 1_700_000_000 * SECOND
WINDOW = 500
ROUNDS = 7
TAIL = 0.01


def filled(n: int, model: str = "historical", window: int = WINDOW) -> RiskEngine:
    """An engine of n symbols in one book, its window full."""
    universe = Universe(tuple(f"S{i}" for i in range(n)))
    engine = RiskEngine(
        universe, {"book": dict.fromkeys(universe, 10.0)}, RiskConfig(window=window, model=model)
    )
    rng = np.random.default_rng(1)
    steps = window + 2
    levels = 100 * np.exp(np.cumsum(rng.standard_t(4, (steps, n)) * 1e-4, axis=0))
    times = START + np.repeat(np.arange(steps), n) * SECOND
    engine.update(TickBatch.of(np.tile(np.arange(n), steps), levels.ravel(), times))
    engine.report(START)
    return engine


def next_ticks(engine: RiskEngine, k: int) -> TickBatch:
    """Further ticks, k of them, of the open interval, over all symbols in turn."""
    rng = np.random.default_rng(2)
    n = len(engine.universe)
    assets = np.arange(k) % n
    prices = engine.lines.last[assets] * (1 + rng.standard_normal(k) * 1e-4)
    return TickBatch.of(assets, prices, START + (WINDOW + 1) * SECOND)


def medians(runs: dict[str, tuple[Callable[[], object], int]]) -> dict[str, float]:
    """Median microseconds per unit of each; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, (run, units) in runs.items():
            begun = time.perf_counter()
            run()
            times[name].append((time.perf_counter() - begun) / units * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def numpy_symbol(ticks: int) -> Callable[[], None]:
    """One symbol, each tick: write the newest return, partition the window, VaR and ES."""
    rng = np.random.default_rng(3)
    returns, news = rng.standard_t(4, WINDOW) * 1e-4, rng.standard_t(4, ticks) * 1e-4
    k = int(np.ceil(WINDOW * TAIL))

    def run() -> None:
        for x in news:
            returns[-1] = x
            tail = np.partition(returns, k - 1)[:k]
            _ = -tail[k - 1], -tail.mean()

    return run


def numpy_book(n: int, ticks: int) -> Callable[[], None]:
    """A book, each tick: all scenarios from all returns, then partition."""
    rng = np.random.default_rng(4)
    returns, exposure = rng.standard_t(4, (WINDOW, n)) * 1e-4, np.full(n, 1000.0)
    k = int(np.ceil(WINDOW * TAIL))

    def run() -> None:
        for i in range(ticks):
            exposure[i % n] *= 1.0001
            pnl = returns @ exposure
            tail = np.partition(pnl, k - 1)[:k]
            _ = -tail[k - 1], -tail.mean()

    return run


def setting() -> str:
    return f"NPY_DISABLE_CPU_FEATURES={os.environ.get('NPY_DISABLE_CPU_FEATURES', '')!r}"


def test_kernel_update_per_tick() -> None:
    one, many = filled(1), filled(500)
    batch, wide = next_ticks(one, 4096), next_ticks(many, 4096)
    singles = [batch[i : i + 1] for i in range(256)]
    best = medians(
        {
            "1 symbol and its book, batches of 4096": (lambda: one.update(batch), 4096),
            "1 symbol and its book, one tick a call": (
                lambda: [one.update(single) for single in singles],
                256,
            ),
            "500 symbols in one book, batches of 4096": (lambda: many.update(wide), 4096),
            "numpy: partition of one window": (numpy_symbol(256), 256),
        }
    )
    base = best["numpy: partition of one window"]
    lines = [(name, us, base / us) for name, us in best.items()]
    head = ("window 500: update per tick", "us/tick", "x numpy")
    print(table(setting(), head, lines))
    ours = best["1 symbol and its book, batches of 4096"]
    headline("kernel update, 1 symbol + book, W=500", f"{ours:.2f} us/tick",
           "numpy partition of one window", f"{base:.1f} us", base / ours)  # fmt: skip
    assert one.counts().applied > 4096
    assert base > ours


@pytest.mark.parametrize("model", ["historical", "gaussian", "ewma"])
def test_engine_update_and_report_per_tick(model: str) -> None:
    runs: dict[str, tuple[Callable[[], object], int]] = {}
    for n in (1, 10, 100):
        engine = filled(n, model)
        ticks = next_ticks(engine, 128)
        singles = [ticks[i : i + 1] for i in range(128)]

        def run(engine: RiskEngine = engine, singles: list[TickBatch] = singles) -> None:
            for single in singles:
                engine.update(single)
                engine.report(START)

        runs[f"rtre, {n} symbols"] = (run, 128)
        runs[f"numpy, {n} symbols, book only"] = (numpy_book(n, 128), 128)
    runs["numpy, a symbol"] = (numpy_symbol(128), 128)
    best = medians(runs)
    head = (f"{model}, window 500: one tick applied and reported", "us")
    print(table(setting(), head, list(best.items())))
    ours, book = best["rtre, 10 symbols"], best["numpy, 10 symbols, book only"]
    if model == "historical":
        what = "one tick applied and reported, 10 symbols + book"
        for peer, theirs in (
            ("numpy R@v + partition, book only, no report", book),
            ("the same and the tick's symbol, no report", book + best["numpy, a symbol"]),
        ):
            headline(what, f"{ours:.1f} us", peer, f"{theirs:.1f} us", theirs / ours)
    assert all(us > 0 for us in best.values())


def test_closing_a_grid_interval() -> None:
    best = {}
    for n in (10, 100, 500):
        engine = filled(n)
        lines, first = engine.lines, (START // SECOND) + WINDOW + 2

        def run(lines: object = lines, first: int = first) -> None:
            for i in range(20):
                lines.open_row(first + i)  # type: ignore[attr-defined]

        best[f"{n} symbols"] = medians({"": (run, 20)})[""]
    print(table("open_row, window 500, one book of all", ("roll", "us"), list(best.items())))
    assert all(us > 0 for us in best.values())
