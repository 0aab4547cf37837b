"""VaR and ES of normal P&L for many lines at once; the formulas of `rtre.models`."""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.kernels.tail import ES, ES_SE, VAR, VAR_HIGH, VAR_LOW
from rtre.market import Float64, Int64

MEAN, SD, MEAN_VARIANCE, SD_VARIANCE = 0, 1, 2, 3  #: columns of `parameters`
PARAMETERS = 4


SAMPLE_MEAN, ZERO_MEAN, IGNORED_MEAN = 0, 1, 2  #: the choices of `rtre.models.gaussian`


@kernel
def gaussian_parameters(moments: Float64, rule: int, ddof: int, out: Float64) -> None:
    """Parameters of each line from the sample's moments; see `rtre.models.gaussian.Gaussian`.

    Parameters
    ----------
    moments : (m, 3) float64
        Mean, standard deviation with divisor ``n - ddof``, and n, as in `rtre.kernels.moments`.
    out : (>= m, 4) float64
        As `normal_tails` takes them.
    """
    for j in range(len(moments)):
        mean, sd, n = moments[j, 0], moments[j, 1], moments[j, 2]
        out[j, MEAN], out[j, MEAN_VARIANCE] = 0.0, 0.0
        if rule == ZERO_MEAN:
            out[j, SD] = math.sqrt((sd * sd * (n - ddof) + n * mean * mean) / n)
            out[j, SD_VARIANCE] = 0.5 / n
            continue
        out[j, SD] = sd
        out[j, SD_VARIANCE] = 0.5 / (n - 1.0)
        if rule == SAMPLE_MEAN:
            out[j, MEAN], out[j, MEAN_VARIANCE] = mean, 1.0 / n


@kernel
def ewma_parameters(variances: Float64, decay: float, out: Float64) -> None:
    """Parameters of each line from an EWMA variance, (m, 2): variance and n.

    The variance of the deviation is half the sum of the squared weights, in closed form.
    """
    for j in range(len(variances)):
        n = variances[j, 1]
        share = 1.0 / n
        if decay != 1.0:
            faded = decay**n
            share = (1.0 - decay) / (1.0 + decay) * (1.0 + faded) / (1.0 - faded)
        out[j, MEAN], out[j, MEAN_VARIANCE] = 0.0, 0.0
        out[j, SD], out[j, SD_VARIANCE] = math.sqrt(variances[j, 0]), 0.5 * share


@kernel
def normal_tails(
    which: Int64, parameters: Float64, factors: Float64, half_width: float, out: Float64
) -> None:
    """Write VaR, ES, interval and standard error of each line at each confidence.

    Parameters
    ----------
    which : (m,) int64
        Lines, rows of `out` to write.
    parameters : (>= m, 4) float64
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
            var = z * sd - mean
            half = half_width * sd * math.sqrt(of_mean + z * z * of_sd)
            row[VAR] = var
            row[ES] = max(e * sd - mean, var)
            row[VAR_LOW], row[VAR_HIGH] = var - half, var + half
            row[ES_SE] = sd * math.sqrt(of_mean + e * e * of_sd)
