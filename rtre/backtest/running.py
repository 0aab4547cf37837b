"""The coverage tests from counts alone, of many forecasts in one go.

The same formulas as in `rtre.backtest.coverage`, `independence` and `traffic_light`, over arrays:
one call for all models, lines and confidences costs what a single test costs there. The tests hold
one against the other.
"""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from scipy import special

from rtre.market import Float64, Int64

ZONES = ("green", "yellow", "red")
_ZONE_FROM = (0.95, 0.9999)  # of the cumulative probability; see traffic_light.zone_starts


@attrs.frozen(eq=False)
class CoverageFigures:
    """P-values of every forecast; arrays of the shape of the counts, NaN where n is 0.

    Attributes
    ----------
    zone : int64
        Place in `ZONES`; -1 where n is 0.
    binomial, kupiec, independence, conditional : float64
        Two-sided and exact; proportion of failures; Christoffersen's independence; both together.
    """

    zone: Int64
    binomial: Float64
    kupiec: Float64
    independence: Float64
    conditional: Float64


def zones(n: Float64, x: Float64, tail: Float64) -> Int64:
    """Zone of the Basel traffic light, as a place in `ZONES`; -1 where there is no period.

    >>> zones(np.full(4, 250.0), np.array([4.0, 5.0, 9.0, 10.0]), np.array(0.01))
    array([0, 1, 1, 2])
    """
    below = special.bdtr(x, np.maximum(n, 1.0).astype(np.int64), tail)
    found = (below >= _ZONE_FROM[0]).astype(np.int64) + (below >= _ZONE_FROM[1])
    found = np.where(x > 0, found, 0)  # no exceedance is green however few periods there are
    return np.asarray(np.where(n > 0, found, -1))


def coverage_figures(
    n: Float64, x: Float64, pairs: tuple[Float64, Float64, Float64, Float64], tail: Float64
) -> CoverageFigures:
    """Test the number of exceedances and their independence.

    Parameters
    ----------
    n, x : float64 arrays of one shape
        Whole numbers: periods and exceedances.
    pairs : tuple of float64 arrays
        n00, n01, n10, n11: neighbours by (exceedance before, exceedance now).
    tail : float64 array
        ``1 - confidence``, broadcast against the counts.
    """
    empty = n == 0
    n = np.maximum(n, 1.0)
    whole = n.astype(np.int64)
    lower = special.bdtr(x, whole, tail)
    upper = np.where(x > 0, special.bdtrc(np.maximum(x, 1.0) - 1.0, whole, tail), 1.0)
    coverage = 2.0 * (
        special.xlogy(x, x / (n * tail)) + special.xlogy(n - x, (n - x) / (n * (1.0 - tail)))
    )
    coverage = np.maximum(coverage, 0.0)
    clustering = _markov(*pairs)

    def known(p: Any) -> Float64:
        return np.asarray(np.where(empty, np.nan, p))

    return CoverageFigures(
        zones(np.where(empty, 0.0, n), x, tail),
        known(np.minimum(1.0, 2.0 * np.minimum(lower, upper))),
        known(special.chdtrc(1.0, coverage)),
        known(special.chdtrc(1.0, clustering)),
        known(special.chdtrc(2.0, coverage + clustering)),
    )


def _markov(n00: Float64, n01: Float64, n10: Float64, n11: Float64) -> Float64:
    """See `rtre.backtest.independence.markov_ratio`."""
    total = np.maximum(n00 + n01 + n10 + n11, 1.0)
    free, bound = np.zeros_like(total), np.zeros_like(total)
    for calm, hit in ((n00, n01), (n10, n11)):
        whole = np.maximum(calm + hit, 1.0)
        free = free + special.xlogy(calm, calm / whole) + special.xlogy(hit, hit / whole)
    for part in (n01 + n11, n00 + n10):
        bound = bound + special.xlogy(part, part / total)
    return np.asarray(np.maximum(2.0 * (free - bound), 0.0))
