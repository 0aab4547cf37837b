"""Extreme value theory: a generalised Pareto tail beyond a threshold (POT)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from scipy import optimize

from rtre.checks import between, optional, whole
from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.filtered import Filtered, filter_garch
from rtre.models.garch_fit import GarchFit, check_flag, relative_fit
from rtre.models.gaussian import Z95
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem
from rtre.order import tail_probability


@attrs.frozen
class GpdFit:
    """A generalised Pareto tail: ``P(L > u + y | L > u) = (1 + xi y / beta)^(-1/xi)``.

    Attributes
    ----------
    xi, beta : float
        Shape (free of scale) and scale (units of the losses).
    threshold : float
        u.
    n, n_u : int
        Observations, and those strictly greater than u.
    nll : float
        Negative log likelihood of the exceedances.
    covariance : tuple of float
        Var(xi), Cov(xi, beta), Var(beta), from the observed information; NaN where it is not
        positive definite (``xi <= -1/2``, where the likelihood is not regular).
    """

    xi: float
    beta: float
    threshold: float
    n: int
    n_u: int
    nll: float
    covariance: tuple[float, float, float]

    @property
    def se_xi(self) -> float:
        """Standard error of the shape."""
        return math.sqrt(self.covariance[0])

    @property
    def se_beta(self) -> float:
        """Standard error of the scale."""
        return math.sqrt(self.covariance[2])


def gpd_nll(excess: Float64, xi: float, beta: float) -> float:
    """Negative log likelihood of excesses over the threshold; inf outside the support."""
    if beta <= 0.0:
        return math.inf
    y = excess / beta
    if abs(xi) < 1e-9:
        return len(y) * math.log(beta) + float(np.sum(y))
    if 1.0 + xi * float(np.max(y)) <= 0.0:
        return math.inf
    return len(y) * math.log(beta) + (1.0 + 1.0 / xi) * float(np.sum(np.log1p(xi * y)))


def _shape_and_scale(excess: Float64) -> tuple[float, float]:
    """Maximise the likelihood along theta = xi/beta, where xi = mean log(1 + theta y) is best.

    Grimshaw, Computing maximum likelihood estimates for the generalized Pareto distribution,
    Technometrics 35 (1993): one dimension in place of two. A grid finds the hill, a bounded search
    its top; shapes below -1, where the likelihood grows without bound, are left out.
    """
    unit = float(np.mean(excess))
    y = excess / unit

    def cost(theta: float) -> float:
        if abs(theta) < 1e-9:
            return 1.0  # the exponential law: beta is the mean, and log beta + xi + 1 = 1
        xi = float(np.mean(np.log1p(theta * y)))
        return math.log(xi / theta) + xi + 1.0 if xi > -1.0 else math.inf

    low = -1.0 / float(np.max(y))
    grid = np.concatenate((low * (1.0 - np.logspace(-9, -0.01, 40)), [0.0], np.logspace(-4, 5, 60)))
    grid = np.sort(grid)
    best = int(np.argmin([cost(float(theta)) for theta in grid]))
    left, right = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    top = optimize.minimize_scalar(
        cost, bounds=(float(left), float(right)), method="bounded", options={"xatol": 1e-12}
    )
    theta = float(top.x) if top.fun <= cost(float(grid[best])) else float(grid[best])
    if abs(theta) < 1e-9:
        return 0.0, unit
    xi = float(np.mean(np.log1p(theta * y)))
    return xi, unit * xi / theta


def _covariance(excess: Float64, xi: float, beta: float) -> tuple[float, float, float]:
    """Inverse of the observed information in (xi, beta), by central differences."""
    unit = float(np.mean(excess))
    y, b = excess / unit, beta / unit  # of order one: differences of the likelihood keep digits
    steps = (1e-4, 1e-4 * b)

    def at(i: float, j: float) -> float:
        return gpd_nll(y, xi + i * steps[0], b + j * steps[1])

    middle = at(0, 0)
    xx = (at(1, 0) - 2.0 * middle + at(-1, 0)) / steps[0] ** 2
    bb = (at(0, 1) - 2.0 * middle + at(0, -1)) / steps[1] ** 2
    xb = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4.0 * steps[0] * steps[1])
    determinant = xx * bb - xb * xb
    if xi <= -0.5 or not (math.isfinite(determinant) and determinant > 0.0 and xx > 0.0):
        return math.nan, math.nan, math.nan
    return bb / determinant, -xb / determinant * unit, xx / determinant * unit * unit


def fit_gpd(losses: Float64, threshold: float) -> GpdFit:
    """Fit a generalised Pareto law to the losses strictly greater than `threshold`.

    Parameters
    ----------
    losses : (n,) float64
        All losses (positive when money is lost), in any order.
    threshold : float
        u, in the same units.

    Raises
    ------
    DataError
        Fewer than 5 losses beyond the threshold, or no two that differ.
    """
    excess = losses[losses > threshold] - threshold
    if len(excess) < 5 or float(np.max(excess)) == float(np.min(excess)):
        raise DataError(
            f"{len(excess)} losses beyond the threshold {threshold:g}: a tail needs at least 5"
            " that are not all equal"
        )
    xi, beta = _shape_and_scale(excess)
    covariance = _covariance(excess, xi, beta)
    nll = gpd_nll(excess, xi, beta)
    return GpdFit(xi, beta, threshold, len(losses), len(excess), nll, covariance)


def _var_es(fit: GpdFit, share: float, tail: float) -> tuple[float, float]:
    log_ratio = math.log(share / tail)
    grown = math.expm1(fit.xi * log_ratio) / fit.xi if abs(fit.xi) > 1e-9 else log_ratio
    var = fit.threshold + fit.beta * grown
    if fit.xi >= 1.0:
        return var, math.inf
    return var, (var + fit.beta - fit.xi * fit.threshold) / (1.0 - fit.xi)


def gpd_tail(fit: GpdFit, confidence: float) -> Tail:
    """VaR and ES of a fitted tail, with delta-method errors.

    ``VaR = u + (beta/xi) [((n/n_u) tail)^(-xi) - 1]``, ``ES = (VaR + beta - xi u)/(1 - xi)``,
    infinite for ``xi >= 1`` (McNeil, Frey and Embrechts 2015, eqs 5.18 and 5.19). The errors take
    in shape, scale and the binomial share beyond the threshold.

    A tail larger than n_u/n lies inside the threshold; the formula still gives a number there, and
    packages print it, but the fit says nothing about it: the model `Evt` refuses.
    """
    tail = float(tail_probability(confidence))
    share = fit.n_u / fit.n
    var, es = _var_es(fit, share, tail)
    steps = np.array([1e-5, 1e-5 * fit.beta, 1e-5 * share])
    slopes = np.empty((2, 3))
    for i in range(3):
        moved = np.zeros(3)
        moved[i] = steps[i]
        ends = []
        for sign in (1.0, -1.0):
            at = attrs.evolve(fit, xi=fit.xi + sign * moved[0], beta=fit.beta + sign * moved[1])
            ends.append(_var_es(at, share + sign * moved[2], tail))
        for j in range(2):
            up, down = ends[0][j], ends[1][j]
            finite = math.isfinite(up) and math.isfinite(down)
            slopes[j, i] = (up - down) / (2.0 * steps[i]) if finite else math.nan
    xx, xb, bb = fit.covariance
    spread = np.array([[xx, xb, 0.0], [xb, bb, 0.0], [0.0, 0.0, share * (1.0 - share) / fit.n]])
    errors = np.sqrt(np.sum(slopes[:, :, None] * spread * slopes[:, None, :], axis=(1, 2)))
    half = Z95 * float(errors[0])
    return Tail(var, max(es, var), var - half, var + half, float(errors[1]))


@attrs.frozen
class EvtFit:
    """What survives from `Evt.fit`, free of scale: GARCH of the conditional form, and the tail."""

    garch: GarchFit | None
    xi: float
    beta_ratio: float  #: beta over the mean excess, which a later sample supplies again


@attrs.frozen
class Evt(Model):
    """Generalised Pareto tail beyond a threshold; unconditional, or on GARCH residuals.

    Balkema and de Haan (1974) and Pickands (1975) say that excesses over a high threshold tend to
    this law. The conditional form is McNeil and Frey, Journal of Empirical Finance 7 (2000):
    ``VaR = -mu + sd_next VaR_z``. A later sample keeps shape and relative scale of the fit and
    takes threshold and mean excess from itself.

    Interval and standard error are the delta method's in shape, scale and share; those of the
    conditional form leave out the error of the volatility. Far out `rtre.models.evt_profile` gives
    a better, lopsided interval.

    Cost: none on a tick; on a closed interval a sort of each line's window, and one recursion in
    the conditional form. Fits run in a worker, on a schedule.

    Attributes
    ----------
    share : float
        Part of the losses beyond the threshold. Confidences below ``1 - share`` are refused.
    threshold : float, optional
        An absolute threshold in place of `share`: in currency, or in standard deviations when
        `conditional`.
    min_exceedances : int
        Fewer losses than this beyond the threshold are refused.
    conditional : bool
        Fit the tail to GARCH(1,1) residuals.
    """

    name: ClassVar[str] = "evt"
    cadence: ClassVar[Literal["tick", "interval"]] = "interval"
    min_obs: ClassVar[int] = 100

    share: float = attrs.field(
        default=0.12, validator=between(0.0, 0.5, low_open=True, high_open=True)
    )
    threshold: float | None = attrs.field(
        default=None, validator=optional(between(-math.inf, math.inf))
    )
    min_exceedances: int = attrs.field(default=50, validator=whole(5))
    conditional: bool = attrs.field(default=False, validator=check_flag)

    def fit(self, pnl: Float64) -> EvtFit | None:
        """Shape and relative scale; None where they cannot be fitted (`estimate` says why)."""
        if sample_problem(pnl, self.min_obs):
            return None
        try:
            losses, split = self._losses(pnl, None)
            tail = self._tail(losses, None)
        except DataError:
            return None
        excess = losses[losses > tail.threshold] - tail.threshold
        garch = None
        if split is not None:
            garch = split.law.scaled(1.0 / deviation_of(pnl, mean_of(pnl), 0))
        return EvtFit(garch, tail.xi, tail.beta / float(np.mean(excess)))

    def _losses(self, pnl: Float64, fitted: EvtFit | None) -> tuple[Float64, Filtered | None]:
        """Return the losses whose tail is fitted, and the filter behind them where there is one."""
        if not self.conditional:
            return 0.0 - pnl, None  # not -pnl: no loss is minus zero
        unit = deviation_of(pnl, mean_of(pnl), 0)
        if unit == 0.0:
            raise DataError("all observations are equal: there is no variance")
        law = fitted.garch if fitted is not None else None
        if law is None:
            law = relative_fit(pnl, asymmetric=False, innovations="normal")
        split = filter_garch(pnl, law.scaled(unit))
        return -split.residuals, split

    def _tail(self, losses: Float64, fitted: EvtFit | None) -> GpdFit:
        n = len(losses)
        threshold = self.threshold
        if threshold is None:
            beyond = math.floor(
                n * Fraction(Decimal(repr(float(self.share))))
            )  # exact, as ranks are
            threshold = float(np.sort(losses)[::-1][beyond])
        excess = losses[losses > threshold] - threshold
        if len(excess) < self.min_exceedances:
            raise DataError(
                f"{len(excess)} losses beyond the threshold {threshold:g},"
                f" needs at least {self.min_exceedances}"
            )
        if fitted is None:
            return fit_gpd(losses, threshold)
        xi, beta = fitted.xi, fitted.beta_ratio * float(np.mean(excess))
        covariance = _covariance(excess, xi, beta)
        nll = gpd_nll(excess, xi, beta)
        return GpdFit(xi, beta, threshold, n, len(excess), nll, covariance)

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES beyond the threshold; cost: one sort, a fit, and a GARCH if conditional."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        if not np.any(pnl):
            return [Tail(0.0, 0.0, 0.0, 0.0, 0.0) for _ in confidences]
        try:
            losses, split = self._losses(pnl, fitted)
            fit = self._tail(losses, fitted)
        except DataError as error:
            return invalid(str(error), confidences)
        return [self._answer(fit, split, confidence) for confidence in confidences]

    def _answer(self, fit: GpdFit, split: Filtered | None, confidence: float) -> Tail:
        share = fit.n_u / fit.n
        if float(tail_probability(confidence)) > share:
            return Tail.invalid(
                f"confidence {confidence:g} lies inside the threshold: only {share:.3g} of the"
                " losses are beyond it"
            )
        tail = gpd_tail(fit, confidence)
        if split is None:
            return tail
        sd, mu = math.sqrt(split.following), split.law.mu
        return Tail(
            sd * tail.var - mu,
            sd * tail.es - mu,
            sd * tail.var_low - mu,
            sd * tail.var_high - mu,
            sd * tail.es_se,
        )


MODEL = Evt
