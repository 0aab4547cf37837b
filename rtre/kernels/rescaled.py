"""Volatility-weighted historical simulation of many lines in one call (Hull and White 1998)."""

from __future__ import annotations

import math

from rtre.kernels import layout
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
    returns, pnl, missing = layout.returns(F, I), layout.pnl(F, I), layout.missing(I)
    if line >= assets:
        refresh(F, I, line - assets)
    slot = I[H_HEAD] - rows + 1
    if slot < 0:
        slot += window
    n = 0
    for _ in range(rows):
        if line < assets:
            x = returns[line, slot]
            out[n] = x
            n += int(not math.isnan(x))
        else:
            out[n] = pnl[line - assets, slot]
            n += int(missing[line - assets, slot] == 0)
        slot += 1
        if slot == window:
            slot = 0
    return n


@kernel
def rescale(values: Float64, n: int, decay: float, last: bool) -> bool:
    """Rescale ``values[:n]`` to the present volatility, in place; False where it is zero somewhere.

    The variance starts at the sample's (ddof 1); `last` takes the volatility of the newest
    observation as the present one, instead of the forecast for the next.
    """
    mean = 0.0
    for t in range(n):
        mean += values[t]
    mean /= n
    first = 0.0
    for t in range(n):
        first += (values[t] - mean) * (values[t] - mean)
    first /= n - 1
    now, previous = first, first
    for t in range(n):
        previous = now
        now = decay * now + (1.0 - decay) * values[t] * values[t]
    target = previous if last else now
    variance, right = first, target > 0.0
    for t in range(n):
        right = right and variance > 0.0
        x = values[t]
        values[t] = x * math.sqrt(target / variance)
        variance = decay * variance + (1.0 - decay) * x * x
    return right


@kernel
def rescaled_tails(
    F: Float64,
    I: Int64,  # noqa: E741
    which: Int64,
    decay: float,
    last: bool,
    ranks: Int64,
    m: Float64,
    scratch: Float64,
    out: Float64,
    good: Int64,
) -> None:
    """Tails of several lines, rescaled; ``good[j]`` is 0 where the kernel cannot say.

    Parameters as in `rtre.kernels.tail.tails_of_lines`.
    """
    assets, levels = I[H_ASSETS], len(ranks)
    prices, net = layout.prices(F, I), layout.net(F, I)
    for j in range(len(which)):
        i = which[j]
        n = ordered_sample(F, I, i, scratch)
        largest = 0.0
        for t in range(n):
            largest = max(largest, abs(scratch[t]))
        scale = net[i] * prices[i, LAST] if i < assets else 1.0
        good[j] = int(1e-100 < largest < 1e100 and 1e-100 < abs(scale) < 1e100)
        if good[j] == 0 or not rescale(scratch, n, decay, last):
            good[j] = 0
            continue
        if scale < 0.0:
            for t in range(n):
                scratch[t] = -scratch[t]
        need = 0
        for c in range(levels):
            need = max(need, ranks[c, n, K], min(ranks[c, n, LOW], n))
        select_smallest(scratch, n, need)
        for c in range(levels):
            tail_of_ascending(scratch, n, abs(scale), ranks[c, n], m[c, n], out[i, c])
