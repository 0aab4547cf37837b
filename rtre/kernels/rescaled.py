"""Volatility-weighted historical simulation of many lines in one call (Hull and White 1998)."""

from __future__ import annotations

import math

from rtre.kernels import layout
from rtre.kernels.blocks import total
from rtre.kernels.books import refresh
from rtre.kernels.jit import kernel
from rtre.kernels.layout import H_ASSETS, H_HEAD, H_ROWS, H_WINDOW, LAST
from rtre.kernels.tail import LOW, K, select_smallest, tail_of_ascending
from rtre.market import Float64, Int64


@kernel
def ordered_sample(F: Float64, I: Int64, line: int, out: Float64) -> int:  # noqa: E741
    """Copy a line's observed P&L, oldest first, to `out`; returns how many there are.

    For a symbol these are its returns: the scale does not matter before the end.
    """
    window, rows, assets = I[H_WINDOW], I[H_ROWS], I[H_ASSETS]
    if line >= assets:
        refresh(F, I, line - assets)
    oldest, n = I[H_HEAD] - rows + 1, 0
    if oldest < 0:
        oldest += window
    # the ring in two runs, each without a look at its end
    for start, stop in ((oldest, min(oldest + rows, window)), (0, oldest + rows - window)):
        if line < assets:
            returns = layout.returns(F, I)[line]
            for slot in range(start, stop):
                out[n] = returns[slot]
                n += int(not math.isnan(returns[slot]))
        else:
            pnl, missing = layout.pnl(F, I)[line - assets], layout.missing(I)[line - assets]
            for slot in range(start, stop):
                out[n] = pnl[slot]
                n += int(missing[slot] == 0)
    return n


@kernel
def rescale(values: Float64, n: int, decay: float, last: bool, path: Float64) -> bool:
    """Rescale ``values[:n]`` to the present volatility, in place; False where it is zero somewhere.

    The variance starts at the sample's (ddof 1); `last` takes the volatility of the newest
    observation as the present one, instead of the forecast for the next. `path`, (>= n,), is
    working space. All is done in loops that the compiler can vectorise but one, the recursion, and
    that is left nothing but its own two operations a step.
    """
    mean = total(values, 0, n) / n
    for t in range(n):
        path[t] = (values[t] - mean) * (values[t] - mean)
    variance = total(path, 0, n) / (n - 1)
    for t in range(n):
        path[t] = (1.0 - decay) * (values[t] * values[t])
    previous, right = variance, True
    for t in range(n):
        news, path[t] = path[t], variance
        right &= variance > 0.0
        previous = variance
        variance = decay * variance + news
    target = previous if last else variance
    for t in range(n):
        values[t] *= math.sqrt(target / path[t])
    return right and target > 0.0


@kernel
def rescaled_tails(
    F: Float64,
    I: Int64,  # noqa: E741
    which: Int64,
    decay: float,
    last: bool,
    ranks: Int64,
    m: Float64,
    out: Float64,
    good: Int64,
) -> None:
    """Tails of several lines, rescaled; ``good[j]`` is 0 where the kernel cannot say.

    Parameters as in `rtre.kernels.marks.tails_of_lines`.
    """
    assets, levels = I[H_ASSETS], len(ranks)
    prices, net = layout.prices(F, I), layout.net(F, I)
    values, path = layout.scratch(F, I)[0], layout.scratch(F, I)[1]
    for j in range(len(which)):
        i = which[j]
        n = ordered_sample(F, I, i, values)
        largest = 0.0
        for t in range(n):
            largest = max(largest, abs(values[t]))
        scale = net[i] * prices[i, LAST] if i < assets else 1.0
        good[j] = int(1e-100 < largest < 1e100 and 1e-100 < abs(scale) < 1e100)
        if good[j] == 0 or not rescale(values, n, decay, last, path):
            good[j] = 0
            continue
        if scale < 0.0:
            for t in range(n):
                values[t] = -values[t]
        need = 0
        for c in range(levels):
            need = max(need, ranks[c, n, K], min(ranks[c, n, LOW], n))
        select_smallest(values, n, need)
        for c in range(levels):
            tail_of_ascending(values, n, abs(scale), ranks[c, n], m[c, n], out[i, c])
