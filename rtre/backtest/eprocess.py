"""E-processes: tests that may be looked at after every period and stopped at any time.

A bet against the forecast starts with one unit of wealth. Each period multiplies it by
``1 - bet + bet * e``, where e >= 0 has mean at most one if the forecast is right (or too high) and
the bet was fixed before the period. Then wealth is unlikely to grow: it ever reaches 1/level with
probability at most `level` (Ville 1939), whenever one looks. A fixed-sample test read daily has no
such bound.

Wang, Wang and Ziegel, E-backtesting, arXiv 2209.00991.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs
import numpy as np
import numpy.typing as npt

from rtre.backtest.result import as_series
from rtre.errors import DataError
from rtre.market import Float64
from rtre.order import tail_probability

#: No bet stakes more than this, so that one period without an exceedance never ends the game.
MAX_BET = 0.5


@attrs.frozen(eq=False)
class EProcess:
    """Wealth of a bet against a forecast, period by period.

    Attributes
    ----------
    log_wealth : (n,) float64
        Natural logarithm of the wealth after each period; may be inf (an impossible loss under
        the forecast) or very low, never NaN.
    bets : (n,) float64
        Staked in each period, known before it.
    confidence : float
        Of the forecast.
    target : {"var", "es"}
        Which forecast is tested, against being too low.
    """

    log_wealth: Float64
    bets: Float64
    confidence: float
    target: Literal["var", "es"]

    @property
    def e_value(self) -> float:
        """Wealth now; evidence against the forecast. May be inf."""
        return math.exp(min(float(self.log_wealth[-1]), 709.0)) if self._finite else math.inf

    @property
    def _finite(self) -> bool:
        return float(self.log_wealth[-1]) < math.inf

    @property
    def p_value(self) -> float:
        """One over the highest wealth so far: a p-value valid at any time."""
        return math.exp(-max(float(np.max(self.log_wealth)), 0.0))

    def rejected_at(self, level: float = 0.05) -> int | None:
        """First period, counted from 1, with wealth of 1/level; None while there was none."""
        if not 0.0 < level < 1.0:
            raise DataError(f"level must lie between 0 and 1, got {level!r}")
        over = np.flatnonzero(self.log_wealth >= -math.log(level))
        return int(over[0]) + 1 if len(over) else None


def _fixed(n: int, bet: float) -> Float64:
    if not 0.0 <= bet < 1.0:
        raise DataError(f"a fixed bet must be at least 0 and less than 1, got {bet!r}")
    return np.full(n, bet)


def _var_bets(hits: Float64, tail: float) -> Float64:
    """Return Kelly's bet of each period at the share of exceedances p before it.

    ``(p - tail) / (1 - tail)`` maximises the expected growth when losses beat VaR with probability
    p. The share starts from 1/tail imagined periods with one exceedance, so the first bet is 0.
    """
    before = np.concatenate(([0.0], np.cumsum(hits)[:-1]))
    share = (before + 1.0) / (np.arange(len(hits)) + 1.0 / tail)
    return np.asarray(np.clip((share - tail) / (1.0 - tail), 0.0, MAX_BET))


def _es_bets(e: Float64, tail: float) -> Float64:
    """Return the bet that would have grown wealth most over the e-values before each period.

    The GREE method of Wang, Wang and Ziegel: the maximum over the bet of the mean of
    log(1 - bet + bet e), followed by one Newton step a period from the last bet. It starts from
    the same imagined periods as for VaR. Periods with e = 0 are only counted.
    """
    bets = np.empty(len(e))
    seen = np.empty(len(e) + 1)
    seen[0], count, calm, bet = 1.0 / tail - 1.0, 1, 1.0 / tail - 1.0, 0.0
    for t, value in enumerate(e.tolist()):
        gain = seen[:count]
        odds = gain / (1.0 + bet * gain)
        slope = float(np.sum(odds)) - calm / (1.0 - bet)
        curve = float(np.sum(odds * odds)) + calm / (1.0 - bet) ** 2
        bet = min(max(bet + slope / curve, 0.0), MAX_BET)
        bets[t] = bet
        if value == 0.0:
            calm += 1.0
        elif value < math.inf:
            seen[count] = value - 1.0
            count += 1
    return bets


def _grow(e: Float64, bets: Float64) -> Float64:
    """Log wealth. An infinite e with a stake makes it infinite; without a stake it is not seen."""
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.where(bets > 0.0, np.log1p(bets * (e - 1.0)), 0.0)
    return np.asarray(np.cumsum(steps))


def var_eprocess(
    losses: npt.ArrayLike, var: npt.ArrayLike, confidence: float, *, bet: float | None = None
) -> EProcess:
    """Bet that VaR is too low: ``e = 1{loss > VaR} / tail``.

    Parameters
    ----------
    losses, var : (n,) array_like
        Losses and the forecasts made before them.
    confidence : float
        Of the VaR.
    bet : float, optional
        A fixed stake in [0, 1). None: adaptive, from past exceedances only.
    """
    lost, quantile = as_series(losses=losses, var=var)
    tail = float(tail_probability(confidence))
    e: Float64 = (lost > quantile).astype(np.float64) / tail
    bets = _var_bets(e * tail, tail) if bet is None else _fixed(len(e), bet)
    return EProcess(_grow(e, bets), bets, confidence, "var")


def es_eprocess(
    losses: npt.ArrayLike,
    var: npt.ArrayLike,
    es: npt.ArrayLike,
    confidence: float,
    *,
    bet: float | None = None,
) -> EProcess:
    """Bet that ES is too low: ``e = max(loss - VaR, 0) / (tail (ES - VaR))``.

    Its mean is at most one if VaR is right and ES is right or too high, and above one if ES is too
    low, whatever VaR is (Wang, Wang and Ziegel; it is the bound of Rockafellar and Uryasev). A
    wrong VaR beside a right ES also raises the mean: a rejection speaks against the pair. Where ES
    equals VaR, a loss beyond them is impossible under the forecast and e is inf.

    Parameters
    ----------
    losses, var, es : (n,) array_like
        Losses and the forecasts made before them; ``es >= var``.
    confidence : float
        Of both forecasts.
    bet : float, optional
        A fixed stake in [0, 1). None: adaptive, from past e-values only.
    """
    lost, quantile, shortfall = as_series(losses=losses, var=var, es=es)
    if np.any(shortfall < quantile):
        raise DataError("ES is below VaR")
    over = np.maximum(lost - quantile, 0.0)
    tail = float(tail_probability(confidence))
    room = tail * (shortfall - quantile)
    with np.errstate(divide="ignore", invalid="ignore"):
        e = np.where(over > 0.0, over / room, 0.0)
    bets = _es_bets(e, tail) if bet is None else _fixed(len(e), bet)
    return EProcess(_grow(e, bets), bets, confidence, "es")
