"""What a report needs of the state: a call before a model is asked, two on a copy of its sheet.

A sheet (`rtre.sheet`) comes as float64, ``S``; its whole numbers are the same memory as int64.
"""

from __future__ import annotations

import math

import numpy as np

from rtre.kernels import layout
from rtre.kernels.jit import brief
from rtre.kernels.layout import (
    C_CONFIRMED,
    C_INIT,
    C_OBSERVED,
    CHANGED,
    CLOSE,
    CLOSED,
    H_ASSETS,
    H_BOOKS,
    H_EVERY_TICK,
    H_HEAD,
    H_LEVELS,
    H_ROWS,
    LAST,
    UNITS,
)
from rtre.kernels.tail import ES, VAR
from rtre.kernels.views import cut, view
from rtre.market import Float64, Int64, Quality
from rtre.sheet import (
    ASSETS,
    AT_EXPOSURES,
    AT_LINES,
    AT_PEAKS,
    AT_SYMBOLS,
    AT_VALUES,
    AT_VERDICTS,
    LEVELS,
    LINE_ROWS,
    LINES,
    N_OBS,
    QUALITIES,
    RECEIVED,
    RESULTS,
    VERDICTS,
    WORK,
)

STALE, SUSPECT = int(Quality.STALE), int(Quality.SUSPECT)
WARMING, UNPRICED = int(Quality.WARMING), int(Quality.UNPRICED)
NO_TIME = (1 << 63) - 1


@view
def values_of(S: Float64, J: Int64) -> Float64:
    """View: (L, C, RESULTS) estimates."""
    return cut(S, J[AT_VALUES], (J[LINES], J[LEVELS], RESULTS))


@view
def peaks_of(S: Float64, J: Int64) -> Float64:
    """View: (L, C, 2) highest var and es."""
    return cut(S, J[AT_PEAKS], (J[LINES], J[LEVELS], 2))


@view
def exposures_of(S: Float64, J: Int64) -> Float64:
    """View: (L,) signed values."""
    return cut(S, J[AT_EXPOSURES], (J[LINES],))


@view
def symbols_of(S: Float64, J: Int64) -> Float64:
    """View: (2, N) last prices; returns of the open interval."""
    return cut(S, J[AT_SYMBOLS], (2, J[ASSETS]))


@view
def lines_of(J: Int64) -> Int64:
    """View: (LINE_ROWS, L) whole numbers of each line."""
    return cut(J, J[AT_LINES], (LINE_ROWS, J[LINES]))


@view
def verdicts_of(J: Int64) -> Int64:
    """View: (VERDICTS,) ticks by verdict."""
    return cut(J, J[AT_VERDICTS], (VERDICTS,))


@brief
def count_observations(F: Float64, I: Int64, closed: bool, out: Int64) -> None:  # noqa: E741
    """Write the observations of each line, (L,): a book counts complete rows.

    With `closed` the open interval does not count.
    """
    assets, head = I[H_ASSETS], I[H_HEAD]
    returns, clocks = layout.returns(F, I), layout.clocks(I)
    missing, complete = layout.missing(I), layout.complete(I)
    leave_out = closed and I[H_ROWS] > 0
    for i in range(assets):
        out[i] = clocks[i, C_OBSERVED]
        if leave_out and not math.isnan(returns[i, head]):
            out[i] -= 1
    for b in range(I[H_BOOKS]):
        out[assets + b] = complete[b]
        if leave_out and missing[b, head] == 0:
            out[assets + b] -= 1


@brief
def survey(F: Float64, I: Int64, S: Float64, closed: bool, min_obs: int) -> int:  # noqa: E741
    """Find the lines whose estimate is out of date; the marks stay, for the next model to see.

    Written for all lines: exposures (NaN while a price is missing), observations, and NaN for the
    estimates of lines that have too few.

    Parameters
    ----------
    S : (..,) float64
        The model's sheet. The first entries of its work row receive the lines to evaluate,
        ascending.
    closed : bool
        The model looks at closed intervals alone: the open one is no reason to ask it again.
    min_obs : int
        A line with fewer observations has no estimate.

    Returns
    -------
    int
        How many lines to evaluate.
    """
    J = S.view(np.int64)
    assets = I[H_ASSETS]
    prices, net, dirty = layout.prices(F, I), layout.net(F, I), layout.dirty(I)
    holdings, book, first = layout.holdings(F, I), layout.book(I), layout.first(I)
    exposures, values, lines = exposures_of(S, J), values_of(S, J), lines_of(J)
    n_obs, which = lines[N_OBS], lines[WORK]
    for b in range(assets, len(exposures)):
        exposures[b] = 0.0
    for i in range(assets):
        exposures[i] = net[i] * prices[i, LAST] if net[i] != 0.0 else 0.0
        for h in range(first[i], first[i + 1]):
            exposures[assets + book[h]] += holdings[h, UNITS] * prices[i, LAST]
    count_observations(F, I, closed, n_obs)
    bit = CLOSED if closed else CHANGED
    found = 0
    for line in range(len(dirty)):
        if n_obs[line] < min_obs:
            values[line] = math.nan
        elif dirty[line] & bit:
            which[found] = line
            found += 1
    return found


