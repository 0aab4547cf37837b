"""Ranks: which order statistics are VaR, ES and the interval of VaR. Exact, by rational numbers.

``ceil((1 - 0.95) * 100)`` is 6 in floating point and 5 in truth, and one rank is a wrong VaR. So a
confidence is read as the decimal a person typed (``0.95`` is 19/20), and ranks are computed from
that.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import attrs
import numpy as np
from scipy import special

from rtre.errors import DataError
from rtre.market import Float64, Int64

COVERAGE = 0.95  #: of the interval of VaR, unless asked otherwise
_ROUNDING = 1e-12  # relative, of a sum of binomial probabilities


@lru_cache(maxsize=256)
def tail_probability(confidence: float) -> Fraction:
    """``1 - confidence``, exactly, reading `confidence` as its shortest decimal.

    >>> tail_probability(0.95)
    Fraction(1, 20)
    """
    if not 0.5 < confidence < 1.0:
        raise DataError(f"confidence must lie between 0.5 and 1, like 0.99; got {confidence!r}")
    return 1 - Fraction(Decimal(repr(float(confidence))))


@attrs.frozen
class TailRanks:
    """Ranks for n losses sorted from the worst, L(1) >= L(2) >= ...

    Attributes
    ----------
    k : int
        ``VaR = L(k)``; k = ceil(m) with m = n * tail.
    weight : float
        ``ES = (L(1) + ... + L(k-1) + weight * L(k)) / m`` with weight = m - k + 1, in (0, 1].
    m : float
        Expected number of losses in the tail.
    high, low : int
        ``L(high)`` and ``L(low)`` bound VaR with at least the asked coverage; ``high == 0`` means
        that the sample has no loss large enough to bound VaR from above, and ``low == n + 1`` none
        small enough to bound it from below.
    """

    k: int
    weight: float
    m: float
    high: int
    low: int


def binomial_quantile(probability: float, n: Int64, p: float) -> Int64:
    """Fewest successes k among n, each of probability p, with ``P(X <= k) >= probability``.

    What ``scipy.stats.binom.ppf`` gives, without importing scipy.stats, which takes longer than
    loading all compiled kernels. `n` is an array of any shape, entries from 1. A sum that falls
    short of `probability` by no more than its own rounding reaches it: of 7 fair coins, 3 heads.

    >>> binomial_quantile(0.975, np.array([250, 1000]), 0.01).tolist()
    [6, 17]
    """
    enough = probability * (1.0 - _ROUNDING)
    k = np.clip(np.ceil(special.bdtrik(probability, n, p)), 0, n).astype(np.int64)
    while np.any(high := (k > 0) & (special.bdtr(np.maximum(k - 1, 0), n, p) >= enough)):
        k -= high
    while np.any(low := (k < n) & (special.bdtr(k, n, p) < enough)):
        k += low
    return np.asarray(k)


@lru_cache(maxsize=4096)
def tail_ranks(n: int, confidence: float, coverage: float = COVERAGE) -> TailRanks:
    """Ranks of VaR, of ES, and of the distribution-free interval of VaR among n losses.

    The number of losses beyond the true quantile is Binomial(n, tail), so its quantiles
    r = q((1-coverage)/2) and s = q((1+coverage)/2) + 1 give the ranks of an interval with at least
    `coverage`, whatever the distribution (David and Nagaraja, Order Statistics, section 7.1).

    >>> tail_ranks(100, 0.95).k, tail_ranks(250, 0.99)
    (5, TailRanks(k=3, weight=0.5, m=2.5, high=0, low=7))
    """
    if n < 1:
        raise DataError(f"ranks need at least one loss, got n={n}")
    tail = tail_probability(confidence)
    m = n * tail
    k = max(1, math.ceil(m))
    ends = (0.5 - coverage / 2.0, 0.5 + coverage / 2.0)
    size = np.array([n])
    high, low = (int(binomial_quantile(end, size, float(tail))[0]) for end in ends)
    low = min(low + 1, n + 1)
    return TailRanks(k, float(m - k + 1), float(m), high, low)


@lru_cache(maxsize=32)
def rank_table(confidences: tuple[float, ...], window: int) -> tuple[Int64, Float64]:
    """`tail_ranks` for every number of losses up to `window`, as arrays for kernels.

    Returns
    -------
    ranks : (C, window + 1, 3) int64
        ``k, high, low``; the row of n = 0 is all zero.
    m : (C, window + 1) float64
        Expected number of losses in the tail.
    """
    n = np.arange(1, window + 1)
    ranks = np.zeros((len(confidences), window + 1, 3), np.int64)
    m = np.zeros((len(confidences), window + 1))
    for c, confidence in enumerate(confidences):
        tail = tail_probability(confidence)
        p, q = tail.numerator, tail.denominator
        if window * p < 2**62 and q < 2**62:
            ranks[c, 1:, 0] = -(-n * p // q)
        else:
            ranks[c, 1:, 0] = [math.ceil(int(i) * tail) for i in n]
        m[c, 1:] = [int(i) * p / q for i in n]  # int / int is correctly rounded
        ranks[c, 1:, 1] = binomial_quantile(0.5 - COVERAGE / 2.0, n, float(tail))
        low = binomial_quantile(0.5 + COVERAGE / 2.0, n, float(tail)) + 1
        ranks[c, 1:, 2] = np.minimum(low, n + 1)
    ranks[:, 1:, 0] = np.maximum(ranks[:, 1:, 0], 1)
    ranks.setflags(write=False)
    m.setflags(write=False)
    return ranks, m
