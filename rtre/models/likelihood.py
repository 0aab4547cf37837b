"""Standard errors of maximum likelihood, for any law whose density can be evaluated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtre.market import Float64


def _stencil(k: int) -> Float64:
    """Steps of the central differences: ahead and behind along each axis, four corners a pair."""
    axes = np.eye(k)
    rows = [*axes, *-axes]
    for i in range(k):
        for j in range(i):
            rows += [axes[i] + axes[j], axes[i] - axes[j], axes[j] - axes[i], -axes[i] - axes[j]]
    return np.array(rows)


def _hessian(totals: Float64, middle: float, steps: Float64) -> Float64:
    """Matrix of second derivatives, from the totals at the points of `_stencil`."""
    k = len(steps)
    ahead, behind, corners = totals[:k], totals[k : 2 * k], totals[2 * k :].reshape(-1, 4)
    out = np.diag((ahead - 2.0 * middle + behind) / (steps * steps))
    lower = np.tril_indices(k, -1)
    mixed = corners @ [1.0, -1.0, -1.0, 1.0] / (4.0 * steps[lower[0]] * steps[lower[1]])
    out[lower] = out.T[lower] = mixed
    return out


def fit_covariances(
    densities: Callable[[Float64], Float64], at: Float64, steps: Float64
) -> tuple[Float64, Float64]:
    """Covariance of maximum likelihood estimates, by the Hessian and by the sandwich.

    With H the Hessian of the negative log likelihood and S the matrix of scores by observation,
    the first is ``inv(H)``, right if the law is right; the second ``inv(H) S'S inv(H)`` stays right
    where only mean and variance are (White 1982; Bollerslev and Wooldridge 1992).

    Parameters
    ----------
    densities : callable
        Many vectors of parameters, (m, k), to the log density of each observation under each of
        them, (m, n). Called once, so that it can be one kernel call that lets go of the GIL.
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
        where the sample cannot tell two parameters apart. Cost: ``m = 1 + 4 k^2``.
    """
    k = len(at)
    nothing = np.full((k, k), np.nan), np.full((k, k), np.nan)
    stencil = _stencil(k)
    shifts = np.concatenate([np.zeros((1, k)), stencil * steps, stencil * (2.0 * steps)])
    terms = densities(at + shifts)
    middle, *totals = np.sum(terms, axis=1)
    near, far = np.split(np.array(totals), 2)
    information = _hessian(far, middle, 2.0 * steps) - 4.0 * _hessian(near, middle, steps)
    information /= 3.0
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
    scores = (terms[1 : k + 1] - terms[k + 1 : 2 * k + 1]) / (2.0 * steps[:, None])
    outer = np.array([[float(np.sum(a * b)) for b in scores] for a in scores])
    robust = np.einsum("ij,jk,kl->il", plain, outer, plain)
    return plain, robust if np.isfinite(robust).all() else nothing[1]
