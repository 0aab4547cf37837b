"""Exponentially weighted volatility (RiskMetrics 1996): recent days count more."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from rtre.checks import between
from rtre.errors import DataError
from rtre.kernels.normal import PARAMETERS, ewma_parameters, normal_tails
from rtre.market import Float64, Int64
from rtre.models.base import Model, Tail
from rtre.models.gaussian import Z95, factor_table, normal_tail
from rtre.models.sample import invalid, sample_problem
from rtre.windows.ewma import EwmaVariance
from rtre.windows.lines import Lines


def ewma_weights(n: int, decay: float) -> Float64:
    """Weights of n observations, oldest first: ``(1 - decay) decay**age / (1 - decay**n)``.

    The newest has age 0. They add up to one whatever n is, so a young window is not biased towards
    zero. ``decay = 1`` is the equal-weight limit.

    >>> ewma_weights(3, 0.5)
    array([0.14285714, 0.28571429, 0.57142857])
    """
    if decay == 1.0:
        return np.full(n, 1.0 / n)
    # expm1 keeps 1 - decay**n exact for a decay next to one, where the difference cancels
    total = -math.expm1(n * math.log(decay))
    return np.asarray(decay ** np.arange(n - 1, -1, -1.0) * ((1.0 - decay) / total))


def ewma_covariance(returns: Float64, decay: float, first: Float64 | None = None) -> Float64:
    """Covariance forecast ``C <- decay C + (1 - decay) r r'`` after the newest row of returns.

    Means of zero; one decay for all pairs, so the matrix is positive semi-definite.

    Parameters
    ----------
    returns : (n, assets) float64
        Oldest first.
    decay : float
        RiskMetrics' lambda, above 0 and below 1.
    first : (assets, assets) float64, optional
        The forecast for the first row. None: the weights are normalised over the sample instead,
        so that nothing is assumed before it (as in `Ewma`). Hull's worksheets start from the sample
        covariance.

    >>> ewma_covariance(np.array([[1.0, 0.0], [0.0, 1.0]]), 0.5)
    array([[0.33333333, 0.        ],
           [0.        , 0.66666667]])
    """
    table = np.asarray(returns, dtype=np.float64)
    if table.ndim != 2 or not len(table) or not np.isfinite(table).all():
        raise DataError(f"returns by period and asset are a finite table, got {table.shape}")
    if not 0.0 < decay < 1.0:
        raise DataError(f"decay must be more than 0 and less than 1; got {decay!r}")
    weights = ewma_weights(len(table), decay)
    kept = 0.0
    if first is not None:
        kept = decay ** len(table)
        weights = weights * (1.0 - kept)
    # einsum, not @: a BLAS product may differ in the last bit from run to run
    fresh = np.einsum("n,ni,nj->ij", weights, table, table)
    return np.asarray(fresh if first is None else kept * np.asarray(first) + fresh)


def ewma_variance_rate(
    pnl: Float64, times_ns: Int64, tau_ns: float, started_ns: int | None = None
) -> float:
    """Variance per nanosecond from returns at irregular times, as of the newest of them.

    ``S <- S exp(-dt / tau) + r^2`` at each return, and the rate is ``S / tau``, divided by
    ``1 - exp(-(t - t0) / tau)`` while the memory still fills. The estimate is unbiased under any
    spacing and stands several returns at one time, where ``r^2 / dt`` would divide by zero.

    Parameters
    ----------
    pnl : (n,) float64
        Returns or P&L; ``pnl[i]`` is the move that ended at ``times_ns[i]``.
    times_ns : (n,) int64
        Not decreasing.
    tau_ns : float
        Time constant of the memory (half-life over ln 2).
    started_ns : int, optional
        t0, the start of the first move. None: the first move only opens the clock and is left out.

    Returns
    -------
    float
        Variance per nanosecond: multiply by a horizon. NaN where no time has passed since t0.
    """
    if not tau_ns > 0.0 or not math.isfinite(tau_ns):
        raise DataError(f"tau_ns must be positive, got {tau_ns!r}")
    if len(pnl) != len(times_ns):
        raise DataError(f"{len(pnl)} returns but {len(times_ns)} times")
    if np.any(np.diff(times_ns) < 0):
        raise DataError("times_ns must not decrease")
    if started_ns is None:
        if not len(times_ns):
            return math.nan
        started_ns, pnl, times_ns = int(times_ns[0]), pnl[1:], times_ns[1:]
    if len(times_ns) and int(times_ns[0]) < started_ns:
        raise DataError(f"the first return ends at {int(times_ns[0])}, before {started_ns}")
    if not len(times_ns) or int(times_ns[-1]) == started_ns:
        return math.nan
    age = (times_ns[-1] - times_ns) / tau_ns
    decayed = float(np.sum(np.exp(-age) * pnl * pnl))
    return decayed / tau_ns / -math.expm1(-(int(times_ns[-1]) - started_ns) / tau_ns)


@attrs.frozen
class Ewma(Model):
    """Normal P&L of mean zero with ``sd^2 = sum w_age pnl^2`` and exponential weights.

    RiskMetrics Technical Document (1996), section 5.2; the weights are normalised over the window
    (its eq. 5.1 assumes an endless past). The interval is the delta method's,
    Var(sd) = sd^2 sum(w^2) / 2, the weights' own effective sample.

    Cost: on a tick, O(1) for a symbol, from a running sum, and one pass over the window for a book;
    on a closed interval O(1) a symbol to keep the sum.

    Attributes
    ----------
    decay : float
        Lambda, above 0 and up to 1; 0.94 is RiskMetrics' for daily data: half-life 11.2 periods.
    """

    name: ClassVar[str] = "ewma"

    decay: float = attrs.field(default=0.94, validator=between(0.0, 1.0, low_open=True))

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR = z sd, ES = sd phi(z) / tail; cost O(n)."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        weights = ewma_weights(len(pnl), self.decay)
        sd = math.sqrt(float(np.sum(weights * pnl * pnl)))
        sd_variance = 0.5 * float(np.sum(weights * weights))
        return [
            normal_tail(0.0, sd, c, mean_variance=0.0, sd_variance=sd_variance) for c in confidences
        ]

    def prepare(self, lines: Lines) -> None:
        """See `Model.prepare`."""
        lines.tracker(EwmaVariance, self.decay)

    def evaluate(
        self,
        lines: Lines,
        which: Int64,
        confidences: tuple[float, ...],
        out: Float64,
        fitted: Mapping[int, Any] | None = None,
    ) -> dict[int, str]:
        """Read the recursion of symbols; run it over the P&L vectors of books."""
        variances = lines.tracker(EwmaVariance, self.decay).of(which)
        parameters = np.empty((len(which), PARAMETERS))
        ewma_parameters(variances, float(self.decay), parameters)
        normal_tails(which, parameters, factor_table(confidences), Z95, out)
        return {}


MODEL = Ewma
