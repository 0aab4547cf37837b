"""Location and scale of a Student-t sample, and the score of its degrees of freedom: the inner
loops of a fit.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.market import Float64

LOC, SCALE = 0, 1  #: of a state

COLLAPSED = 1e-9  #: a scale this small in a sample of spread one: too many values coincide
SETTLED = 1e-12  #: relative move; 1e-13 is within the rounding of sums over many values
STEPS = 2000


@kernel
def location_scale(x: Float64, df: float, state: Float64) -> None:
    """Bring location and scale of highest likelihood at a given `df` into `state`.

    Each step is a weighted mean and a weighted variance with weights (df+1)/(df + u^2). The step
    divides by the sum of the weights (Kent, Tyler and Vardi 1994), which converges faster than EM.

    Parameters
    ----------
    x : (n,) float64
        Finite, of a spread near one.
    state : (2,) float64
        Where to start, and where it ended; a scale of 0 where too many values coincide for a
        maximum to exist.

    Notes
    -----
    About the old location the three sums come out of one pass: with d = x - loc,
    ``sum w (x - new)^2 = sum w d^2 - (sum w d)^2 / sum w``. Four of each, added at the end, so that
    no sum waits for the one before.
    """
    n = len(x)
    loc, scale = state[LOC], state[SCALE]
    for _ in range(STEPS):
        spread = df * scale * scale
        w0, w1, w2, w3 = 0.0, 0.0, 0.0, 0.0
        a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
        b0, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0
        for i in range(0, n - 3, 4):
            d0, d1, d2, d3 = x[i] - loc, x[i + 1] - loc, x[i + 2] - loc, x[i + 3] - loc
            v0, v1 = 1.0 / (spread + d0 * d0), 1.0 / (spread + d1 * d1)
            v2, v3 = 1.0 / (spread + d2 * d2), 1.0 / (spread + d3 * d3)
            w0, w1, w2, w3 = w0 + v0, w1 + v1, w2 + v2, w3 + v3
            a0, a1, a2, a3 = a0 + v0 * d0, a1 + v1 * d1, a2 + v2 * d2, a3 + v3 * d3
            b0, b1 = b0 + v0 * d0 * d0, b1 + v1 * d1 * d1
            b2, b3 = b2 + v2 * d2 * d2, b3 + v3 * d3 * d3
        for i in range(n - n % 4, n):
            d = x[i] - loc
            v = 1.0 / (spread + d * d)
            w0, a0, b0 = w0 + v, a0 + v * d, b0 + v * d * d
        # the common factor (df + 1) scale^2 of all weights cancels
        w = (w0 + w1) + (w2 + w3)
        step = ((a0 + a1) + (a2 + a3)) / w
        square = ((b0 + b1) + (b2 + b3)) / w - step * step
        new_scale = math.sqrt(max(square, 0.0))
        moved = abs(step) + abs(new_scale - scale)
        loc, scale = loc + step, new_scale
        if not scale > COLLAPSED:
            scale = 0.0
            break
        if moved < SETTLED * scale:
            break
    state[LOC], state[SCALE] = loc, scale


@kernel
def score_data(x: Float64, df: float, loc: float, scale: float) -> float:
    """Mean over the sample of what the score of `df` takes from it, twice the derivative."""
    total = 0.0
    for i in range(len(x)):
        u = (x[i] - loc) / scale
        square = u * u
        total += (df + 1.0) / df * square / (df + square) - math.log1p(square / df)
    return total / len(x)
