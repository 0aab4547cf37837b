"""What the benchmarks of books measure: ours and its peers, as runs for `gates.interleaved`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np

from rtre.market import TickBatch
from rtre.sheet import RESULTS

from following import Books, numpy_tail, touch_all
from portfolio import Market

ROUNDS = 9
Run = tuple[Callable[[], object], int]


def batches(market: Market, number: int, size: int, move: float = 3e-4) -> Iterator[TickBatch]:
    """Batches of one walk, made ahead of the clock."""
    walk = market.ticks(number * size, move)
    return iter([walk[j * size : (j + 1) * size] for j in range(number)])


def touching(market: Books, size: int) -> Run:
    """The bare update of all scenarios of all holders, over ticks that arrive as the market's do.

    It has P&L vectors of its own and reads the market's returns.
    """
    (F, I), books = market.arenas, len(market.lines.books)  # noqa: E741
    pnl = np.stack([market.exposure(b) @ market.lines.returns for b in range(books)])
    level = market.level.copy()
    batch = market.ticks(size)
    market.level[:] = level
    return lambda: touch_all(F, I, pnl, batch.block, 0, size), size


def asking(market: Books, ahead: Iterator[TickBatch], size: int) -> Run:
    """A batch on lines that are not awake, then VaR and ES of each line that it has touched."""
    lines = market.lines
    out = np.empty((len(lines), 1, RESULTS))

    def run() -> None:
        lines.dirty[:] = 0
        lines.apply(next(ahead), 0)
        lines.tails(np.flatnonzero(lines.dirty), out)

    return run, size


def one_call(market: Books, size: int) -> Run:
    """One tick a call, VaR and ES current after each."""
    walk = market.ticks((ROUNDS + 1) * size)
    singles = iter([walk[j : j + 1] for j in range(len(walk))])
    apply = market.lines.apply

    def run() -> None:
        for _ in range(size):
            apply(next(singles), 0)

    return run, size


def revalued(market: Books, size: int) -> Run:
    """The same by numpy: all scenarios from all returns, then VaR and ES."""
    R, v = np.ascontiguousarray(market.lines.returns.T), market.exposure()
    share, turn = market.tail_share(), count()

    def run() -> None:
        for _ in range(size):
            v[next(turn) % len(v)] *= 1.0001
            numpy_tail(R @ v, share)

    return run, size


def rank_one(market: Books, size: int) -> Run:
    """The same by numpy, in another way: the change added to the scenarios, then VaR and ES."""
    R, v = market.lines.returns.copy(), market.exposure()
    pnl, share, turn = v @ R, market.tail_share(), count()

    def run() -> None:
        for _ in range(size):
            t = next(turn)
            i = t // 2 % len(v)  # each change is taken back by the next
            np.add(pnl, R[i] * (v[i] * (-1e-4 if t % 2 else 1e-4)), out=pnl)
            numpy_tail(pnl, share)

    return run, size


def statistics(market: Books, kind: Callable[[], Any], size: int) -> Run:
    """The same by numpy and a class of QuantLib's that takes one scenario after the other."""
    R, v = np.ascontiguousarray(market.lines.returns.T), market.exposure()
    level, turn = 1.0 - market.tail_share(), count()

    def run() -> None:
        for _ in range(size):
            v[next(turn) % len(v)] *= 1.0001
            found = kind()
            for x in (R @ v).tolist():
                found.add(x)
            _ = found.valueAtRisk(level), found.expectedShortfall(level)

    return run, size
