"""How well the parameters of a GARCH are known, and the numbers that follow from them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs
import numpy as np

from rtre.kernels.garch import log_densities
from rtre.market import Float64
from rtre.models.base import Tail
from rtre.models.garch_fit import DF_HIGH, DF_LOW, PERSISTENCE, GarchFit, garch_variances
from rtre.models.gaussian import Z95, normal_factors
from rtre.models.likelihood import fit_covariances
from rtre.models.sample import deviation_of, mean_of
from rtre.models.student_t import t_factors


@attrs.frozen(eq=False)
class GarchErrors:
    """How well the parameters of a GARCH are known.

    Attributes
    ----------
    names : tuple of str
        Free parameters, in the order of the matrices.
    plain, robust : (k, k) float64
        Covariance by the Hessian, and by the sandwich of Bollerslev and Wooldridge (1992), which
        does not need the innovations to follow the law of the fit. NaN where neither exists.
    """

    names: tuple[str, ...]
    plain: Float64
    robust: Float64

    def se(self, *, robust: bool = False) -> dict[str, float]:
        """Return the standard error of each parameter."""
        matrix = self.robust if robust else self.plain
        return dict(zip(self.names, np.sqrt(np.diag(matrix)).tolist(), strict=True))


def free_parameters(*, asymmetric: bool, student: bool) -> tuple[str, ...]:
    """Return the names of the fitted parameters, in the order of their covariance."""
    gamma, df = ("gamma",) * asymmetric, ("df",) * student
    return ("mu", "omega", "alpha", *gamma, "beta", *df)


def garch_errors(pnl: Float64, fit: GarchFit, *, asymmetric: bool | None = None) -> GarchErrors:
    """Errors of a fit, by the Hessian and by the sandwich.

    Parameters
    ----------
    pnl : (n,) float64
        The sample of the fit.
    fit : GarchFit
        As `fit_garch` gave it.
    asymmetric : bool, optional
        Whether gamma was free; None: it was where it is not zero.

    Returns
    -------
    GarchErrors
        NaN on the edge of the parameter space (no alpha or beta, persistence at its bound, normal
        limit of df), where the usual theory does not hold. Cost: some hundred likelihoods.
    """
    unit = deviation_of(pnl, mean_of(pnl), 0)
    scaled, at = pnl / unit, fit.scaled(1.0 / unit)
    asymmetric = fit.gamma != 0.0 if asymmetric is None else asymmetric
    student = math.isfinite(fit.df)
    names = free_parameters(asymmetric=asymmetric, student=student)
    k = len(names)
    edge = min(fit.alpha, fit.alpha + fit.gamma, fit.beta) < 1e-6
    edge = edge or fit.persistence > PERSISTENCE - 1e-6
    edge = edge or (student and not DF_LOW + 1e-3 < fit.df < DF_HIGH - 1.0)
    if edge:
        return GarchErrors(names, np.full((k, k), np.nan), np.full((k, k), np.nan))
    values = np.array([getattr(at, name) for name in names])
    # a thousandth of what the errors are like in a few thousand observations
    steps = np.array([_steps(at)[name] for name in names])
    law = {"mu": at.mu, "omega": at.omega, "alpha": at.alpha, "gamma": at.gamma, "beta": at.beta}
    law["df"] = at.df if student else 0.0

    def densities(points: Float64) -> Float64:
        laws = np.tile(list(law.values()), (len(points), 1))
        laws[:, [list(law).index(name) for name in names]] = points
        out = np.empty((len(points), len(scaled)))
        log_densities(scaled, laws, out)
        return out

    plain, robust = fit_covariances(densities, values, steps)
    back = np.ones(k)
    back[:2] = unit, unit * unit
    return GarchErrors(names, back[:, None] * plain * back, back[:, None] * robust * back)


def _steps(at: GarchFit) -> dict[str, float]:
    """Return a step of each parameter, for differences, in a sample of unit deviation."""
    shares = dict.fromkeys(("alpha", "gamma", "beta"), 3e-4)
    shares = {name: min(step, 0.1 * at.alpha, 0.1 * at.beta) for name, step in shares.items()}
    return {"mu": 1e-3, "omega": 3e-3 * at.omega, "df": 1e-3 * at.df, **shares}


def _factors(df: float, confidences: Sequence[float]) -> Float64:
    """VaR and ES of an innovation of unit variance at each confidence, shape (C, 2)."""
    if math.isinf(df):
        return np.array([normal_factors(c) for c in confidences]).reshape(-1, 2)
    return np.array([t_factors(c, df, matched=True) for c in confidences]).reshape(-1, 2)


def _sd(pnl: Float64, fit: GarchFit) -> float:
    return math.sqrt(float(garch_variances(pnl, fit)[-1]))


def _slope(pnl: Float64, fit: GarchFit, name: str, step: float) -> float:
    """Derivative by one parameter of today's deviation."""
    at = getattr(fit, name)
    ends = [_sd(pnl, attrs.evolve(fit, **{name: at + sign * step})) for sign in (1.0, -1.0)]
    return (ends[0] - ends[1]) / (2.0 * step)


def garch_tails(pnl: Float64, fit: GarchFit, confidences: Sequence[float]) -> list[Tail]:
    """VaR and ES of the next P&L, with the delta method's errors where `fit` has a covariance.

    The gradient takes the parameters through the whole recursion, so the error of today's
    volatility is in it. Cost: two passes a parameter, and one.

    Parameters
    ----------
    pnl : (n,) float64
        In units of its own deviation, as `fit` is.
    fit : GarchFit
    confidences : sequence of float
    """
    sd, factors = _sd(pnl, fit), _factors(fit.df, confidences)
    numbers = sd * factors - fit.mu
    if fit.covariance is None or not np.isfinite(fit.covariance).all():
        return [Tail(var, es) for var, es in numbers.tolist()]
    student = math.isfinite(fit.df)
    names = free_parameters(asymmetric=len(fit.covariance) - student == 5, student=student)
    steps = _steps(fit)
    slopes = np.empty((len(names), *numbers.shape))
    for i, name in enumerate(names):
        step = steps[name]
        if name == "df":
            ahead, behind = (_factors(fit.df + d, confidences) for d in (step, -step))
            slopes[i] = sd * (ahead - behind) / (2.0 * step)
        else:
            slopes[i] = _slope(pnl, fit, name, step) * factors - (name == "mu")
    errors = np.sqrt(np.einsum("ick,ij,jck->ck", slopes, fit.covariance, slopes))
    return [
        Tail(var, es, var - Z95 * error, var + Z95 * error, es_error)
        for (var, es), (error, es_error) in zip(numbers.tolist(), errors.tolist(), strict=True)
    ]
