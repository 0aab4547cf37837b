"""What a report needs of the state, in two calls: one before the model is asked, one after."""

from __future__ import annotations

import math

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
    H_HEAD,
    H_ROWS,
    LAST,
    UNITS,
)
from rtre.market import Float64, Int64, Quality

STALE, SUSPECT = int(Quality.STALE), int(Quality.SUSPECT)
WARMING, UNPRICED = int(Quality.WARMING), int(Quality.UNPRICED)
NO_TIME = (1 << 63) - 1


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
def survey(
    F: Float64,
    I: Int64,  # noqa: E741
    closed: bool,
    min_obs: int,
    exposures: Float64,
    n_obs: Int64,
    values: Float64,
    which: Int64,
) -> int:
    """Find the lines whose estimate is out of date; the marks stay, for the next model to see.

    Parameters
    ----------
    closed : bool
        The model looks at closed intervals alone: the open one is no reason to ask it again.
    min_obs : int
        A line with fewer observations has no estimate.
    exposures, n_obs : (L,)
        Written for all lines: signed currency value (NaN while a price is missing), observations.
    values : (L, C, 5) float64
        Estimates; NaN is written where a line has too few observations.
    which : (L,) int64
        Its first entries receive the lines to evaluate, ascending.

    Returns
    -------
    int
        How many lines to evaluate.
    """
    assets = I[H_ASSETS]
    prices, net, dirty = layout.prices(F, I), layout.net(F, I), layout.dirty(I)
    holdings, book, first = layout.holdings(F, I), layout.book(I), layout.first(I)
    exposures[assets:] = 0.0
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
    values: Float64,
    n_obs: Int64,
    closed: bool,
    factor: float,
    min_obs: int,
    now: int,
    stale_after: int,
    out_values: Float64,
    out_symbols: Float64,
    out_lines: Int64,
) -> None:
    """Copy out what a report shows.

    Parameters
    ----------
    values : (L, C, 5) float64
        Estimates for one grid interval; with `closed`, of symbols at the price at which the open
        interval began, from where they follow the price.
    factor : float
        From one grid interval to the horizon.
    out_values : (L, C, 5) float64
        Estimates at the horizon.
    out_symbols : (2, N) float64
        Last prices; returns of the open interval.
    out_lines : (3, L) int64
        Observations; quality bits; receipt time of the newest tick, for a book of the input that
        has waited longest, 0 = never.
    """
    assets, rows = I[H_ASSETS], I[H_ROWS]
    prices, returns, clocks = layout.prices(F, I), layout.returns(F, I), layout.clocks(I)
    flags, first, book = layout.flags(I), layout.first(I), layout.book(I)
    lines = len(n_obs)
    for line in range(lines):
        scale = factor
        if closed and line < assets:
            scale *= prices[line, LAST] / prices[line, CLOSE]
        for c in range(values.shape[1]):
            for k in range(values.shape[2]):
                out_values[line, c, k] = scale * values[line, c, k]
        out_lines[0, line] = n_obs[line]
        out_lines[1, line] = 0 if n_obs[line] >= min_obs else WARMING
        out_lines[2, line] = NO_TIME
    for i in range(assets):
        out_symbols[0, i] = prices[i, LAST]
        out_symbols[1, i] = returns[i, I[H_HEAD]] if rows > 0 else math.nan
        received, seen = clocks[i, C_INIT], flags[i]
        if math.isnan(prices[i, LAST]):
            seen |= UNPRICED
        elif now - received > stale_after:
            seen |= STALE
        if clocks[i, C_CONFIRMED] > 0:
            seen |= SUSPECT
        out_lines[1, i] |= seen
        out_lines[2, i] = received
        for h in range(first[i], first[i + 1]):
            b = assets + book[h]
            out_lines[1, b] |= seen
            out_lines[2, b] = min(out_lines[2, b], received)
    for line in range(assets, lines):
        if out_lines[2, line] == NO_TIME:  # a book that holds nothing
            out_lines[2, line] = 0
