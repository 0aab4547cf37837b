"""Standard errors of maximum likelihood, for any law whose density can be evaluated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtre.market import Float64


def _hessian(total: Callable[[Float64], float], at: Float64, steps: Float64) -> Float64:
    """Matrix of second derivatives by central differences."""
    k = len(at)
    shift = np.diag(steps)
    middle = total(at)
    out = np.empty((k, k))
    for i in range(k):
        out[i, i] = total(at + shift[i]) - 2.0 * middle + total(at - shift[i])
        out[i, i] /= steps[i] * steps[i]
        for j in range(i):
            corners = total(at + shift[i] + shift[j]) - total(at + shift[i] - shift[j])
            corners += total(at - shift[i] - shift[j]) - total(at - shift[i] + shift[j])
            out[i, j] = out[j, i] = corners / (4.0 * steps[i] * steps[j])
    return out


def fit_covariances(
    terms: Callable[[Float64], Float64], at: Float64, steps: Float64
) -> tuple[Float64, Float64]:
    """Covariance of maximum likelihood estimates, by the Hessian and by the sandwich.

    With H the Hessian of the negative log likelihood and S the matrix of scores by observation,
    the first is ``inv(H)``, right if the law is right; the second ``inv(H) S'S inv(H)`` stays right
    where only mean and variance are (White 1982; Bollerslev and Wooldridge 1992).

    Parameters
    ----------
    terms : callable
        Parameters (k,) to the log density of each observation, (n,).
    at : (k,) float64
        Where the likelihood is highest, inside the parameter space.
    steps : (k,) float64
        Of the central differences: small beside the errors, large beside the rounding. The Hessian
        takes the steps and twice the steps and extrapolates, which leaves an error of the fourth
        order.

    Returns
    -------
    plain, robust : (k, k) float64
        All NaN where the Hessian is not positive definite: on the edge of the parameter space, or
        where the sample cannot tell two parameters apart. Cost: ``2 + 4 k^2 + 2 k`` densities.
    """
    k = len(at)
    nothing = np.full((k, k), np.nan), np.full((k, k), np.nan)

    def total(x: Float64) -> float:
        return float(np.sum(terms(x)))

    information = (_hessian(total, at, 2.0 * steps) - 4.0 * _hessian(total, at, steps)) / 3.0
    if not np.isfinite(information).all():
        return nothing
    # in units of its own diagonal: omega and beta differ by orders of magnitude
    unit = np.sqrt(np.abs(np.diag(information)))
    if not np.all(unit > 0.0):
        return nothing
    scaled = information / unit[:, None] / unit
    if float(np.min(np.linalg.eigvalsh(scaled))) < 1e-9:
        return nothing
    plain = np.linalg.inv(scaled) / unit[:, None] / unit
    shift = np.diag(steps)
    scores = [(terms(at + shift[i]) - terms(at - shift[i])) / (2.0 * steps[i]) for i in range(k)]
    outer = np.array([[float(np.sum(a * b)) for b in scores] for a in scores])
    robust = np.einsum("ij,jk,kl->il", plain, outer, plain)
    return plain, robust if np.isfinite(robust).all() else nothing[1]
