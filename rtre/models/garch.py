"""GARCH(1,1) and GJR-GARCH: volatility that clusters, fitted by (quasi) maximum likelihood.

The law and its fit are in `rtre.models.garch_fit`, the errors in `rtre.models.garch_errors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import attrs
import numpy as np

from rtre.checks import one_of
from rtre.market import Float64
from rtre.models.base import Model, Tail
from rtre.models.garch_errors import GarchErrors, garch_errors, garch_tails
from rtre.models.garch_fit import (
    GarchFit,
    check_flag,
    fit_garch,
    garch_loglik,
    garch_variances,
    horizon_variance,
    relative_fit,
)
from rtre.models.sample import deviation_of, invalid, mean_of, sample_problem

__all__ = [
    "MODEL",
    "Garch",
    "GarchErrors",
    "GarchFit",
    "check_flag",
    "fit_garch",
    "garch_errors",
    "garch_loglik",
    "garch_variances",
    "horizon_variance",
    "relative_fit",
]


@attrs.frozen
class Garch(Model):
    """``VaR = -mu + q sd``, ``ES = -mu + c sd`` with sd^2 the GARCH forecast for the next P&L.

    Bollerslev (1986); Glosten, Jagannathan and Runkle (1993) with ``asymmetric``. A later sample
    of another scale reuses a fit in units of its own deviation. Interval and standard error are the
    delta method's with the robust covariance of the parameters, which `fit` keeps; NaN where the
    fit ended on the edge of the parameter space. They leave out that the innovations' law may be
    wrong, which is the larger risk of this model; see `filtered`.

    Cost: none on a tick; on a closed interval one pass of the recursion for the numbers and two for
    each parameter's error; a fit is some thousand passes, in a worker, on a schedule, nearly all of
    them in kernels that do without the GIL.

    Attributes
    ----------
    innovations : {"normal", "t"}
        Law of the standardised P&L.
    asymmetric : bool
        GJR.
    """

    name: ClassVar[str] = "garch"
    cadence: ClassVar[Literal["tick", "interval"]] = "interval"
    min_obs: ClassVar[int] = 100

    innovations: Literal["normal", "t"] = attrs.field(
        default="normal", validator=one_of("normal", "t")
    )
    asymmetric: bool = attrs.field(default=False, validator=check_flag)

    def fit(self, pnl: Float64) -> GarchFit | None:
        """Parameters in units of the sample's deviation; None where nothing can be fitted."""
        if sample_problem(pnl, self.min_obs) or float(np.min(pnl)) == float(np.max(pnl)):
            return None
        return self._fit(pnl)

    def _fit(self, pnl: Float64) -> GarchFit:
        unit = deviation_of(pnl, mean_of(pnl), 0)
        fit = fit_garch(pnl, asymmetric=self.asymmetric, innovations=self.innovations)
        fit = fit.scaled(1.0 / unit)
        # not in the units of `pnl`: the variance of omega is of the fourth power of them
        errors = garch_errors(pnl / unit, fit, asymmetric=self.asymmetric)
        return attrs.evolve(fit, covariance=errors.robust)

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        """VaR and ES of the next observation; cost: some thousand passes to fit, ten to reuse."""
        problem = sample_problem(pnl, self.min_obs)
        if problem:
            return invalid(problem, confidences)
        unit = deviation_of(pnl, mean_of(pnl), 0)
        if unit == 0.0:
            if not np.any(pnl):
                return [Tail(0.0, 0.0) for _ in confidences]
            return invalid("all observations are equal: there is no variance", confidences)
        relative: GarchFit = fitted if fitted is not None else self._fit(pnl)
        # in units of the deviation: the squares of a small currency must not vanish
        return [tail.scaled(unit) for tail in garch_tails(pnl / unit, relative, confidences)]


MODEL = Garch
