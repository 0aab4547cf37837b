"""The dynamic quantile test: can exceedances be foreseen from what was known?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from rtre.backtest.result import BacktestResult, as_series, direction_of
from rtre.errors import DataError
from rtre.market import Float64
from rtre.order import tail_probability


def dynamic_quantile(
    losses: npt.ArrayLike,
    var: npt.ArrayLike,
    confidence: float,
    *,
    lags: int = 4,
    with_var: bool = True,
    with_square: bool = True,
) -> BacktestResult:
    """Regress exceedances on the past; under a right VaR nothing explains them.

    Engle and Manganelli, CAViaR, Journal of Business and Economic Statistics 22 (2004):
    ``Hit' X (X'X)^-1 X' Hit / (tail (1 - tail))`` with ``Hit = I - tail``; chi2 with as many
    degrees of freedom as X has independent columns.

    Parameters
    ----------
    losses, var : (n,) array_like
        Losses and the forecasts made before them.
    confidence : float
        Of the VaR.
    lags : int
        Lagged hits in X.
    with_var, with_square : bool
        Whether X also holds the forecast itself, and the square of the last loss. A constant is
        always in; with both and 4 lags the regressors are those of the R package GAS.

    Notes
    -----
    Columns that repeat others (lagged hits without a single exceedance are constant) are left out
    and the degrees of freedom counted accordingly, so every sample has an answer.
    """
    lost, forecast = as_series(losses=losses, var=var)
    n = len(lost)
    if lags < 0 or n <= lags + 1:
        raise DataError(f"{lags} lags need more than {lags + 1} periods, got {n}")
    if with_var and not np.isfinite(forecast).all():
        raise DataError("an infinite VaR cannot be a regressor: leave it out, or with_var=False")
    if with_square and not np.isfinite(lost).all():
        raise DataError("an infinite loss has no square: leave it out, or with_square=False")
    tail = float(tail_probability(confidence))
    hit: Float64 = (lost > forecast).astype(np.float64) - tail
    start = max(lags, 1) if with_square else lags
    columns: list[Float64] = [np.ones(n - start)]
    if with_var:
        columns.append(_near_one(forecast[start:]))
    columns.extend(hit[start - lag : n - lag] for lag in range(1, lags + 1))
    if with_square:
        columns.append(_near_one(lost[start - 1 : -1]) ** 2)
    x = np.column_stack(columns)
    size = np.sqrt(np.sum(x * x, axis=0))  # columns of unit length: the rank is free of currency
    x = x / np.where(size > 0.0, size, 1.0)
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    keep = values > values[0] * 1e-10
    explained = np.sum(left[:, keep] * hit[start:, None], axis=0)
    rank = int(np.count_nonzero(keep))
    statistic = float(np.sum(explained**2)) / (tail * (1.0 - tail))
    x_count = int(np.count_nonzero(hit > 0.0))
    return BacktestResult(
        "dynamic-quantile",
        statistic,
        float(stats.chi2.sf(statistic, rank)),
        f"chi2({rank})",
        direction_of(x_count, n * tail),
        {"n": n, "x": x_count, "confidence": confidence, "lags": lags},
        "" if rank == x.shape[1] else f"{x.shape[1] - rank} regressors repeat others",
    )


def _near_one(column: Float64) -> Float64:
    """Return the column times a power of two, so that its squares neither overflow nor vanish."""
    return np.asarray(np.ldexp(column, -np.frexp(np.max(np.abs(column)))[1]))
