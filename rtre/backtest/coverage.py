"""Coverage: is the number of exceedances the promised one?

All likelihood ratios are computed as sums of logarithms with ``0 log 0 = 0``, so neither a long
sample nor one without an exceedance breaks them.
"""

from __future__ import annotations

import math
from typing import Literal

from scipy import special, stats

from rtre.backtest.result import BacktestResult, check_count, direction_of
from rtre.errors import DataError
from rtre.order import tail_probability


def binomial(
    n: int, x: int, confidence: float, *, law: Literal["exact", "normal"] = "exact"
) -> BacktestResult:
    """Test the number of exceedances against the binomial law, two-sided.

    The statistic is ``(x - n tail) / sqrt(n tail (1 - tail))`` either way.

    Parameters
    ----------
    n, x : int
        Periods and exceedances.
    confidence : float
        Of the VaR.
    law : {"exact", "normal"}
        ``exact``: twice the smaller binomial tail, at most 1. ``normal``: the large-sample law
        (Jorion; MathWorks' ``bin``).
    """
    check_count(n, x)
    if law not in ("exact", "normal"):
        raise DataError(f"law must be exact or normal, got {law!r}")
    tail = float(tail_probability(confidence))
    z = (x - n * tail) / math.sqrt(n * tail * (1.0 - tail))
    if law == "normal":
        p_value = 2.0 * float(special.ndtr(-abs(z)))
    else:
        lower, upper = stats.binom.cdf(x, n, tail), stats.binom.sf(x - 1, n, tail)
        p_value = min(1.0, 2.0 * min(float(lower), float(upper)))
    text = f"binomial({n}, {tail:g})" if law == "exact" else "normal(0, 1)"
    inputs = {"n": n, "x": x, "confidence": confidence}
    return BacktestResult("binomial", z, p_value, text, direction_of(x, n * tail), inputs)


def pof_ratio(n: int, x: int, tail: float) -> float:
    """Likelihood ratio of an exceedance probability x/n against `tail`; at least 0."""
    ratio = special.xlogy(x, x / (n * tail)) + special.xlogy(n - x, (n - x) / (n * (1.0 - tail)))
    return max(2.0 * float(ratio), 0.0)


def kupiec(n: int, x: int, confidence: float) -> BacktestResult:
    """Proportion of failures: Kupiec, Journal of Derivatives 3 (1995).

    ``LR = -2 ln[(1 - tail)^(n-x) tail^x / ((1 - x/n)^(n-x) (x/n)^x)]``, chi2(1).

    It rejects in both directions; 250 periods without an exceedance of a 99 % VaR are rejected at
    5 % (LR 5.03), so look at the direction.

    >>> result = kupiec(1043, 57, 0.95)
    >>> round(result.statistic, 5), round(result.p_value, 5)
    (0.46147, 0.49694)
    """
    check_count(n, x)
    tail = float(tail_probability(confidence))
    ratio = pof_ratio(n, x, tail)
    inputs = {"n": n, "x": x, "confidence": confidence}
    return BacktestResult(
        "kupiec-pof",
        ratio,
        float(stats.chi2.sf(ratio, 1)),
        "chi2(1)",
        direction_of(x, n * tail),
        inputs,
    )


def kupiec_region(n: int, confidence: float, level: float = 0.05) -> tuple[int, int]:
    """Fewest and most exceedances that `kupiec` accepts at a test of size `level`.

    Strictly by the statistic: zero exceedances are rejected wherever their ratio is large, also
    where printed tables show "fewer than" as their region.

    Raises
    ------
    DataError
        No number is accepted (a level next to one).

    >>> kupiec_region(255, 0.99), kupiec_region(1000, 0.95)
    ((1, 6), (38, 64))
    """
    check_count(n, 0)
    tail = float(tail_probability(confidence))
    critical = float(stats.chi2.isf(level, 1))
    best = min((math.floor(n * tail), math.ceil(n * tail)), key=lambda x: pof_ratio(n, x, tail))
    if not pof_ratio(n, best, tail) <= critical:
        raise DataError(f"no number of exceedances in {n} periods is accepted at level {level!r}")
    low = high = best
    while low > 0 and pof_ratio(n, low - 1, tail) <= critical:
        low -= 1
    while high < n and pof_ratio(n, high + 1, tail) <= critical:
        high += 1
    return low, high


def waiting_ratio(wait: int, tail: float) -> float:
    """Likelihood ratio of one exceedance after `wait` periods (1 is the next) against `tail`.

    ``-2 ln[tail (1 - tail)^(wait-1) / ((1/wait)(1 - 1/wait)^(wait-1))]``.
    """
    free = special.xlogy(1, 1.0 / wait) + special.xlog1py(wait - 1, -1.0 / wait)
    bound = math.log(tail) + (wait - 1) * math.log1p(-tail)
    return max(2.0 * (float(free) - bound), 0.0)


def tuff(
    first: int | None, confidence: float, *, n: int | None = None, level: float = 0.05
) -> BacktestResult:
    """Time until first failure: Kupiec (1995); chi2(1).

    Parameters
    ----------
    first : int or None
        Period of the first exceedance, counted from 1; None where there was none in `n` periods.
    confidence : float
        Of the VaR.
    n : int, optional
        Periods observed; needed only where `first` is None.
    level : float
        Size of the test, which only the rule for no failure uses: once n exceeds 1/tail and even
        an exceedance in the very next period would come too late, the model is rejected with the
        ratio of ``first = n + 1``; before that nothing is decided, and the statistic is 0 and the
        p-value 1 by definition (MathWorks' ``tuff`` accepts there too, with NaN).

    >>> round(tuff(58, 0.95).statistic, 4)
    1.7354
    """
    tail = float(tail_probability(confidence))
    note = ""
    if first is None:
        if n is None or n < 1:
            raise DataError(f"without an exceedance, n must say how many periods; got {n!r}")
        wait = n + 1
        ratio = waiting_ratio(wait, tail)
        if n > 1.0 / tail and float(stats.chi2.sf(ratio, 1)) < level:
            note = f"no exceedance in {n} periods: the ratio is that of one in the next"
        else:
            ratio, note = 0.0, f"no exceedance in {n} periods yet: undecided"
    else:
        if first < 1 or (n is not None and first > n):
            raise DataError(f"the first exceedance cannot be in period {first} of {n}")
        wait = first
        ratio = waiting_ratio(wait, tail)
    inputs = {"first": wait, "confidence": confidence}
    return BacktestResult(
        "tuff",
        ratio,
        float(stats.chi2.sf(ratio, 1)),
        "chi2(1)",
        direction_of(1.0 / wait, tail),
        inputs,
        note,
    )
