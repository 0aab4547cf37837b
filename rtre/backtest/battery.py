"""All tests of one forecast at once."""

from __future__ import annotations

from typing import Literal

import attrs
import numpy as np
import numpy.typing as npt

from rtre.backtest.coverage import binomial, kupiec, tuff
from rtre.backtest.duration import duration
from rtre.backtest.dynamic_quantile import dynamic_quantile
from rtre.backtest.exceedances import Counts
from rtre.backtest.independence import (
    christoffersen,
    conditional_coverage,
    time_between_failures,
)
from rtre.backtest.result import BacktestResult, as_series
from rtre.backtest.shortfall import NOT_POSITIVE, acerbi_szekely, exceedance_residuals
from rtre.market import Float64

#: Simulated statistics behind a p-value.
DRAWS = 20_000
#: Lags of the dynamic quantile test.
_LAGS = 4


def run_battery(
    losses: npt.ArrayLike,
    var: npt.ArrayLike,
    es: npt.ArrayLike | None,
    confidence: float,
    *,
    rng: np.random.Generator,
    residuals: Literal["standardised", "raw"] = "standardised",
    draws: int = DRAWS,
) -> tuple[BacktestResult, ...]:
    """Run every fixed-sample test that the forecasts allow.

    With many tests some reject a right forecast by chance: ask for ``level / number of tests``, or
    read `rtre.backtest.eprocess`, whose evidence may be averaged over models.

    Parameters
    ----------
    losses, var : (n,) array_like
        Losses and the VaR forecasts made before them.
    es : (n,) array_like or None
        ES forecasts; None, or ES that `es_problem` says something of, leaves the tests of ES out.
    confidence : float
    rng : numpy.random.Generator
        For the simulated p-values of the tests of ES.
    residuals : {"standardised", "raw"}
        Of McNeil and Frey. Standardised: over the ES of their period, which is a multiple of the
        volatility that the paper divides by where means are small, and with its bootstrap. Raw: in
        units of money with a normal p-value, as the R package rugarch does it; wild times then
        outweigh calm ones. Also raw, with a note, where an ES to divide by is not positive.
    draws : int
        Of each simulation and of the bootstrap.
    """
    lost, forecast = as_series(losses=losses, var=var)
    hits = Counts.of(lost > forecast)
    results = [
        binomial(hits.n, hits.x, confidence),
        kupiec(hits.n, hits.x, confidence),
        tuff(hits.first, confidence, n=hits.n),
        christoffersen(hits.transitions),
        conditional_coverage(hits.n, hits.x, hits.transitions, confidence),
        time_between_failures(hits, confidence),
        duration(hits, confidence),
    ]
    if hits.n > _LAGS + 1 and np.isfinite(forecast).all() and np.isfinite(lost).all():
        results.append(dynamic_quantile(lost, forecast, confidence, lags=_LAGS))
    if es is None:
        return tuple(results)
    (shortfall, _) = as_series(es=es, losses=lost)
    if es_problem(lost, forecast, shortfall):
        return tuple(results)
    kinds: tuple[Literal["z1", "z2"], ...] = ("z1", "z2")
    # before the bootstrap, whose use of the generator depends on the exceedances: what these draw
    # is remembered by the state of the generator
    zeros = [
        acerbi_szekely(lost, forecast, shortfall, confidence, rng=rng, statistic=kind, draws=draws)
        for kind in kinds
    ]
    use = rng if residuals == "standardised" else None
    return (*results, _residuals(lost, forecast, shortfall, use, draws), *zeros)


def es_problem(losses: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike) -> str:
    """Say why forecasts of ES cannot be tested; empty where they can.

    They must be finite and not below VaR, and losses finite. An ES that is not positive can be
    tested.
    """
    lost, quantile, shortfall = as_series(losses=losses, var=var, es=es)
    if endless := int(np.count_nonzero(~np.isfinite(shortfall))):
        return f"{endless} forecasts have no finite ES"
    if below := int(np.count_nonzero(shortfall < quantile)):
        return f"ES is below VaR in {below} of {len(lost)} periods"
    if endless := int(np.count_nonzero(~np.isfinite(lost))):
        return f"{endless} losses are not finite"
    return ""


def _residuals(
    lost: Float64, var: Float64, es: Float64, rng: np.random.Generator | None, draws: int
) -> BacktestResult:
    """McNeil and Frey's test; without a generator raw and with a normal p-value."""
    if rng is None:
        return exceedance_residuals(lost, var, es)
    without = int(np.count_nonzero(es[lost > var] <= 0.0))
    if not without:
        return exceedance_residuals(lost, var, es, scale=es, rng=rng, draws=draws)
    found = exceedance_residuals(lost, var, es, rng=rng, draws=draws)
    note = f"not standardised: {NOT_POSITIVE} in {without} exceedances"
    return attrs.evolve(found, note=f"{found.note}; {note}" if found.note else note)
