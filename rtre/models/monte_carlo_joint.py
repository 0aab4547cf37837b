"""The joint law of the returns of several assets: correlations, tails, a copula, and draws.

Each asset has a normal or Student-t law of its own, and a Gaussian or t copula ties them together.
Where copula and marginals are of one kind this is the multivariate normal or t law itself.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from rtre.errors import DataError
from rtre.kernels.ranks import concordance
from rtre.market import Float64

COPULA_DF = (1.0, 300.0)  #: the search for a t copula's; the upper end is Gaussian to the eye


def covariance_root(covariance: Float64) -> Float64:
    """Lower-triangular R with ``R R' = covariance``, after repair where it is not positive.

    Cholesky where possible. Otherwise negative eigenvalues are set to zero and the variances are
    restored (the spectral method of Rebonato and Jaeckel 1999), which also serves singular
    matrices.

    Raises
    ------
    DataError
        Not square and symmetric, not finite, or a negative variance.
    """
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
        raise DataError(f"a covariance is square and finite, got shape {matrix.shape}")
    if not np.allclose(matrix, matrix.T, rtol=1e-9, atol=1e-300):
        raise DataError("a covariance is symmetric, this one is not")
    variances = np.diag(matrix)
    if np.any(variances < 0.0):
        raise DataError(f"a variance is negative: {float(np.min(variances))!r}")
    try:
        return np.asarray(np.linalg.cholesky(matrix))
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        got = np.sqrt(np.sum(root * root, axis=1))
        wanted = np.sqrt(variances)
        root = root * np.divide(wanted, got, out=np.zeros_like(wanted), where=got > 0.0)[:, None]
        # R of the QR decomposition of root' is triangular and has the same product
        lower = np.asarray(np.linalg.qr(root.T, mode="r")).T
        return np.asarray(lower * np.where(np.diag(lower) < 0.0, -1.0, 1.0))


def mapped_scores(common: Float64, copula_df: float | None, marginal_df: float | None) -> Float64:
    """Scores of unit-scale t (None: normal) marginals from those of the copula, of any shape."""
    if copula_df == marginal_df:
        return common  # multivariate normal or t: the marginals are already the wanted ones
    # the smaller tail of each score is mapped, so that none rounds to probability one
    size = -np.abs(common)
    rare = special.ndtr(size) if copula_df is None else special.stdtr(copula_df, size)
    mapped = special.ndtri(rare) if marginal_df is None else special.stdtrit(marginal_df, rare)
    return np.asarray(np.where(common < 0.0, mapped, -mapped))


def joint_returns(
    mean: Float64,
    covariance: Float64,
    draws: int,
    rng: np.random.Generator,
    *,
    copula_df: float | None = None,
    marginal_df: float | None = None,
) -> Float64:
    """Draw returns of several assets together, shape (draws, assets).

    Parameters
    ----------
    mean : (assets,) float64
    covariance : (assets, assets) float64
        Of the returns; repaired where it is not positive (see `covariance_root`). With a t copula
        or t marginals its correlations are those of the copula, and its variances those of the
        marginals.
    draws : int
    rng : numpy.random.Generator
    copula_df : float, optional
        None: Gaussian copula. Otherwise a t copula: joint extremes, the more the smaller the df.
    marginal_df : float, optional
        None: normal marginals. Above 2: Student-t of the given variances.
    """
    for what, df, low in (("copula_df", copula_df, 0.0), ("marginal_df", marginal_df, 2.0)):
        if df is not None and not (math.isfinite(df) and df > low):
            raise DataError(f"{what} must be finite and more than {low:g}, got {df!r}")
    root = covariance_root(covariance)
    sd = np.sqrt(np.sum(root * root, axis=1))
    correlation = np.divide(root, sd[:, None], out=np.zeros_like(root), where=sd[:, None] > 0.0)
    # einsum, not @: a BLAS product may differ in the last bit from run to run
    common = np.einsum("dk,ak->da", rng.standard_normal((draws, len(sd))), correlation)
    if copula_df is not None:
        common = common * np.sqrt(copula_df / rng.chisquare(copula_df, draws))[:, None]
    scores = mapped_scores(common, copula_df, marginal_df)
    if marginal_df is not None:
        scores = scores * math.sqrt((marginal_df - 2.0) / marginal_df)
    return np.asarray(mean + sd * scores)


def simulated_pnl(exposures: Float64, log_returns: Float64) -> Float64:
    """P&L of each draw, ``sum over assets of exposure * (exp(r) - 1)``, shape (draws,)."""
    return np.asarray(np.sum(exposures * np.expm1(log_returns), axis=1))


def linear_correlation(returns: Float64) -> Float64:
    """Pearson correlations of returns, (assets, n); 0 with an asset that does not vary."""
    centred = returns - np.mean(returns, axis=1, keepdims=True)
    # einsum, not @: a BLAS product may differ in the last bit from run to run
    return _correlation(np.einsum("it,jt->ij", centred, centred))


def rank_correlation(returns: Float64) -> Float64:
    """Correlations of an elliptical copula from ranks, ``sin(pi/2 tau)``, (assets, assets).

    With Kendall's tau (b, for ties) of each pair, which no marginal moves: Lindskog, McNeil and
    Schmock (2003). The matrix may have small negative eigenvalues; `covariance_root` repairs it.

    Cost: O(assets^2 n^2): 4 ms for 10 assets and 500 returns, 0.1 s for 50.
    """
    total = np.empty((len(returns), len(returns)))
    concordance(np.ascontiguousarray(returns), total)
    found = np.sin(0.5 * math.pi * _correlation(total))
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def _correlation(products: Float64) -> Float64:
    sd = np.sqrt(np.diag(products))
    unit = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0.0)
    found = np.clip(products * unit[:, None] * unit, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return np.asarray(found)


def fit_copula_df(returns: Float64, correlation: Float64) -> float:
    """Degrees of freedom of the t copula of some returns, (assets, n), at given correlations.

    By the likelihood of ranks (Mashal and Zeevi 2002) over neighbouring pairs of assets, the last
    and the first included: two densities for each asset, where all at once would want the inverse
    of a matrix that many assets and few returns make singular.

    Cost: some thirty passes over the ranks.
    """
    from scipy import optimize, stats  # they would double the time of `import rtre`

    n = returns.shape[1]
    levels, place = np.unique(stats.rankdata(returns, axis=1) / (n + 1.0), return_inverse=True)
    place = place.reshape(returns.shape)
    first = np.arange(len(returns) if len(returns) > 2 else 1)
    second = (first + 1) % len(returns)
    rho = np.clip(correlation[first, second], -0.999, 0.999)[:, None]
    rest = 1.0 - rho * rho

    def cost(log_df: float) -> float:
        df = math.exp(log_df)
        scores = special.stdtrit(df, levels)
        x, y = scores[place[first]], scores[place[second]]
        norm = special.gammaln(0.5 * df + 1.0) + special.gammaln(0.5 * df)
        norm -= 2.0 * special.gammaln(0.5 * (df + 1.0))
        joint = np.log1p((x * x - 2.0 * rho * x * y + y * y) / (df * rest))
        each = np.log1p(x * x / df) + np.log1p(y * y / df)
        logs = norm - 0.5 * np.log(rest) - 0.5 * (df + 2.0) * joint + 0.5 * (df + 1.0) * each
        return -float(np.mean(logs))

    ends = (math.log(COPULA_DF[0]), math.log(COPULA_DF[1]))
    found = optimize.minimize_scalar(cost, bounds=ends, method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)
