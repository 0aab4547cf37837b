"""Scoring forecasts against what followed: one call for all models when a grid interval closes.

All that is kept of one model, on one line, at one confidence, is a row of `FIELDS` numbers: the
forecast that waits for its outcome, and counts that only grow. `rtre.scorer` owns them.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import inlined, kernel
from rtre.market import Float64

VAR, ES = 0, 1  #: the forecast that was made when the open interval opened; NaN: none
N, HITS = 2, 3  #: outcomes that had a forecast, and those of them beyond VaR
LAST = 4  #: 1 where the newest of them was beyond VaR, 0 where not, -1 before the first
N00, N01, N10, N11 = 5, 6, 7, 8  #: pairs of neighbours by (beyond VaR before, beyond VaR now)
LOG_WEALTH, PEAK = 9, 10  #: of the bet that VaR is too low; highest so far, at least 0
UNFORECAST, MASKED = 11, 12  #: outcomes without a forecast; forecasts without an outcome
SCORE, HIT = 13, 14  #: of the newest interval: FZ0, NaN where there is none; 0, 1, or -1 for none
ES_LOG_WEALTH, ES_PEAK = 15, 16  #: of the bet that ES is too low, as for VaR
#: what its next stake needs of the past: the last stake, and slope and curve there of the sum of
#: logarithms that a stake would have grown to
ES_BET, ES_SLOPE, ES_CURVE = 17, 18, 19
FIELDS = 20


@inlined
def es_e_value(loss: float, var: float, es: float, tail: float) -> float:
    """``max(loss - VaR, 0) / (tail (ES - VaR))``, as in `rtre.backtest.eprocess.es_eprocess`."""
    if loss <= var or es == math.inf:
        return 0.0
    if es <= var or loss == math.inf:
        return math.inf
    if var == -math.inf:
        return 1.0 / tail
    half = 0.5 if max(abs(loss), abs(var), abs(es)) > 1e300 else 1.0  # no overflow of differences
    return (half * loss - half * var) / (half * es - half * var) / tail


@inlined
def bet_on_es(row: Float64, loss: float, tail: float, most: float, least: float) -> None:
    """Take the bet of `rtre.backtest.eprocess.es_eprocess` one step further.

    Where ES is below VaR there is no forecast to bet against, and nothing happens.
    """
    if row[ES] < row[VAR]:
        return
    curve = row[ES_CURVE] + (1.0 / tail - 1.0) / tail  # of 1/tail imagined periods
    bet = min(max(row[ES_BET] + row[ES_SLOPE] / curve, 0.0), most)
    row[ES_SLOPE] -= curve * (bet - row[ES_BET])
    row[ES_BET] = bet
    e = es_e_value(loss, row[VAR], row[ES], tail)
    if bet > 0.0:
        row[ES_LOG_WEALTH] += math.log1p(bet * (e - 1.0))
        row[ES_PEAK] = max(row[ES_PEAK], row[ES_LOG_WEALTH])
    at, gain = max(bet, least * tail), e - 1.0
    odds = gain / (1.0 + at * gain) if gain < 1e300 else 1.0 / at
    row[ES_SLOPE] += odds + odds * odds * (at - bet)
    row[ES_CURVE] += odds * odds


@kernel
def score_outcomes(state: Float64, losses: Float64, levels: Float64) -> None:
    """Score every forecast against the loss that followed it, and count.

    The bets are those of `rtre.backtest.eprocess`, one step further; the score is that of
    `rtre.backtest.scores.fz0`. An interval without forecast or without outcome is counted and left
    out, so a pair of neighbours may span it.

    Parameters
    ----------
    state : (S, M, C, FIELDS) float64
        By line, model and confidence. Changed in place, but for VAR and ES.
    losses : (S,) float64
        NaN where there is no outcome.
    levels : (3, C) float64
        ``1 - confidence``, the highest stake of a bet, and `rtre.backtest.eprocess.LEAST_LOOK`.
    """
    lines, models, confidences = state.shape[0], state.shape[1], state.shape[2]
    for s in range(lines):
        loss = losses[s]
        for m in range(models):
            for c in range(confidences):
                row = state[s, m, c]
                row[SCORE], row[HIT] = math.nan, -1.0
                if math.isnan(row[VAR]) or math.isnan(row[ES]):
                    row[UNFORECAST] += 1.0
                    continue
                if math.isnan(loss):
                    row[MASKED] += 1.0
                    continue
                tail, most = levels[0, c], levels[1, c]
                hit = 1.0 if loss > row[VAR] else 0.0
                # the stake was fixed before: it knows the exceedances so far and no more
                share = (row[HITS] + 1.0) / (row[N] + 1.0 / tail)
                bet = min(max((share - tail) / (1.0 - tail), 0.0), most)
                if bet > 0.0:
                    row[LOG_WEALTH] += math.log1p(bet * (hit / tail - 1.0))
                    row[PEAK] = max(row[PEAK], row[LOG_WEALTH])
                bet_on_es(row, loss, tail, most, levels[2, c])
                if row[LAST] >= 0.0:
                    row[N00 + 2 * int(row[LAST]) + int(hit)] += 1.0
                row[N] += 1.0
                row[HITS] += hit
                row[LAST] = row[HIT] = hit
                if row[ES] > 0.0 and row[ES] >= row[VAR] and row[ES] < math.inf:
                    beyond = max(loss - row[VAR], 0.0) / (tail * row[ES])
                    score = beyond + row[VAR] / row[ES] + math.log(row[ES]) - 1.0
                    row[SCORE] = score if math.isfinite(score) else math.nan
