"""VaR and ES of books after each tick: gates 10, 12 to 15, and 19 for books.

    NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL" OPENBLAS_NUM_THREADS=1 \
        pytest -s benchmarks/test_portfolio.py

Set the first variable where the CPU has AVX-512: on some of them numpy's AVX-512 partition is 4 to
7 times slower than its AVX2 one, and numpy as a peer would look worse than it is. Ticks are a
random walk that goes on from one timing to the next; nothing is replayed from a price that the book
has left behind, which would cost choices of candidates that no market asks for.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtre.kernels import layout
from rtre.kernels.layout import W_REBUILDS
from rtre.market import Float64

from following import Books
from gates import gate, interleaved, peer
from portfolio_runs import (
    ROUNDS,
    asking,
    batches,
    one_call,
    rank_one,
    revalued,
    statistics,
    touching,
)


def check(market: Books) -> None:
    """Compare the kept VaR and ES with a full recompute: rounding is all they may differ by."""
    for book in range(0, len(market.lines.books), 97):
        assert market.kept(book) == pytest.approx(market.recomputed(book), rel=1e-10)


@pytest.mark.parametrize("confidence", [0.99, 0.95])
def test_the_kernel_gives_what_the_engine_and_numpy_give(confidence: float) -> None:
    alone, engine = (Books(50, 500, (confidence,)) for _ in range(2))
    alone.wake()
    engine.wake()
    for walk in batches(engine, 5, 2000):
        engine.feed(walk)
        alone.follow(walk)
        assert alone.kept() == engine.kept()
        for view in (layout.limits, layout.values, layout.returns, layout.prices):
            np.testing.assert_array_equal(view(*alone.arenas), view(*engine.arenas))
        check(alone)


@pytest.mark.parametrize("assets", [50, 500])
@pytest.mark.parametrize("window", [250, 500, 1000, 2500, 10_000])
@pytest.mark.parametrize("tail", [0.01, 0.05])
def test_a_book_in_the_kernel_and_in_the_engine(tail: float, window: int, assets: int) -> None:
    market = Books(assets, window, (1.0 - tail,))
    market.wake()
    size = 4096
    ahead = batches(market, 2 * (ROUNDS + 1), size)
    found = interleaved(
        {
            "kernel": (lambda: market.follow(next(ahead)), size),
            "engine": (lambda: market.lines.apply(next(ahead), 0), size),
            "update": touching(market, size),
        },
        ROUNDS,
    )
    check(market)
    limit = 0.9 if window >= 1000 and tail == 0.01 else None
    for what, name, goal in (
        ("book in the kernel", "kernel", limit),
        ("engine tick, batches of 4096", "engine", None),
    ):
        gate(
            10, f"{what}, N={assets}", peer="update of all scenarios alone", window=window,
            tail=tail, ours=found[name], theirs=found["update"], limit=goal,
        )  # fmt: skip


@pytest.mark.parametrize(("assets", "limit"), [(50, 1 / 20), (500, 1 / 80)])
def test_one_python_call_against_numpy(assets: int, limit: float) -> None:
    market = Books(assets, 1000, (0.99,))
    market.wake()
    runs = {
        "ours": one_call(market, 2000),
        "all": revalued(market, 20),
        "rank-1": rank_one(market, 100),
        "update": touching(market, 2000),
    }
    if (library := peer("QuantLib")) is not None:
        runs["QuantLib"] = statistics(market, library.RiskStatistics, 5)
    found = interleaved(runs, ROUNDS)
    check(market)
    for number, name, what, goal in (
        (12, "all", "numpy R @ v, partition, ES", limit),
        (12, "QuantLib", "numpy R @ v, QuantLib RiskStatistics", None),
        (12, "update", "update of all scenarios alone, in a kernel", None),
        (13, "rank-1", "numpy rank-1, partition, ES", 1 / 9),
    ):
        gate(
            number, f"one call with one tick, N={assets}", peer=what, window=1000, tail=0.01,
            ours=found["ours"], theirs=found.get(name), limit=goal,
        )  # fmt: skip


def test_a_thousand_books() -> None:
    market = Books(500, 1000, (0.99,), books=1000, held=50)
    lines, size = market.lines, 512
    update = touching(market, 128)
    ahead = batches(market, 6, size)
    lazy = interleaved({"ours": asking(market, ahead, size), "update": update}, 5)
    market.wake()
    again = batches(market, 8, 256)
    eager = interleaved({"ours": (lambda: lines.apply(next(again), 0), 256), "update": update}, 7)
    check(market)
    for what, found, limit in (
        ("P=1000 books of 50, N=500, every tick", eager, 1.6),
        ("the same, batch of 512 and then the tails", lazy, None),
    ):
        gate(
            14, what, peer="update of all holders alone", window=1000, tail=0.01,
            ours=found["ours"], theirs=found["update"], limit=limit,
        )  # fmt: skip


def hedge(market: Books, factors: int = 3) -> None:
    """Take the first principal components of the returns out of the book's exposures."""
    _, _, directions = np.linalg.svd(market.lines.returns.T, full_matrices=False)
    v = market.exposure()
    v -= directions[:factors].T @ (directions[:factors] @ v)
    market.hold(v / market.lines.last)


@pytest.mark.parametrize("hedged", [False, True], ids=["long and short", "market neutral"])
@pytest.mark.parametrize("assets", [50, 500])
@pytest.mark.parametrize("window", [1000, 2500, 10_000])
def test_candidates_are_seldom_chosen_anew(window: int, assets: int, hedged: bool) -> None:
    """The audit after each 100,000 ticks counts, too: 1 means that the bound asked for none."""
    market = Books(assets, window, (0.99,))
    if hedged:
        hedge(market)
    market.wake()
    ticks, hundred_thousands = 20_000, 3
    for batch in batches(market, 5 * hundred_thousands, ticks, 1e-4):
        market.feed(batch)
    check(market)
    assert layout.watch(market.lines.ints)[0, W_REBUILDS] == market.rebuilds
    kind = "market neutral" if hedged else "long and short"
    gate(
        15, f"candidates chosen anew, N={assets}, {kind}", peer="100,000 ticks of 1 bp",
        window=window, tail=0.01, ours=market.rebuilds / hundred_thousands, theirs=1.0,
        limit=5.0, unit="rebuilds",
    )  # fmt: skip


@pytest.mark.parametrize("window", [1000, 10_000])
def test_drift_without_a_recompute(window: int) -> None:
    """Gate 19: 300,000 ticks from one choice of candidates on; `follow` orders no audit."""
    market = Books(50, window, (0.99,))
    market.wake()
    for batch in batches(market, 15, 20_000, 1e-4):
        market.follow(batch)
    pnl: Float64 = market.exposure() @ market.lines.returns
    F, I = market.arenas  # noqa: E741
    columns = layout.columns(I)[0, : layout.watch(I)[0, 0]]
    values = layout.values(F, I)[0, : len(columns)]
    drift = float(np.max(np.abs(values - pnl[columns])) / np.max(np.abs(pnl[columns])))
    errors = [abs(a / b - 1.0) for a, b in zip(market.kept(), market.recomputed(), strict=True)]
    what = f"drift of a book, 300,000 ticks, {market.rebuilds} recomputes"
    gate(
        19, what, peer="numpy R @ v", window=window, tail=0.01,
        ours=max(drift, *errors), theirs=1.0, limit=1e-10, unit="relative",
    )  # fmt: skip
    assert math.isfinite(drift)
