"""The Basel traffic light, for any number of periods and any confidence.

Basel Committee, Supervisory framework for the use of backtesting (1996): green while the number of
exceedances is one that a right model shows with cumulative probability below 95 %, red from
99.99 %, yellow between. Capital grows with the zone: multiplier = base + plus factor.

One deviation: a zone begins at one exceedance at the least, so a model without any is green. By the
letter a handful of periods is yellow with none (``P(X <= 0)`` is 95.1 % for five at 99 %), which
would call a model doubtful that has done nothing wrong. It makes no difference to the published
table, which is for 250 periods.
"""

from __future__ import annotations

from typing import Literal

import attrs
from scipy import special, stats

from rtre.backtest.result import check_count
from rtre.errors import DataError
from rtre.order import tail_probability

#: Plus factors for 5 to 9 exceedances in 250 periods at 99 %, and for 10 or more, by base.
PLUS_FACTORS = {
    3.0: (0.40, 0.50, 0.65, 0.75, 0.85, 1.00),  # BCBS 1996, table 2
    1.5: (0.20, 0.26, 0.33, 0.38, 0.42, 0.50),  # MAR32.9
}


@attrs.frozen
class TrafficLight:
    """Zone of a model and what follows from it.

    Attributes
    ----------
    zone : {"green", "yellow", "red"}
    cumulative : float
        ``P(X <= x)`` for a right model, X binomial.
    type_one : float
        ``P(X >= x)``: how often a right model does at least as badly.
    plus, multiplier : float
        The plus factor, and base + plus.
    yellow_from, red_from : int
        Number of exceedances at which the zones begin, 1 or more; n + 1 where a zone
        does not exist.
    n, x : int
    confidence, base : float
    """

    zone: Literal["green", "yellow", "red"]
    cumulative: float
    type_one: float
    plus: float
    multiplier: float
    yellow_from: int
    red_from: int
    n: int
    x: int
    confidence: float
    base: float


def zone_starts(
    n: int, confidence: float, *, yellow: float = 0.95, red: float = 0.9999
) -> tuple[int, int]:
    """Fewest exceedances in the yellow and in the red zone; n + 1 where there are none.

    Never 0, see the top of this file.

    >>> zone_starts(250, 0.99), zone_starts(250, 0.975), zone_starts(250, 0.95)
    ((5, 10), (11, 17), (18, 27))
    """
    check_count(n, 0)
    if not 0.0 < yellow < red < 1.0:
        raise DataError(f"zones need 0 < yellow < red < 1, got {yellow!r} and {red!r}")
    tail = float(tail_probability(confidence))
    starts = []
    for level in (yellow, red):
        x = int(stats.binom.ppf(level, n, tail))
        # ppf may be one off where the cumulative probability meets the level to the last bit
        while x > 1 and stats.binom.cdf(x - 1, n, tail) >= level:
            x -= 1
        x = max(x, 1)  # no exceedance is green whatever n is
        while x <= n and stats.binom.cdf(x, n, tail) < level:
            x += 1
        starts.append(x)
    # P(X <= n) is one, in floating point perhaps a little earlier: a zone is never empty by that
    return starts[0], starts[1]


def zone_probabilities(
    n: int, confidence: float, true_tail: float, *, yellow: float = 0.95, red: float = 0.9999
) -> tuple[float, float, float]:
    """Probability of green, yellow and red when losses beat VaR with probability `true_tail`.

    The error rates of the rule: of type I at ``true_tail = 1 - confidence``, of type II above.

    >>> [round(p, 3) for p in zone_probabilities(250, 0.99, 0.03)]
    [0.128, 0.651, 0.221]
    """
    if not 0.0 <= true_tail <= 1.0:
        raise DataError(f"true_tail is a probability, got {true_tail!r}")
    first, second = zone_starts(n, confidence, yellow=yellow, red=red)
    below = float(stats.binom.cdf(first - 1, n, true_tail))
    worst = float(stats.binom.sf(second - 1, n, true_tail))
    return below, max(1.0 - below - worst, 0.0), worst


def traffic_light(
    n: int,
    x: int,
    confidence: float,
    *,
    base: float = 3.0,
    plus: Literal["auto", "table", "formula"] = "auto",
    yellow: float = 0.95,
    red: float = 0.9999,
) -> TrafficLight:
    """Zone and multiplier of `x` exceedances in `n` periods.

    Parameters
    ----------
    n, x : int
    confidence : float
        Of the VaR, like 0.99.
    base : float
        Multiplier of a green model: 3 (Basel 1996) or 1.5 (MAR32, since 2019).
    plus : {"auto", "table", "formula"}
        ``table``: the Basel table, which exists for 250 periods at 99 % and these two bases.
        ``formula``: ``base (z(confidence) / z(1 - x/n) - 1)``, z the normal quantile, between 0
        and base/3 (MathWorks' rule): what would bring a normal VaR back to its coverage.
        ``auto``: the table where it exists.
    yellow, red : float
        Cumulative probabilities at which the zones begin.
    """
    check_count(n, x)
    if plus not in ("auto", "table", "formula"):
        raise DataError(f"plus must be auto, table or formula; got {plus!r}")
    if not base > 0.0:
        raise DataError(f"base must be positive, got {base!r}")
    tail = float(tail_probability(confidence))
    first, second = zone_starts(n, confidence, yellow=yellow, red=red)
    zone: Literal["green", "yellow", "red"] = "green"
    if x >= second:
        zone = "red"
    elif x >= first:
        zone = "yellow"
    has_table = n == 250 and tail == 0.01 and base in PLUS_FACTORS and (first, second) == (5, 10)
    if plus == "table" and not has_table:
        raise DataError(
            f"the Basel table is for 250 periods at 0.99 with base 3 or 1.5, not for {n} at"
            f" {confidence!r} with base {base!r}"
        )
    if zone == "green":
        factor = 0.0
    elif has_table and plus != "formula":
        factor = PLUS_FACTORS[base][min(x, second) - first]
    elif zone == "red":
        factor = base / 3.0
    else:
        reached = -float(special.ndtri(x / n))
        factor = base / 3.0
        if reached > 0.0:
            factor = min(max(base * (-float(special.ndtri(tail)) / reached - 1.0), 0.0), factor)
    return TrafficLight(
        zone,
        float(stats.binom.cdf(x, n, tail)),
        float(stats.binom.sf(x - 1, n, tail)),
        factor,
        base + factor,
        first,
        second,
        n,
        x,
        confidence,
        base,
    )
