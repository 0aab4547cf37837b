"""Cornish-Fisher (modified) VaR: normal quantiles bent by skewness and kurtosis.

    Z(z) = z + (z^2 - 1) S/6 + (z^3 - 3z) K/24 - (2 z^3 - 5z) S^2/36,   P&L = mean + sd Z

with z standard normal, S skewness and K excess kurtosis. Z is a quantile function only while it
increases in z; outside that domain a higher confidence may give a lower VaR, so the model refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from scipy import optimize, special

from rtre.checks import one_of
from rtre.market import Float64
from rtre.models.base import Cadence, Model, Tail
from rtre.models.gaussian import Z95, normal_factors
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem
from rtre.order import tail_probability

_NODES, _MASSES = special.roots_hermitenorm(8)
_MASSES = _MASSES / np.sum(_MASSES)


def in_domain(skew: float, kurtosis: float) -> bool:
    """Whether Z increases everywhere, for these *parameters* S and K.

    The derivative is a parabola in z; it stays non-negative where its discriminant
    ``S^2/9 - 4 (K/8 - S^2/6)(1 - K/8 + 5 S^2/36)`` is not positive and it opens upwards: Maillard,
    A user's guide to the Cornish Fisher expansion (2012).

    >>> in_domain(0.0, 8.0), in_domain(0.0, 8.1), in_domain(1.0, 1.0)
    (True, False, False)
    """
    bend = kurtosis / 8.0 - skew**2 / 6.0
    level = 1.0 - kurtosis / 8.0 + 5.0 * skew**2 / 36.0
    discriminant = skew**2 / 9.0 - 4.0 * bend * level
    # S = K = 0 is the normal law itself: no bend at all
    return (bend > 0.0 and discriminant <= 0.0) or (skew == 0.0 and kurtosis == 0.0)


def cornish_fisher_quantile(z: Float64 | float, skew: float, kurtosis: float) -> Any:
    """Z at `z`: Cornish and Fisher (1938), to the second order."""
    return (
        z
        + (z * z - 1.0) * skew / 6.0
        + (z**3 - 3.0 * z) * kurtosis / 24.0
        - (2.0 * z**3 - 5.0 * z) * skew**2 / 36.0
    )


def cornish_fisher_factors(confidence: float, skew: float, kurtosis: float) -> tuple[float, float]:
    """VaR and ES of Z as losses: ``-Z(z)`` and the mean of ``-Z`` over the tail, z = ndtri(tail).

    ``ES = phi(z)/tail [1 + z S/6 + (z^2 - 1) K/24 - (2 z^2 - 1) S^2/36]``, the integral of the
    quantile function term by term (Maillard 2012). The first is below the second inside
    the domain.
    """
    q, c = normal_factors(confidence)
    z = -q
    bend = 1.0 + z * skew / 6.0 + (z * z - 1.0) * kurtosis / 24.0
    bend -= (2.0 * z * z - 1.0) * skew**2 / 36.0
    return -float(cornish_fisher_quantile(z, skew, kurtosis)), c * bend


def edgeworth_shortfall(confidence: float, skew: float, kurtosis: float) -> float:
    """ES of the Edgeworth density beyond the Cornish-Fisher quantile, at least that quantile.

    Boudt, Peterson and Croux, Estimation and decomposition of downside risk for portfolios with
    non-normal returns, Journal of Risk 11 (2008), in its "operational" form (never below
    VaR), which is what PerformanceAnalytics prints as modified ES.
    """
    tail = float(tail_probability(confidence))
    h = float(cornish_fisher_quantile(float(special.ndtri(tail)), skew, kurtosis))
    density = math.exp(-0.5 * h * h) / math.sqrt(2.0 * math.pi)
    bend = 1.0 + h**3 * skew / 6.0
    bend += (h**6 - 9.0 * h**4 + 9.0 * h**2 + 3.0) * skew**2 / 72.0
    bend += (h**4 - 2.0 * h**2 - 1.0) * kurtosis / 24.0
    return max(density * bend / tail, -h)


def moments_of(skew: float, kurtosis: float) -> tuple[float, float, float, float]:
    """Mean, deviation, skewness and excess kurtosis of Z itself at parameters S and K.

    They differ from S and K, the more the larger these are. Exact: Z is a cubic in a normal, so a
    Gauss-Hermite rule of 8 nodes integrates its fourth power.
    """
    values = cornish_fisher_quantile(_NODES, skew, kurtosis)
    mean = float(np.sum(_MASSES * values))
    centred = values - mean
    square = centred * centred
    variance = float(np.sum(_MASSES * square))
    third = float(np.sum(_MASSES * square * centred)) / variance**1.5
    fourth = float(np.sum(_MASSES * square * square)) / variance**2
    return mean, math.sqrt(variance), third, fourth - 3.0


def matched_parameters(skew: float, kurtosis: float) -> tuple[float, float] | None:
    """Return parameters at which Z has this skewness and kurtosis; None where there are none.

    Maillard (2012): "the" S and K of the formula are not the moments they are called. Several pairs
    may have the same moments: of those, one in the domain (`in_domain`) where there is any.
    """

    def miss(x: Float64) -> list[float]:
        _, _, got_skew, got_kurtosis = moments_of(float(x[0]), float(x[1]))
        return [got_skew - skew, got_kurtosis - kurtosis]

    outside = None
    for part in (0.5, 0.3, 0.15, 1.0):  # parameters are mostly smaller than the moments they make
        found = optimize.root(miss, [part * skew, part * kurtosis], tol=1e-12)
        if found.success and max(abs(m) for m in miss(found.x)) < 1e-8:
            shape = float(found.x[0]), float(found.x[1])
            if in_domain(*shape):
                return shape
            outside = outside or shape
    return outside


def _slopes(
    factor: Callable[[float, float], float], skew: float, kurtosis: float
) -> tuple[float, float]:
    """Derivatives of a factor by the parameters S and K, by central differences."""
    step = 1e-5
    by_skew = factor(skew + step, kurtosis) - factor(skew - step, kurtosis)
    by_kurtosis = factor(skew, kurtosis + step) - factor(skew, kurtosis - step)
    return by_skew / (2.0 * step), by_kurtosis / (2.0 * step)


def _through_match(slopes: tuple[float, float], shape: tuple[float, float]) -> tuple[float, float]:
    """Turn slopes by the parameters into slopes by the moments that they were matched to."""

    def skew_of(s: float, k: float) -> float:
        return moments_of(s, k)[2]

    def kurtosis_of(s: float, k: float) -> float:
        return moments_of(s, k)[3]

    jacobian = np.array([_slopes(skew_of, *shape), _slopes(kurtosis_of, *shape)])
    if abs(float(np.linalg.det(jacobian))) < 1e-9:
        return math.nan, math.nan
    by_skew, by_kurtosis = np.linalg.solve(jacobian.T, np.array(slopes)).tolist()
    return by_skew, by_kurtosis


def influence_error(
    u: Float64, moments: tuple[float, float], at: float, slopes: tuple[float, float]
) -> float:
    """Standard error of ``-mean + sd F(S, K)`` in units of sd, by the delta method.

    The estimate is a smooth function of four sample moments, so it moves by the mean of
    ``-u + F (u^2 - 1)/2 + F_S i_S + F_K i_K`` over the observations, with i_S and i_K the influence
    functions of skewness and kurtosis. No law of the sample is assumed; eight moments must exist
    for the error to mean something.

    Parameters
    ----------
    u : (n,) float64
        The standardised sample.
    moments : tuple of float
        Its skewness and excess kurtosis.
    at, slopes : float, tuple of float
        F and its derivatives by the two moments.
    """
    skew, kurtosis = moments[0], moments[1] + 3.0
    square = u * u
    excess = square - 1.0
    of_skew = square * u - skew - 3.0 * u - 1.5 * skew * excess
    of_kurtosis = square * square - kurtosis - 2.0 * kurtosis * excess - 4.0 * skew * u
    moved = -u + 0.5 * at * excess + slopes[0] * of_skew + slopes[1] * of_kurtosis
    return math.sqrt(float(np.mean(moved * moved)) / len(u))


@attrs.frozen
class CornishFisher(Model):
    """``VaR = -mean - sd Z(z)`` from the first four sample moments (divisor n).

    Zangari, A VaR methodology for portfolios that include options, RiskMetrics Monitor (1996).

    Interval and standard error are the delta method's through the four sample moments
    (`influence_error`). They need eight moments of the law; on heavy tails they are too small.

    Cost: on a tick, one pass over the window of each line asked about, 0.2 ms for 500 observations;
    nothing more on a closed interval. With ``parameters="matched"`` an estimate takes several
    milliseconds, so it is made when an interval closes, and a tick costs nothing.

    Attributes
    ----------
    parameters : {"moments", "matched"}
        ``moments``: the sample's moments are put in as they are, as most software does.
        ``matched``: S and K are solved for so that the law has the sample's moments (Maillard
        2012), which reaches far heavier tails before it must refuse.
    shortfall : {"integral", "edgeworth"}
        See `cornish_fisher_factors` and `edgeworth_shortfall`. The second is for reproducing
        PerformanceAnalytics: its density can turn negative, and its ES fall as confidence rises.
    outside : {"refuse", "compute"}
        What to do outside the domain. ``compute`` is for reproducing published numbers: they may
        fall as confidence rises.
    """

    name: ClassVar[str] = "cornish-fisher"
    min_obs: ClassVar[int] = 30

    parameters: Literal["moments", "matched"] = attrs.field(
        default="moments", validator=one_of("moments", "matched")
    )
    shortfall: Literal["integral", "edgeworth"] = attrs.field(
        default="integral", validator=one_of("integral", "edgeworth")
    )
    outside: Literal["refuse", "compute"] = attrs.field(
        default="refuse", validator=one_of("refuse", "compute")
    )

    @property
    def cadence(self) -> Cadence:
        """``interval`` for matched parameters: the search is too slow for every report."""
        return "interval" if self.parameters == "matched" else "tick"

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES from four moments; cost O(n), and some twenty factors for the errors."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        mean = mean_of(pnl)
        sd = deviation_of(pnl, mean, 0)
        if sd == 0.0:
            return [Tail(-mean, -mean) for _ in confidences]
        u = (pnl - mean) / sd
        square = u * u  # products: a power is twenty times slower
        skew = float(np.mean(square * u))
        kurtosis = float(np.mean(square * square)) - 3.0
        shape = (skew, kurtosis)
        if self.parameters == "matched":
            found = matched_parameters(skew, kurtosis)
            if found is None:
                return invalid(
                    f"no Cornish-Fisher law has skewness {skew:.3g} and excess kurtosis"
                    f" {kurtosis:.3g}",
                    confidences,
                )
            shape = found
        if self.outside == "refuse" and not in_domain(*shape):
            return invalid(
                f"skewness {skew:.3g} and excess kurtosis {kurtosis:.3g} lie outside the domain"
                " in which the expansion is a distribution",
                confidences,
            )
        return [
            self._tail(u, (mean, sd), (skew, kurtosis), shape, confidence)
            for confidence in confidences
        ]

    def _tail(
        self,
        u: Float64,
        located: tuple[float, float],
        moments: tuple[float, float],
        shape: tuple[float, float],
        confidence: float,
    ) -> Tail:
        matched = self.parameters == "matched"

        def factor(which: int, skew: float, kurtosis: float) -> float:
            if which and self.shortfall == "edgeworth":
                value = edgeworth_shortfall(confidence, skew, kurtosis)
            else:
                value = cornish_fisher_factors(confidence, skew, kurtosis)[which]
            if not matched:
                return value
            at, spread, _, _ = moments_of(skew, kurtosis)
            return (value + at) / spread

        mean, sd = located
        numbers, errors = [], []
        for which in (0, 1):
            at = factor(which, *shape)
            slopes = _slopes(partial(factor, which), *shape)
            if matched:
                slopes = _through_match(slopes, shape)
            numbers.append(sd * at - mean)
            errors.append(sd * influence_error(u, moments, at, slopes))
        var, es = numbers
        half = Z95 * errors[0]
        return Tail(var, max(es, var), var - half, var + half, errors[1])


MODEL = CornishFisher
