"""VaR and ES of normal P&L for many lines at once; the formulas of `rtre.models.gaussian`."""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.kernels.tail import ES, ES_SE, VAR, VAR_HIGH, VAR_LOW
from rtre.market import Float64, Int64

MEAN, SD, MEAN_VARIANCE, SD_VARIANCE = 0, 1, 2, 3  #: columns of `parameters`
PARAMETERS = 4


@kernel
def normal_tails(
    which: Int64, parameters: Float64, factors: Float64, half_width: float, out: Float64
) -> None:
    """Write VaR, ES, interval and standard error of each line at each confidence.

    Parameters
    ----------
    which : (m,) int64
        Lines, rows of `out` to write.
    parameters : (m, 4) float64
        Mean and standard deviation of P&L in currency, and the variances of these two estimates in
        units of the variance of P&L.
    factors : (C, 2) float64
        VaR and ES of a standard normal loss at each confidence.
    half_width : float
        Half the interval of VaR in standard errors.
    out : (L, C, 5) float64
        Columns as in `rtre.kernels.tail`.
    """
    for j in range(len(which)):
        mean, sd = parameters[j, MEAN], parameters[j, SD]
        of_mean, of_sd = parameters[j, MEAN_VARIANCE], parameters[j, SD_VARIANCE]
        for c in range(len(factors)):
            z, e = factors[c, 0], factors[c, 1]
            row = out[which[j], c]
            var = -mean + z * sd
            half = half_width * sd * math.sqrt(of_mean + z * z * of_sd)
            row[VAR] = var
            row[ES] = max(-mean + e * sd, var)
            row[VAR_LOW], row[VAR_HIGH] = var - half, var + half
            row[ES_SE] = sd * math.sqrt(of_mean + e * e * of_sd)
