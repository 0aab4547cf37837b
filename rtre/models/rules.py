"""Rules that read VaR and ES off a sorted sample, by name, so that published numbers reproduce.

Textbooks and packages differ in which order statistic is VaR and in what they average for ES. Each
difference is an option here, named after what it does; docs/models.md says whose each one is.

VaR, ``rule``:

``order-statistic``
    L(k), k = ceil(n tail). Hull; Riskfolio-Lib.
``next-order-statistic``
    L(k), k = floor(n tail) + 1: differs where n tail is whole. skfolio, QuantLib.
``linear``
    Linear interpolation at rank 1 + (n - 1) tail: type 7 of Hyndman and Fan (1996). numpy, R,
    PerformanceAnalytics, empyrical, quarks.
``harrell-davis``
    A mean of all order statistics under Beta weights: Harrell and Davis (1982).
``type-1`` to ``type-9``
    The nine sample quantiles of Hyndman and Fan (1996), as R's ``quantile(pnl, tail, type = k)``
    gives them, with the sign turned. ``type-1`` is ``order-statistic`` and ``type-7`` is
    ``linear``; Excel's PERCENTILE.EXC is ``type-6``, SAS' default ``type-2``, SciPy's mquantiles
    between 8 and 9.

ES, ``shortfall``:

``matching``
    The mean of the rule's own quantiles over the tail, so never below VaR, and coherent for the
    order statistics (Rockafellar and Uryasev 2002, with a fraction of the boundary loss).
``beyond``
    Mean of the losses strictly greater than VaR. Hull, QuantLib, PerformanceAnalytics, quarks.
    Where no loss is greater, VaR itself.
``at-or-beyond``
    Mean of the losses not smaller than VaR. empyrical; the "k worst days" of many reports.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Literal, get_args

import attrs
import numpy as np
from scipy import special

from rtre.market import Float64
from rtre.models.base import Tail
from rtre.order import tail_probability

Rule = Literal[
    "order-statistic",
    "next-order-statistic",
    "linear",
    "harrell-davis",
    "type-1",
    "type-2",
    "type-3",
    "type-4",
    "type-5",
    "type-6",
    "type-7",
    "type-8",
    "type-9",
]
Shortfall = Literal["matching", "beyond", "at-or-beyond"]
#: Plotting positions of the continuous types: loss i sits at tail ``(i - a) / (n + 1 - a - b)``.
_POSITIONS: dict[str, tuple[Fraction, Fraction]] = {
    "type-4": (Fraction(0), Fraction(1)),
    "type-5": (Fraction(1, 2), Fraction(1, 2)),
    "type-6": (Fraction(0), Fraction(0)),
    "type-8": (Fraction(1, 3), Fraction(1, 3)),
    "type-9": (Fraction(3, 8), Fraction(3, 8)),
}
#: The same rule under its number.
_ALIASES: dict[str, Rule] = {"type-1": "order-statistic", "type-7": "linear"}
RULES: tuple[Rule, ...] = get_args(Rule)
SHORTFALLS: tuple[Shortfall, ...] = get_args(Shortfall)


def linear_tail(losses: Float64, confidence: float) -> tuple[float, float]:
    """VaR by linear interpolation, and the mean of the interpolated quantiles beyond it.

    `losses` sorted worst first. The quantile function is the polygon through ``(i/(n-1), L(i+1))``;
    its integral from 0 to the tail is a sum of trapezoids.
    """
    n = len(losses)
    position = (n - 1) * tail_probability(confidence)
    i = math.floor(position)
    fraction = float(position - i)
    if n == 1:
        return float(losses[0]), float(losses[0])
    var = float(losses[i] + fraction * (losses[i + 1] - losses[i]))
    area = float(np.sum(losses[:i]) + np.sum(losses[1 : i + 1])) / 2.0
    area += fraction * (float(losses[i]) + var) / 2.0
    return var, area / float(position)


def interpolated_tail(
    losses: Float64, confidence: float, a: Fraction, b: Fraction
) -> tuple[float, float]:
    """VaR on the polygon through ``((i - a)/(n + 1 - a - b), L(i))``, and its mean over the tail.

    `losses` sorted worst first. Beyond the first and the last point the polygon is level, as in R.
    The positions are exact, so that a tail that meets a point gives its loss.
    """
    n, tail = len(losses), tail_probability(confidence)
    total = n + 1 - a - b
    position = a + tail * total  # of VaR among the ranks
    i = min(max(math.floor(position), 0), n)
    if i < 1:
        return float(losses[0]), float(losses[0])
    fraction = float(position - i) if i < n else 0.0
    after = losses[min(i, n - 1)]
    var = float(losses[i - 1] + fraction * (after - losses[i - 1]))
    # level up to the first point, a trapezoid to each of the next, a part of one to VaR
    area = float(losses[0]) * float(1 - a)
    area += float(np.sum(losses[: i - 1]) + np.sum(losses[1:i])) / 2.0
    area += float(position - i) * (float(losses[i - 1]) + var) / 2.0
    return var, area / float(tail * total)


def _stepped_tail(losses: Float64, confidence: float, rule: Rule) -> tuple[float, float]:
    """VaR and the mean of the quantiles beyond it, by the types 2 and 3 of Hyndman and Fan."""
    n, tail = len(losses), tail_probability(confidence)
    m = n * tail
    if rule == "type-2":  # the mean of both neighbours where a whole number of losses is beyond
        k = max(math.ceil(m), 1)
        var = float(losses[k - 1])
        if m == k and k < n:
            var = (var + float(losses[k])) / 2.0
        area = float(np.sum(losses[: k - 1])) + float(m - k + 1) * float(losses[k - 1])
        return var, area / float(m)
    # type 3: the nearest rank, the even one of two; loss i stands for i - 1/2 to i + 1/2, the worst
    # from 0
    k = max(round(m), 1)
    if k == 1:
        return float(losses[0]), float(losses[0])
    area = 0.5 * float(losses[0]) + float(np.sum(losses[: k - 1]))
    area += float(m - k + Fraction(1, 2)) * float(losses[k - 1])
    return float(losses[k - 1]), area / float(m)


@lru_cache(maxsize=256)
def harrell_davis_weights(n: int, confidence: float) -> tuple[Float64, Float64]:
    """Weights of L(1) .. L(n) in the Harrell-Davis VaR, and in the mean of its quantiles beyond.

    ``w_i = I_{i/n}(a, b) - I_{(i-1)/n}(a, b)``, a = (n+1) tail, b = (n+1)(1 - tail), I the
    regularised incomplete beta function (Harrell and Davis 1982). The weights of ES are
    their mean over tails from 0 to the tail, by Gauss and Legendre with 64 nodes: good to 1e-9 of
    the largest loss up to n = 2000. Cost: 65 n beta functions, once per (n, confidence).
    """
    tail = float(tail_probability(confidence))
    edges = np.arange(n + 1.0) / n

    def weights(at: float) -> Float64:
        a, b = (n + 1.0) * at, (n + 1.0) * (1.0 - at)
        return np.asarray(np.diff(special.betainc(a, b, edges)))

    nodes, masses = np.polynomial.legendre.leggauss(64)
    mean = np.zeros(n)
    for node, mass in zip(nodes, masses, strict=True):
        mean += 0.5 * mass * weights(0.5 * tail * (1.0 + node))
    pair = weights(tail), mean
    for array in pair:
        array.flags.writeable = False
    return pair


def apply_rule(
    base: Tail, losses: Float64, confidence: float, rule: Rule, shortfall: Shortfall
) -> Tail:
    """Replace VaR and ES of `base` by those of the named rules; its interval and error stay.

    Parameters
    ----------
    base : Tail
        By the default rules: order-statistic, matching.
    losses : (n,) float64
        Sorted worst first.
    confidence, rule, shortfall
        See above.
    """
    var, es = base.var, base.es
    rule = _ALIASES.get(rule, rule)
    if rule == "next-order-statistic":
        # the integral of the tail is the same from either end of the gap, so ES stays
        k = math.floor(len(losses) * tail_probability(confidence)) + 1
        var = float(losses[k - 1])
    elif rule == "linear":
        var, es = linear_tail(losses, confidence)
    elif rule == "harrell-davis":
        of_var, of_es = harrell_davis_weights(len(losses), confidence)
        var, es = float(np.sum(of_var * losses)), float(np.sum(of_es * losses))
    elif rule in _POSITIONS:
        var, es = interpolated_tail(losses, confidence, *_POSITIONS[rule])
    elif rule in ("type-2", "type-3"):
        var, es = _stepped_tail(losses, confidence, rule)
    if shortfall != "matching":
        worst = losses[losses > var] if shortfall == "beyond" else losses[losses >= var]
        es = float(np.mean(worst)) if len(worst) else var
    return attrs.evolve(base, var=var, es=max(es, var))
