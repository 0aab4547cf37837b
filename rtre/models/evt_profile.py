"""Profile likelihood intervals of a generalised Pareto tail: lopsided, as its errors are.

Far out, the delta method gives an interval that is symmetric and too short above. Here a value of
VaR (or ES, or the shape) is inside when the best likelihood of a tail that has it is near the best
of all: ``2 (nll(value) - nll) <= chi2 quantile`` with one degree of freedom. This is what evir's
``gpd.q`` and ``gpd.sfall`` print with ``ci.type = "likelihood"``; McNeil, Frey and Embrechts,
Quantitative Risk Management (2015), section 5.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
from scipy import optimize, stats

from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.evt import GpdFit, gpd_nll, gpd_tail
from rtre.order import COVERAGE, tail_probability

#: Shapes that are searched; beyond 4 a tail says nothing but that it is wild.
_SHAPES = (-0.99, 4.0)


def _scale(xi: float, value: float, log_ratio: float, what: str) -> float:
    """Scale of the tail of shape `xi` whose VaR (ES) lies `value` beyond the threshold."""
    grown = math.expm1(xi * log_ratio) / xi if abs(xi) > 1e-9 else log_ratio
    if what == "var":
        return value / grown
    return value * (1.0 - xi) / (1.0 + grown)


def _lowest(cost: Callable[[float], float], low: float, high: float) -> float:
    """Lowest cost on an interval: a grid finds the valley, a bounded search its floor."""
    grid = np.linspace(low, high, 60)
    values = [cost(float(x)) for x in grid]
    best = int(np.argmin(values))
    if not math.isfinite(values[best]):
        return math.inf
    ends = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, len(grid) - 1)])
    with np.errstate(invalid="ignore"):  # the costs of two points may be infinite: no parabola
        found = optimize.minimize_scalar(
            cost, bounds=ends, method="bounded", options={"xatol": 1e-9}
        )
    return min(float(found.fun), values[best])


def _profile(excess: Float64, what: str, log_ratio: float) -> Callable[[float], float]:
    """Lowest negative log likelihood at a VaR or ES beyond the threshold, or at a shape."""
    if what == "xi":
        unit = float(np.mean(excess))

        def of_shape(xi: float) -> float:
            # in the logarithm of the scale; a bounded law must reach the largest excess
            least = -xi * float(np.max(excess)) * (1.0 + 1e-9) if xi < 0.0 else 1e-3 * unit
            low, high = math.log(max(least, 1e-3 * unit)), math.log(1e3 * unit)
            return _lowest(lambda log_b: gpd_nll(excess, xi, math.exp(log_b)), low, high)

        return of_shape
    top = _SHAPES[1] if what == "var" else 1.0 - 1e-6

    def of_value(value: float) -> float:
        def cost(xi: float) -> float:
            return gpd_nll(excess, xi, _scale(xi, value, log_ratio, what))

        return _lowest(cost, _SHAPES[0], top)

    return of_value


def profile_interval(
    losses: Float64,
    fit: GpdFit,
    confidence: float = 0.99,
    *,
    what: Literal["var", "es", "xi"] = "var",
    coverage: float = COVERAGE,
) -> tuple[float, float]:
    """Interval of VaR, ES or the shape of a fitted tail, by its profile likelihood.

    Parameters
    ----------
    losses : (n,) float64
        The sample of the fit.
    fit : GpdFit
        As `fit_gpd` gave it.
    confidence : float
        Of VaR and ES; beyond the threshold. Not used for the shape.
    what : {"var", "es", "xi"}
    coverage : float
        Of the interval.

    Returns
    -------
    low, high : float
        ``high`` is inf where no size is too large to be believed; both are those of the law beyond
        the threshold, and leave out the error of the share beyond it (as evir does).

    Raises
    ------
    DataError
        A confidence inside the threshold, or ES of a fit that has none.

    Notes
    -----
    Cost: a hundred searches of a hundred likelihoods, some tens of milliseconds.
    """
    if what not in ("var", "es", "xi"):
        raise DataError(f"what must be var, es or xi, got {what!r}")
    if not 0.0 < coverage < 1.0:
        raise DataError(f"coverage must lie between 0 and 1, got {coverage!r}")
    share, tail = fit.n_u / fit.n, float(tail_probability(confidence))
    if what != "xi" and not tail < share:
        raise DataError(
            f"confidence {confidence:g} lies inside the threshold: only {share:.3g} of the losses"
            " are beyond it"
        )
    excess = losses[losses > fit.threshold] - fit.threshold
    profile = _profile(excess, what, math.log(share / tail))
    limit = 0.5 * float(stats.chi2.isf(1.0 - coverage, 1))

    def beyond(value: float) -> float:
        return min(profile(value) - fit.nll - limit, 1e300)

    if what == "xi":
        ends = _end(beyond, fit.xi, -0.05, _SHAPES[0]), _end(beyond, fit.xi, 0.05, _SHAPES[1])
        return -math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1]
    at = gpd_tail(fit, confidence)
    centre = (at.var if what == "var" else at.es) - fit.threshold
    if not math.isfinite(centre):
        raise DataError(f"a tail of shape {fit.xi:.3g} has no ES")
    found = optimize.brentq(beyond, 1e-6 * centre, centre, xtol=1e-9 * centre)
    upper = None
    # ES has no upper end where a tail without a mean is still believed
    if what == "var" or _profile(excess, "xi", 0.0)(1.0) - fit.nll > limit:
        upper = _end(beyond, centre, 0.5 * centre, 1e6 * centre)
    high = math.inf if upper is None else fit.threshold + upper
    return fit.threshold + float(found), high


def _end(beyond: Callable[[float], float], start: float, step: float, last: float) -> float | None:
    """Where `beyond` turns positive, going from `start` in growing steps; None before `last`."""
    inside = start
    while (last - inside) * step > 0.0:
        outside = inside + step
        if (last - outside) * step <= 0.0:
            outside = last
        if beyond(outside) > 0.0:
            low, high = min(inside, outside), max(inside, outside)
            return float(optimize.brentq(beyond, low, high, xtol=1e-9 * abs(step)))
        inside, step = outside, 2.0 * step
    return None
