"""Monte Carlo: simulate P&L from a law, then read VaR and ES off the draws.

For one P&L sample this is the parametric model with sampling noise added: it is here for what has
no closed form (several assets, non-linear P&L, a t copula), and to check the ones that have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from scipy import special

from rtre.checks import between, one_of, optional, whole
from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.historical import tail_of_sorted
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem
from rtre.models.student_t import best_df, locate_t
from rtre.order import tail_ranks

KEPT = 0.9  #: draws for confidences from here on are kept with a fit: 42 kB of 50,000
MOST_TAILS = 16  #: confidences whose tails are kept, too


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
    if copula_df == marginal_df:
        scores = common  # multivariate normal or t: the marginals are already the wanted ones
    else:
        # the smaller tail of each score is mapped, so that none rounds to probability one
        size = -np.abs(common)
        rare = special.ndtr(size) if copula_df is None else special.stdtr(copula_df, size)
        mapped = special.ndtri(rare) if marginal_df is None else special.stdtrit(marginal_df, rare)
        scores = np.where(common < 0.0, mapped, -mapped)
    if marginal_df is not None:
        scores = scores * math.sqrt((marginal_df - 2.0) / marginal_df)
    return np.asarray(mean + sd * scores)


def simulated_pnl(exposures: Float64, log_returns: Float64) -> Float64:
    """P&L of each draw, ``sum over assets of exposure * (exp(r) - 1)``, shape (draws,)."""
    return np.asarray(np.sum(exposures * np.expm1(log_returns), axis=1))


@attrs.frozen(eq=False)
class Draws:
    """The worst draws of a law of location 0 and scale 1, kept and used again: common draws.

    A location-scale law moves its draws without changing their order, so VaR, ES and their errors
    are read off once, and later samples only shift and stretch them.

    Attributes
    ----------
    df : float or None
        Degrees of freedom of the t; None: normal.
    count : int
        Number of draws.
    losses : (kept,) float64
        The worst, worst first; not to be changed.
    """

    df: float | None
    count: int
    losses: Float64 = attrs.field(repr=False)
    _tails: dict[float, Tail] = attrs.field(factory=dict, init=False, repr=False)

    @classmethod
    def make(cls, df: float | None, count: int, seed: int, lowest: float) -> Draws:
        """Draw, and keep what confidences from `lowest` on ask for. Cost: `count` draws, a sort."""
        rng = np.random.default_rng(seed)
        drawn = rng.standard_normal(count) if df is None else rng.standard_t(df, count)
        kept = tail_ranks(count, lowest).low
        return cls(df, count, np.sort(0.0 - drawn)[::-1][:kept].copy())

    def tail(self, confidence: float) -> Tail | None:
        """Return the tail at location 0 and scale 1; None where too few draws were kept."""
        found = self._tails.get(confidence)
        if found is None:
            ranks = tail_ranks(self.count, confidence)
            if max(ranks.k, min(ranks.low, self.count)) > len(self.losses):
                return None
            found = tail_of_sorted(self.losses, ranks, self.count)
            if self.df is not None and self.df <= 1.0:  # draws have a mean, the law has none
                found = attrs.evolve(found, es=math.inf, es_se=math.nan)
            if len(self._tails) < MOST_TAILS:
                self._tails[confidence] = found
        return found


@lru_cache(maxsize=8)
def _shared(df: float | None, count: int, seed: int) -> Draws:
    """`Draws.make` of a law that does not depend on the sample."""
    return Draws.make(df, count, seed, KEPT)


@attrs.frozen
class MonteCarlo(Model):
    """VaR and ES of simulated P&L, by the order statistics of the draws.

    The errors given are those of the simulation; the error of the fitted parameters comes on top
    (the closed forms, `gaussian` and `student-t`, give it).

    Cost: `fit`, in a worker, makes the draws and keeps the worst of them; an estimate, when an
    interval closes, scales those, O(n); until then a symbol's numbers follow its exposure.

    Attributes
    ----------
    law : {"normal", "t"}
        Fitted to the sample: mean and deviation, or a location-scale t.
    df : float, optional
        Fixed degrees of freedom of the t; None fits them.
    draws, seed : int
        Number of draws and seed of their generator: the same sample gives the same numbers.
    """

    name: ClassVar[str] = "monte-carlo"
    cadence: ClassVar[Literal["tick", "interval"]] = "interval"
    min_obs: ClassVar[int] = 50

    law: Literal["normal", "t"] = attrs.field(default="normal", validator=one_of("normal", "t"))
    df: float | None = attrs.field(default=None, validator=optional(between(0.5, 300.0)))
    draws: int = attrs.field(default=50_000, validator=whole(1000, 10_000_000))
    seed: int = attrs.field(default=0, validator=whole(0))

    def fit(self, pnl: Float64) -> Draws | None:
        """Return the draws of the fitted t; the shared ones of a law that needs no fit."""
        if self.law == "normal" or self.df is not None:
            return _shared(self.df if self.law == "t" else None, self.draws, self.seed)
        if sample_problem(pnl, self.min_obs):
            return None
        found = best_df(pnl)
        return None if isinstance(found, str) else Draws.make(found, self.draws, self.seed, KEPT)

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of the draws.

        Cost: a few passes over the sample with `fitted`, plus `draws` quantiles and a sort
        without. A confidence below `KEPT` always pays for the draws.
        """
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        if not np.any(pnl):
            return [Tail(0.0, 0.0, 0.0, 0.0, 0.0) for _ in confidences]
        draws = fitted if fitted is not None else self.fit(pnl)
        if draws is None:  # the search for df gave a reason
            return invalid(str(best_df(pnl)), confidences)
        if draws.df is None:
            loc = mean_of(pnl)
            scale = deviation_of(pnl, loc, 1)
        else:
            at = locate_t(pnl, draws.df)
            if isinstance(at, str):
                return invalid(at, confidences)
            loc, scale = at
        return [_moved(self._tail(draws, c), loc, scale) for c in confidences]

    def _tail(self, draws: Draws, confidence: float) -> Tail:
        found = draws.tail(confidence)
        if found is None:
            found = Draws.make(draws.df, self.draws, self.seed, confidence).tail(confidence)
        assert found is not None  # these were kept for this very confidence
        return found


def _moved(unit: Tail, loc: float, scale: float) -> Tail:
    """Tail of ``loc + scale * X`` from that of X."""
    if scale == 0.0:  # times an infinite end of the interval it would not be a number
        return Tail(-loc, -loc, -loc, -loc, 0.0)
    low, high = scale * unit.var_low - loc, scale * unit.var_high - loc
    return Tail(scale * unit.var - loc, scale * unit.es - loc, low, high, scale * unit.es_se)


MODEL = MonteCarlo