@brief
def snapshot(
    F: Float64,
    I: Int64,  # noqa: E741
    S: Float64,
    closed: bool,
    factor: float,
    min_obs: int,
    now: int,
    stale_after: int,
) -> None:
    """Make a copy of a model's sheet into what a report shows.

    Parameters
    ----------
    S : (..,) float64
        The copy. Its estimates are for one grid interval, and then at the horizon; with `closed`
        those of symbols are at the price at which the open interval began, and from there follow
        the price. Prices, returns, qualities, receipt times and verdicts are written.
    factor : float
        From one grid interval to the horizon.
    """
    J = S.view(np.int64)
    assets, rows = I[H_ASSETS], I[H_ROWS]
    prices, returns, clocks = layout.prices(F, I), layout.returns(F, I), layout.clocks(I)
    flags, first, book = layout.flags(I), layout.first(I), layout.book(I)
    values, symbols, of_lines = values_of(S, J), symbols_of(S, J), lines_of(J)
    lines = len(values)
    for line in range(lines):
        scale = factor
        if closed and line < assets:
            scale *= prices[line, LAST] / prices[line, CLOSE]
        for c in range(values.shape[1]):
            for k in range(values.shape[2]):
                values[line, c, k] *= scale
        of_lines[QUALITIES, line] = 0 if of_lines[N_OBS, line] >= min_obs else WARMING
        of_lines[RECEIVED, line] = NO_TIME
    for i in range(assets):
        symbols[0, i] = prices[i, LAST]
        symbols[1, i] = returns[i, I[H_HEAD]] if rows > 0 else math.nan
        received, seen = clocks[i, C_INIT], flags[i]
        if math.isnan(prices[i, LAST]):
            seen |= UNPRICED
        elif now - received > stale_after:
            seen |= STALE
        if clocks[i, C_CONFIRMED] > 0:
            seen |= SUSPECT
        of_lines[QUALITIES, i] |= seen
        of_lines[RECEIVED, i] = received
        for h in range(first[i], first[i + 1]):
            b = assets + book[h]
            of_lines[QUALITIES, b] |= seen
            of_lines[RECEIVED, b] = min(of_lines[RECEIVED, b], received)
    for line in range(assets, lines):
        if of_lines[RECEIVED, line] == NO_TIME:  # a book that holds nothing
            of_lines[RECEIVED, line] = 0
    counts, verdicts = layout.counts(I), verdicts_of(J)
    for v in range(len(verdicts)):
        verdicts[v] = counts[v]


@brief
def take_peaks(F: Float64, I: Int64, S: Float64, factor: float) -> None:  # noqa: E741
    """Write the peaks of a sheet at the horizon, and begin again at the present tails.

    No peak lies below the estimate that is shown beside, though that is summed afresh and may lie a
    rounding above what the ticks have kept. Nothing is done where not every tick is evaluated.

    Parameters
    ----------
    S : (..,) float64
        A sheet at the horizon.
    factor : float
        From one grid interval to the horizon.
    """
    if I[H_EVERY_TICK] == 0:
        return
    J = S.view(np.int64)
    values, shown_peaks = values_of(S, J), peaks_of(S, J)
    tails, peaks = layout.tails(F, I), layout.peaks(F, I)
    for line in range(len(peaks)):
        for c in range(I[H_LEVELS]):
            for what in (VAR, ES):
                highest, shown = peaks[line, c, what] * factor, values[line, c, what]
                above = highest >= shown or math.isnan(shown)
                shown_peaks[line, c, what] = highest if above else shown
                peaks[line, c, what] = tails[line, c, what]
