"""What a book costs as window, symbols and books grow: a tick, a roll of the grid, and memory.

    NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL" OPENBLAS_NUM_THREADS=1 \
        pytest -s benchmarks/test_portfolio_scaling.py

Each cost of a tick stands beside the bare update of all scenarios of the books that hold its
asset, by the same ticks: the physical limit of whatever touches each scenario. The table of the
bandwidth says how near that update itself is to what the machine moves.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from rtre.market import Universe
from rtre.windows.lines import Lines

from bandwidth import axpy_ns, bandwidth, bandwidth_table
from following import Books
from gates import interleaved
from portfolio_runs import Run, asking, batches, rank_one, revalued, touching
from tables import record, table

ROUNDS = 5
CURVE = "portfolio"


def costs(market: Books, size: int) -> dict[str, float]:
    """Nanoseconds a tick of each way to keep the books; `kernel` and numpy for a single one.

    The market is per-batch at first, and awake afterwards.
    """
    lines, alone = market.lines, len(market.lines.books) == 1
    ahead = batches(market, ROUNDS + 1, size)
    found = interleaved({"per batch": asking(market, ahead, size)}, ROUNDS)
    market.wake()
    walk = batches(market, (1 + alone) * (ROUNDS + 1), size)
    runs: dict[str, Run] = {"engine": (lambda: lines.apply(next(walk), 0), size)}
    if alone:
        runs["kernel"] = (lambda: market.follow(next(walk)), size)
        runs["rank-1"], runs["all"] = rank_one(market, 20), revalued(market, 3)
    runs["update"] = touching(market, max(40, min(size, 4_000_000 // lines.window)))
    return found | interleaved(runs, ROUNDS)


METHODS = {
    "kernel": "rtre, book kernel alone",
    "engine": "rtre, every tick",
    "per batch": "rtre, once a batch of 4096",
    "update": "touching every scenario once",
    "rank-1": "numpy, rank-1 update + partition",
    "all": "numpy, R @ v + partition",
}


def row(key: str, size: int, found: dict[str, float], names: list[str]) -> tuple[object, ...]:
    """Record a point of each curve; a line of the table, with the ratio to the limit at its end."""
    for name in names:
        record(curve=CURVE, by=key, size=size, method=METHODS[name], ns=found[name])
    ratio = found["engine"] / found["update"]
    return f"{size:,}", *(found[name] for name in names), ratio


def test_a_tick_by_window() -> None:
    names, lines = list(METHODS), []
    for window in (250, 1000, 2500, 10_000, 20_000, 100_000):
        market = Books(50, window, (0.99,))
        found = costs(market, 4096)
        kernel = found["kernel"] / found["update"]
        lines.append((*row("window", window, found, names), kernel, axpy_ns(window)))
    head = ("W", *names, "engine / update", "kernel / update", "update in cache")
    print(table("ns a tick, one book of 50, 99 %", head, lines))


def test_a_tick_by_symbols() -> None:
    names, lines = list(METHODS), []
    for assets in (2, 10, 50, 500, 5000):
        found = costs(Books(assets, 1000, (0.99,)), 4096)
        lines.append((*row("assets", assets, found, names), found["kernel"] / found["update"]))
    head = ("N", *names, "engine / update", "kernel / update")
    print(table("ns a tick, one book of all N, W 1000, 99 %", head, lines))


def test_a_tick_by_books() -> None:
    names, lines = ["engine", "per batch", "update"], []
    for books in (1, 10, 100, 1000):
        market = Books(500, 500, (0.99,), books=books, held=50)
        found = costs(market, 512)
        lines.append(row("books", books, found, names))
    head = ("books", *names, "engine / update")
    print(table("ns a tick, books of 50 out of 500, W 500, 99 %", head, lines))


def rolling(market: Books, rolls: int = 21) -> tuple[float, float]:
    """Median and worst microseconds of `Lines.open_row`; between rolls each asset ticks once."""
    plain, times = market.lines.open_row, []

    def timed(interval: int) -> None:
        begun = time.perf_counter_ns()
        plain(interval)
        times.append((time.perf_counter_ns() - begun) / 1000)

    market.lines.open_row = timed  # type: ignore[method-assign]
    for _ in range(rolls):
        market.close()
    market.lines.open_row = plain  # type: ignore[method-assign]
    return statistics.median(times[1:]), max(times[1:])


def roll_row(by: str, size: int, market: Books) -> tuple[object, ...]:
    """Roll a market per batch, then every tick."""
    lazy = rolling(market)
    market.wake()
    eager = rolling(market)
    for method, found in (("per batch", lazy), ("every tick", eager)):
        record(curve="rolling a scenario", by=by, size=size, method=method, ns=found[0] * 1000)
    return f"{by} {size:,}", *lazy, *eager


def test_rolling_a_scenario() -> None:
    lines = []
    for window in (250, 1000, 5000, 20_000, 100_000):
        lines.append(roll_row("W", window, Books(50, window, (0.99,))))
    for assets in (10, 100, 1000, 5000):
        lines.append(roll_row("N", assets, Books(assets, 250, (0.99,))))
    for books in (1, 10, 100, 1000):
        lines.append(roll_row("books", books, Books(100, 250, (0.99,), books=books, held=20)))
    head = ("us a roll: median, worst", "per batch", "worst", "every tick", "worst")
    print(table("W: N 50; N: W 250; books: 20 out of 100, W 250; 99 %", head, lines))


def resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say it this way."""
    pages = Path("/proc/self/statm")
    return int(pages.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if pages.exists() else 0


def memory(sizes: Sequence[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """Bytes of the arenas of every-tick lines, and bytes by which the process has grown, W = 1000.

    Each size is (assets, books, held). Lines once made are kept until all are measured: memory that
    was given back would be used again, unseen.
    """
    alive, found = [], []
    for assets, books, held in sizes:
        symbols = tuple(f"S{i}" for i in range(assets))
        positions = {
            f"b{b}": {symbols[(b + i) % assets]: 1.0 for i in range(held)} for b in range(books)
        }
        before = resident()
        lines = Lines(
            Universe(symbols), positions, window=1000, interval_ns=1, confidences=(0.99,),
            evaluation="every-tick",
        )  # fmt: skip
        for arena in (lines.floats, lines.ints):
            np.add(arena, 0, out=arena)  # pages that were never written take no memory
        alive.append(lines)
        found.append((lines.floats.nbytes + lines.ints.nbytes, resident() - before))
    return found


def test_memory_of_an_asset_and_of_a_book() -> None:
    """In a process of its own, so that nothing which was freed before is used again."""
    pairs = {
        "an asset": ((1000, 1, 1), (3000, 1, 1)),
        "a book of 10": ((500, 50, 10), (500, 550, 10)),
        "a book of 50": ((500, 50, 50), (500, 550, 50)),
    }
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        sizes = [size for pair in pairs.values() for size in pair]
        found = iter(alone.submit(memory, sizes).result())
    lines: list[tuple[object, ...]] = []
    for what, (small, large) in pairs.items():
        (stated, grown), (stated_more, grown_more) = next(found), next(found)
        more = sum(large[:2]) - sum(small[:2])
        each, measured = (stated_more - stated) / more, (grown_more - grown) / more
        record(memory=what, window=1000, stated=each, measured=measured)
        lines.append((what, each / 1024, measured / 1024))
    head = ("W 1000, 99 %, KiB for", "stated", "measured")
    print(table("memory: from the arenas, and growth of the process", head, lines))


def test_bandwidth() -> None:
    """The physical limit: what touching every scenario once cannot be faster than."""
    for size, rate in bandwidth():
        record(bandwidth=size, rate=rate)
    print(bandwidth_table())
