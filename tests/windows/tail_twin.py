"""The rolling tail, slowly: a deque, and numpy or exact rationals on all of it each time."""

from __future__ import annotations

import math
from collections import deque
from fractions import Fraction

import numpy as np

HIGHEST = 1e300


def tail_of(values: list[float], tail: Fraction, rule: str) -> tuple[float, float]:
    """VaR and ES of P&L values, in one order-free pass over all of them."""
    losses = sorted((-v for v in values), reverse=True)
    m = len(losses) * tail
    k = max(1, math.ceil(m))
    if rule == "order":
        var = 0.0 + losses[k - 1]
    else:
        var = 0.0 - float(np.quantile(np.array(values), float(tail), method=rule))
    parts = [*losses[: k - 1], float(m - k + 1) * losses[k - 1]]
    return var, max(math.fsum(parts) / float(m), var)


def tolerance(values: list[float], tail: Fraction) -> float:
    """How far an ES may be from `tail_of`: 1e-12 of the mean size of what is averaged.

    That is of ES itself, unless gains and losses in the tail cancel.
    """
    worst = sorted(values)[: max(1, math.ceil(len(values) * tail))]
    return 1e-12 * math.fsum(abs(v) for v in worst) / len(worst) + 5e-322


class Twin:
    """One window, by definition."""

    def __init__(self, window: int, max_age_ns: int | None = None, nan: str = "skip") -> None:
        self.window, self.max_age_ns, self.keep = window, max_age_ns, nan == "keep"
        self.held: deque[tuple[int, float]] = deque()
        self.now = -(1 << 62)
        self.nans = self.rejected = self.aged = self.displaced = 0

    def evict(self, now: int) -> None:
        self.now = max(self.now, now)
        while self.max_age_ns and self.held and self.held[0][0] <= self.now - self.max_age_ns:
            self.held.popleft()
            self.aged += 1

    def push(self, value: float, now: int = 0) -> None:
        self.evict(now)
        nan = math.isnan(value)
        self.nans += nan
        self.rejected += abs(value) > HIGHEST
        if abs(value) <= HIGHEST or (nan and self.keep):
            if len(self.held) == self.window:
                self.held.popleft()
                self.displaced += self.max_age_ns is not None
            self.held.append((self.now, value))

    def values(self, sign: int = 1) -> list[float]:
        return [sign * v for _, v in self.held if not math.isnan(v)]
