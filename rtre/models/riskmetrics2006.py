"""RiskMetrics 2006: a mixture of EWMAs whose weights fall with the logarithm of their memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import attrs
import numpy as np

from rtre.checks import between, optional, whole
from rtre.errors import DataError
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.ewma import ewma_weights
from rtre.models.gaussian import Z95, normal_factors
from rtre.models.sample import invalid, sample_problem
from rtre.models.student_t import t_factors


@lru_cache(maxsize=64)
def long_memory_weights(n: int, tau0: float, tau1: float, rho: float, kmax: int) -> Float64:
    """Weights of n squared returns, oldest first, adding up to one. Read-only.

    ``sum over k of w_k * ewma_weights(n, exp(-1/tau_k))`` with tau_k = tau1 rho^(k-1) and
    w_k proportional to 1 - ln(tau_k)/ln(tau0): Zumbach, The RiskMetrics 2006 methodology (2007).
    Each component is normalised over the window, so that a short sample is not biased.
    """
    taus = tau1 * rho ** np.arange(kmax)
    shares = 1.0 - np.log(taus) / math.log(tau0)
    shares /= float(np.sum(shares))
    weights = np.zeros(n)
    for share, tau in zip(shares, taus, strict=True):
        weights += share * ewma_weights(n, math.exp(-1.0 / tau))
    weights.flags.writeable = False
    return weights


@attrs.frozen
class RiskMetrics2006(Model):
    """P&L of mean zero whose variance forecast mixes memories of 4 to 362 periods.

    The slow, logarithmic decay of the weights matches the long memory of volatility, where a
    single EWMA forgets at one speed. Interval and standard error are the delta method's with the
    weights' effective sample, as in `Ewma`, and with the kurtosis of the t, which at 5 degrees of
    freedom doubles them. Up to 4 the error of a variance does not exist: NaN.

    Cost: on a tick, one pass over each line's window; nothing more on a closed interval.

    Attributes
    ----------
    tau0 : float
        Cut-off of the logarithmic decay, in periods.
    tau1, rho : float
        Shortest memory, and the ratio from one to the next.
    kmax : int
        Number of EWMAs; the longest memory, tau1 rho^(kmax-1), must be below `tau0`.
    df : float, optional
        None: normal. Above 2: a Student-t of that variance (the methodology uses 5).
    """

    name: ClassVar[str] = "riskmetrics2006"

    tau0: float = attrs.field(default=1560.0, validator=between(1.0, 1e9, low_open=True))
    tau1: float = attrs.field(default=4.0, validator=between(0.0, 1e9, low_open=True))
    rho: float = attrs.field(default=math.sqrt(2.0), validator=between(1.0, 100.0, low_open=True))
    kmax: int = attrs.field(default=14, validator=whole(1, 200))
    df: float | None = attrs.field(
        default=None, validator=optional(between(2.0, 1e9, low_open=True))
    )

    def __attrs_post_init__(self) -> None:
        longest = self.tau1 * self.rho ** (self.kmax - 1)
        if not longest < self.tau0:
            raise DataError(
                f"the longest memory, tau1 rho^(kmax-1) = {longest:g}, must be below"
                f" tau0 = {self.tau0:g}"
            )

    @property
    def _kurtosis(self) -> float:
        if self.df is None:
            return 3.0
        return 3.0 + 6.0 / (self.df - 4.0) if self.df > 4.0 else math.nan

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES from the mixed variance; cost O(n) after the weights of n are known."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        weights = long_memory_weights(len(pnl), self.tau0, self.tau1, self.rho, self.kmax)
        sd = math.sqrt(float(np.sum(weights * pnl * pnl)))
        # the delta method's: a square, over its mean, has a variance of kurtosis - 1
        spread = 0.25 * (self._kurtosis - 1.0) * float(np.sum(weights * weights))
        error = sd * math.sqrt(spread) if sd > 0.0 else 0.0
        tails = []
        for confidence in confidences:
            z, c = (
                normal_factors(confidence)
                if self.df is None
                else t_factors(confidence, self.df, matched=True)
            )
            half = Z95 * z * error
            tails.append(Tail(z * sd, c * sd, z * sd - half, z * sd + half, c * error))
        return tails


MODEL = RiskMetrics2006
