"""P&L attribution: does the P&L of the risk model move with the P&L of the desk?

Basel MAR32: over 250 days, the Spearman correlation and the Kolmogorov-Smirnov distance between
the hypothetical P&L (HPL: front-office pricing, positions frozen) and the risk-theoretical P&L
(RTPL: the risk model's pricing) put a desk in a green, amber or red zone.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs
import numpy as np
import numpy.typing as npt

from rtre.backtest.result import as_series
from rtre.errors import DataError
from rtre.market import Float64

Zone = Literal["green", "amber", "red"]


@attrs.frozen
class Attribution:
    """Both metrics, their zones, and the desk's zone, which is the worse of the two."""

    spearman: float
    distance: float
    spearman_zone: Zone
    distance_zone: Zone
    zone: Zone
    n: int


def _ranks(values: Float64) -> Float64:
    """Rank from 1, ties sharing the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    ends = np.append(starts[1:], len(values))
    shared = np.repeat(0.5 * (starts + 1 + ends), ends - starts)
    ranks = np.empty(len(values))
    ranks[order] = shared
    return ranks


def spearman(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Correlation of the ranks of two series *paired by day*; 0 where one never varies.

    The pairing is what the metric is about: sorting the series before would give almost one
    whatever they are.
    """
    a, b = (_ranks(series) for series in as_series(first=first, second=second))
    a, b = a - np.mean(a), b - np.mean(b)
    size = float(np.sum(a * a)) * float(np.sum(b * b))
    if size == 0.0:
        return 0.0
    return max(-1.0, min(1.0, float(np.sum(a * b)) / math.sqrt(size)))


def ks_distance(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Largest difference of the two empirical distribution functions."""
    a, b = (np.sort(series) for series in as_series(first=first, second=second))
    at = np.concatenate((a, b))
    gap: Float64 = np.searchsorted(a, at, "right") / len(a)
    gap = gap - np.searchsorted(b, at, "right") / len(b)
    return float(np.max(np.abs(gap)))


def attribution(hypothetical: npt.ArrayLike, theoretical: npt.ArrayLike) -> Attribution:
    """Zones of a desk: Spearman 0.80 and 0.70, Kolmogorov-Smirnov 0.09 and 0.12 (MAR32).

    Parameters
    ----------
    hypothetical, theoretical : (n,) array_like
        Daily HPL and RTPL of the same days, at least 2; the rule is written for 250.
    """
    hpl, rtpl = as_series(hypothetical=hypothetical, theoretical=theoretical)
    if len(hpl) < 2:
        raise DataError("a correlation needs at least 2 days, got 1")
    rho, distance = spearman(hpl, rtpl), ks_distance(hpl, rtpl)
    order: tuple[Zone, ...] = ("green", "amber", "red")
    by_rho = order[(rho <= 0.80) + (rho < 0.70)]
    by_distance = order[(distance >= 0.09) + (distance > 0.12)]
    worse = max(by_rho, by_distance, key=order.index)
    return Attribution(rho, distance, by_rho, by_distance, worse, len(hpl))
