"""Scoring forecasts against what followed: one call for all models when a grid interval closes.

All that is kept of one model, on one line, at one confidence, is a row of `FIELDS` numbers: the
forecast that waits for its outcome, and counts that only grow. `rtre.scorer` owns them.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.market import Float64

VAR, ES = 0, 1  #: the forecast that was made when the open interval opened; NaN: none
N, HITS = 2, 3  #: outcomes that had a forecast, and those of them beyond VaR
LAST = 4  #: 1 where the newest of them was beyond VaR, 0 where not, -1 before the first
N00, N01, N10, N11 = 5, 6, 7, 8  #: pairs of neighbours by (beyond VaR before, beyond VaR now)
LOG_WEALTH, PEAK = 9, 10  #: of the bet that VaR is too low; highest so far, at least 0
UNFORECAST, MASKED = 11, 12  #: outcomes without a forecast; forecasts without an outcome
SCORE, HIT = 13, 14  #: of the newest interval: FZ0, NaN where there is none; 0, 1, or -1 for none
FIELDS = 15


@kernel
def score_outcomes(state: Float64, losses: Float64, levels: Float64) -> None:
    """Score every forecast against the loss that followed it, and count.

    The bet is that of `rtre.backtest.eprocess.var_eprocess`, one step further; the score is that of
    `rtre.backtest.scores.fz0`. An interval without forecast or without outcome is counted and left
    out, so a pair of neighbours may span it.

    Parameters
    ----------
    state : (S, M, C, FIELDS) float64
        By line, model and confidence. Changed in place, but for VAR and ES.
    losses : (S,) float64
        NaN where there is no outcome.
    levels : (2, C) float64
        ``1 - confidence``, and the highest stake of a bet.
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
                if row[LAST] >= 0.0:
                    row[N00 + 2 * int(row[LAST]) + int(hit)] += 1.0
                row[N] += 1.0
                row[HITS] += hit
                row[LAST] = row[HIT] = hit
                if row[ES] > 0.0 and row[ES] >= row[VAR] and row[ES] < math.inf:
                    beyond = max(loss - row[VAR], 0.0) / (tail * row[ES])
                    score = beyond + row[VAR] / row[ES] + math.log(row[ES]) - 1.0
                    row[SCORE] = score if math.isfinite(score) else math.nan
