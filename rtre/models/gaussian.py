"""The normal model (variance-covariance): mean and standard deviation are all there is to risk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from scipy import special

from rtre.checks import one_of, whole
from rtre.kernels.normal import (
    IGNORED_MEAN,
    PARAMETERS,
    SAMPLE_MEAN,
    ZERO_MEAN,
    gaussian_parameters,
    normal_tails,
)
from rtre.market import Float64, Int64
from rtre.models.base import Model, Tail
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem
from rtre.order import tail_probability
from rtre.windows.lines import Lines
from rtre.windows.moments import LineMoments

#: Half width of a two-sided 95 % interval in standard errors.
Z95 = float(special.ndtri(0.975))
_MEAN_RULES = {"sample": SAMPLE_MEAN, "zero": ZERO_MEAN, "ignored": IGNORED_MEAN}


@lru_cache(maxsize=256)
def normal_factors(confidence: float) -> tuple[float, float]:
    """VaR and ES of a standard normal loss: ``(z, phi(z) / tail)`` with ``z = -ndtri(tail)``.

    McNeil, Frey and Embrechts, Quantitative Risk Management (2015), examples 2.11 and 2.14. The
    second is always the larger.

    >>> [round(f, 4) for f in normal_factors(0.99)]
    [2.3263, 2.6652]
    """
    tail = float(tail_probability(confidence))
    z = -float(special.ndtri(tail))
    return z, math.exp(-0.5 * z * z) / (math.sqrt(2.0 * math.pi) * tail)


def normal_tail(
    mean: float, sd: float, confidence: float, *, mean_variance: float, sd_variance: float
) -> Tail:
    """VaR and ES of normal P&L with a delta-method interval.

    Parameters
    ----------
    mean, sd : float
        Of the P&L, gains positive.
    mean_variance, sd_variance : float
        Variances of the two estimates in units of ``sd**2``; taken as independent, which holds
        for a normal sample.
    """
    z, c = normal_factors(confidence)
    var = z * sd - mean
    half = Z95 * sd * math.sqrt(mean_variance + z * z * sd_variance)
    se = sd * math.sqrt(mean_variance + c * c * sd_variance)
    return Tail(var, max(c * sd - mean, var), var - half, var + half, se)


@lru_cache(maxsize=32)
def factor_table(confidences: tuple[float, ...]) -> Float64:
    """`normal_factors` of each confidence as an array, shape (C, 2)."""
    return np.array([normal_factors(c) for c in confidences])


def normal_contributions(
    exposures: Float64, mean: Float64, covariance: Float64, confidence: float
) -> tuple[Float64, Float64]:
    """Contributions of each asset to VaR and ES of a portfolio of jointly normal returns.

    ``e_i (-mean_i + z (C e)_i / sd)`` with ``sd^2 = e' C e``, and the same with phi(z)/tail for z:
    Euler's rule (Tasche 1999). Each adds up to the portfolio's number exactly; a hedge contributes
    a negative amount.

    Parameters
    ----------
    exposures : (assets,) float64
        Signed currency values (or weights, for numbers per unit of value).
    mean : (assets,) float64
        Of the returns; zeros to leave it out.
    covariance : (assets, assets) float64
        Of the returns.
    confidence : float
        In (0.5, 1).

    Returns
    -------
    var, es : (assets,) float64
    """
    z, c = normal_factors(confidence)
    slope = np.sum(covariance * exposures, axis=1)
    sd = math.sqrt(max(float(np.sum(exposures * slope)), 0.0))
    spread = exposures * slope / sd if sd > 0.0 else np.zeros(len(exposures))
    gain = exposures * mean
    return np.asarray(z * spread - gain), np.asarray(c * spread - gain)


@attrs.frozen
class Gaussian(Model):
    """Normal P&L: ``VaR = -mean + z sd``, ``ES = -mean + sd phi(z) / tail``.

    The interval and the standard error are the delta method's under normality: Var(mean) = sd^2/n,
    Var(sd) = sd^2/(2(n-1)). They say how well the two parameters are known, not how wrong the
    normal law is in the tail.

    Cost: on a tick, O(1) for a symbol, from running moments, and one pass over the window for a
    book; on a closed interval O(1) a symbol to keep the moments.

    Attributes
    ----------
    mean : {"sample", "zero", "ignored"}
        ``sample``: the sample's mean enters both VaR and sd. ``zero``: the mean is known to be
        zero, so sd is the root mean square (divisor n: no degree of freedom is spent).
        ``ignored``: sd about the sample mean, but VaR and ES without it (Hull's textbook rule).
    ddof : {0, 1}
        Divisor of the variance is ``n - ddof``. The textbooks differ: Hull's RMFI uses 0 in its
        answers, R's ``sd`` 1.
    """

    name: ClassVar[str] = "gaussian"

    mean: Literal["sample", "zero", "ignored"] = attrs.field(
        default="sample", validator=one_of("sample", "zero", "ignored")
    )
    ddof: int = attrs.field(default=1, validator=whole(0, 1))

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES from the first two moments; cost O(n)."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        n = len(pnl)
        if self.mean == "zero":
            mean, sd, spent = 0.0, deviation_of(pnl, 0.0, 0), 0
        else:
            centre = mean_of(pnl)
            mean = centre if self.mean == "sample" else 0.0
            sd, spent = deviation_of(pnl, centre, self.ddof), 1
        mean_variance = 1.0 / n if self.mean == "sample" else 0.0
        sd_variance = 0.5 / (n - spent)
        return [
            normal_tail(mean, sd, c, mean_variance=mean_variance, sd_variance=sd_variance)
            for c in confidences
        ]

    def prepare(self, lines: Lines) -> None:
        """See `Model.prepare`."""
        lines.tracker(LineMoments)

    def evaluate(
        self,
        lines: Lines,
        which: Int64,
        confidences: tuple[float, ...],
        out: Float64,
        fitted: Mapping[int, Any] | None = None,
    ) -> dict[int, str]:
        """Read the rolling moments of symbols; sum the P&L vectors of books."""
        moments = lines.tracker(LineMoments).of(which, self.ddof)
        parameters = np.empty((len(which), PARAMETERS))
        gaussian_parameters(moments, _MEAN_RULES[self.mean], self.ddof, parameters)
        normal_tails(which, parameters, factor_table(confidences), Z95, out)
        return {}


MODEL = Gaussian
