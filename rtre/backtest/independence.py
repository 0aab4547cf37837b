"""Independence: do exceedances come in clusters?"""

from __future__ import annotations

from typing import Literal

from scipy import special, stats

from rtre.backtest.coverage import pof_ratio, waiting_ratio
from rtre.backtest.exceedances import Counts, Transitions
from rtre.backtest.result import BacktestResult, Direction, check_count, direction_of
from rtre.errors import DataError
from rtre.order import tail_probability


def markov_ratio(transitions: Transitions) -> float:
    """Likelihood ratio of a Markov chain against independent draws; at least 0.

    Both are fitted to the same pairs, so a chain that never leaves or never meets a state (no
    exceedance, only exceedances, a single pair) has nothing to tell and gives 0.
    """
    t = transitions
    from_calm, from_hit = t.n00 + t.n01, t.n10 + t.n11
    hits, calm = t.n01 + t.n11, t.n00 + t.n10
    free = 0.0
    for part, whole in (
        (t.n00, from_calm),
        (t.n01, from_calm),
        (t.n10, from_hit),
        (t.n11, from_hit),
    ):
        free += float(special.xlogy(part, part / whole)) if whole else 0.0
    pairs = from_calm + from_hit
    bound = 0.0
    for part in (hits, calm):
        bound += float(special.xlogy(part, part / pairs)) if pairs else 0.0
    return max(2.0 * (free - bound), 0.0)


def _clustering(t: Transitions) -> Direction:
    """Return "too low" where an exceedance makes the next one likelier, "too high" where less."""
    if not t.n10 + t.n11 or not t.n00 + t.n01:
        return "in line"
    return direction_of(t.n11 / (t.n10 + t.n11), t.n01 / (t.n00 + t.n01))


def christoffersen(transitions: Transitions) -> BacktestResult:
    """Independence against a first-order Markov chain, chi2(1).

    Christoffersen, Evaluating interval forecasts, International Economic Review 39 (1998).
    The direction is "too low" where exceedances follow each other: VaR is too low after a loss.

    >>> round(christoffersen(Transitions(932, 53, 53, 4)).statistic, 5)
    0.25866
    """
    ratio = markov_ratio(transitions)
    t = transitions
    note = "" if t.n01 + t.n10 + t.n11 else "no exceedance: independence cannot be told"
    if not t.n00 + t.n01 + t.n10:
        note = "nothing but exceedances: independence cannot be told"
    inputs = {"n00": t.n00, "n01": t.n01, "n10": t.n10, "n11": t.n11}
    return BacktestResult(
        "christoffersen-independence",
        ratio,
        float(stats.chi2.sf(ratio, 1)),
        "chi2(1)",
        _clustering(t),
        inputs,
        note,
    )


def conditional_coverage(
    n: int,
    x: int,
    transitions: Transitions,
    confidence: float,
    *,
    coverage_over: Literal["periods", "pairs"] = "periods",
) -> BacktestResult:
    """Coverage and independence together: the sum of both ratios, chi2(2).

    Christoffersen (1998).

    Parameters
    ----------
    n, x : int
        Periods and exceedances.
    transitions : Transitions
        Over the n - 1 pairs.
    confidence : float
        Of the VaR.
    coverage_over : {"periods", "pairs"}
        ``periods``: the coverage part counts all n periods (MathWorks, rugarch). ``pairs``: it
        counts the n - 1 periods that have a predecessor, which makes the sum the exact ratio of
        the chain against the promised coverage (Christoffersen conditions on the first).
    """
    check_count(n, x)
    t = transitions
    pairs = t.n00 + t.n01 + t.n10 + t.n11
    if pairs != n - 1:
        raise DataError(f"{n} periods have {n - 1} pairs, the transitions count {pairs}")
    if coverage_over not in ("periods", "pairs"):
        raise DataError(f"coverage_over must be periods or pairs, got {coverage_over!r}")
    tail = float(tail_probability(confidence))
    if coverage_over == "periods":
        coverage = pof_ratio(n, x, tail)
    else:
        coverage = pof_ratio(pairs, t.n01 + t.n11, tail) if pairs else 0.0
    independence = markov_ratio(transitions)
    ratio = coverage + independence
    inputs = {
        "n": n,
        "x": x,
        "confidence": confidence,
        "coverage": coverage,
        "independence": independence,
    }
    return BacktestResult(
        "conditional-coverage",
        ratio,
        float(stats.chi2.sf(ratio, 2)),
        "chi2(2)",
        direction_of(x, n * tail),
        inputs,
    )


def time_between_failures(
    counts: Counts, confidence: float, *, mixed: bool = True
) -> BacktestResult:
    """Haas' test: each wait between exceedances against the promised one.

    Haas, New methods in backtesting (2001): the sum of `tuff`-like ratios over the x gaps (the
    first counted from the start) is chi2(x); with the ratio of `kupiec` added it is chi2(x + 1).
    The time after the last exceedance does not enter.

    The law is the published one and only approximate, since each wait is a sample of one: over 1000
    periods at 95 % the waits of a right model are rejected at 5 % in 17 % of runs.

    Parameters
    ----------
    counts : Counts
    confidence : float
        Of the VaR.
    mixed : bool
        True: with coverage (TBF). False: the waits alone (TBFI), which without an exceedance
        say nothing: statistic 0 and p-value 1 by definition.
    """
    tail = float(tail_probability(confidence))
    waits = sum(waiting_ratio(gap, tail) for gap in counts.gaps)
    inputs = {"n": counts.n, "x": counts.x, "confidence": confidence, "waits": waits}
    freedom = counts.x
    ratio = waits
    if mixed:
        inputs["coverage"] = pof_ratio(counts.n, counts.x, tail)
        ratio += inputs["coverage"]
        freedom += 1
    note = "" if counts.x else "no exceedance: there is no wait to test"
    return BacktestResult(
        "tbf" if mixed else "tbf-independence",
        ratio,
        float(stats.chi2.sf(ratio, freedom)) if freedom else 1.0,
        f"chi2({freedom})",
        direction_of(counts.x, counts.n * tail),
        inputs,
        note,
    )
