"""All tests of one forecast at once."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from rtre.backtest.coverage import binomial, kupiec, tuff
from rtre.backtest.duration import duration
from rtre.backtest.dynamic_quantile import dynamic_quantile
from rtre.backtest.exceedances import Counts, exceedances
from rtre.backtest.independence import (
    christoffersen,
    conditional_coverage,
    time_between_failures,
)
from rtre.backtest.result import BacktestResult
from rtre.backtest.shortfall import acerbi_szekely, exceedance_residuals

#: Lags of the dynamic quantile test.
_LAGS = 4


def run_battery(
    losses: npt.ArrayLike,
    var: npt.ArrayLike,
    es: npt.ArrayLike | None,
    confidence: float,
    *,
    rng: np.random.Generator,
) -> tuple[BacktestResult, ...]:
    """Run every fixed-sample test that the forecasts allow.

    With many tests some reject a right forecast by chance: ask for ``level / number of tests``, or
    read `rtre.backtest.eprocess`, whose evidence may be averaged over models.

    Parameters
    ----------
    losses, var : (n,) array_like
        Losses and the VaR forecasts made before them.
    es : (n,) array_like or None
        ES forecasts; None, or ES that is infinite somewhere, leaves the tests of ES out.
    confidence : float
    rng : numpy.random.Generator
        For the simulated p-values of the tests of ES.
    """
    hits = Counts.of(exceedances(losses, var))
    results = [
        binomial(hits.n, hits.x, confidence),
        kupiec(hits.n, hits.x, confidence),
        tuff(hits.first, confidence, n=hits.n),
        christoffersen(hits.transitions),
        conditional_coverage(hits.n, hits.x, hits.transitions, confidence),
        time_between_failures(hits, confidence),
        duration(hits, confidence),
    ]
    if hits.n > _LAGS + 1 and np.isfinite(np.asarray(var, dtype=np.float64)).all():
        results.append(dynamic_quantile(losses, var, confidence, lags=_LAGS))
    if es is not None and np.isfinite(np.asarray(es, dtype=np.float64)).all():
        results.append(exceedance_residuals(losses, var, es))
        kinds: tuple[Literal["z1", "z2"], ...] = ("z1", "z2")
        for statistic in kinds:
            results.append(
                acerbi_szekely(losses, var, es, confidence, rng=rng, statistic=statistic)
            )
    return tuple(results)
