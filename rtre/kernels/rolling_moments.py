"""Rolling mean and variance of a stream over its last W values, exact to a few last digits.

Theory of operation. Sums are taken of ``x - centre``, not of x, so that an offset of the data
costs no digits. Three things keep them true for ever:

* *A free restart.* Beside the window's sums (s1, s2 about `CENTRE`) runs a second pair (f1, f2
  about `NEXT_CENTRE`) over the values since the ring's position was last 0. When the ring comes
  round, that pair is the window's sums, made by additions alone: it takes their place, centred on
  the mean of the time before. So rounding lives for W values at most, and no tick pays O(W) for it.
* *A guard.* What a sum of squares loses, it loses in units of the largest value it has had. `PEAK`
  is that value since the last restart; once the variance is below a 64th of it, the ring is summed
  again about its own mean. Comparing with the value that leaves alone (e^2 > 1e3 v) is not enough:
  spikes that leave one after the other, each 30 times smaller than the last, pass that test each
  time and leave the rounding of the first behind.
* *No repetition.* After such a sum the guard is silent. The centre is the double nearest to the
  mean, up to rounding that is small beside the spread; values lie on the grid of doubles, none
  nearer to the mean than the centre does, hence s2 <= 2 v.

A value that is not a number, infinite or beyond 1e150 is skipped and counted: it takes no slot.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import kernel
from rtre.market import Float64

WINDOW, MIN_OBS, DDOF = 0, 1, 2  #: settings
POSITION, COUNT = 3, 4  #: slot that is written next; values in the window
SKIPPED, RESTARTS = 5, 6  #: values refused; times that the guard summed the ring
CENTRE, S1, S2, PEAK = 7, 8, 9, 10
NEXT_CENTRE, F1, F2 = 11, 12, 13
MEAN, VARIANCE, SD = 14, 15, 16  #: of the window now; NaN for fewer than MIN_OBS values
HEADER = 24  #: the ring follows

LARGEST = 1e150  #: in size: squares of differences, ten million of them, do not overflow
LOSS = 64.0  #: 6 of 53 bits. Heavy-tailed returns (t, 4 df) never reach it for a window of 50
OUT_MEAN, OUT_SD = 0, 1  #: columns of a result


@kernel
def restart(F: Float64) -> None:
    """Sum the ring afresh, about its own mean. O(W).

    The first pass is taken about the newest value: a window of equal values has exactly its value
    as mean, and exactly no variance.
    """
    n = int(F[COUNT])
    newest = int(F[POSITION]) - 1
    if newest < 0:
        newest = n - 1
    centre = F[HEADER + newest]
    total = 0.0
    for k in range(HEADER, HEADER + n):
        total += F[k] - centre
    centre += total / n
    s1, s2 = 0.0, 0.0
    for k in range(HEADER, HEADER + n):
        d = F[k] - centre
        s1 += d
        s2 += d * d
    F[CENTRE], F[S1], F[S2], F[PEAK] = centre, s1, s2, s2
    F[RESTARTS] += 1.0


@kernel
def push(F: Float64, x: float) -> None:
    """Push one value: all of the method, and the definition of what `push_many` does faster.

    Parameters
    ----------
    F : (HEADER + W,) float64
        The whole state; changed in place.
    """
    if not abs(x) <= LARGEST:  # NaN as well
        F[SKIPPED] += 1.0
        return
    window, position, n = int(F[WINDOW]), int(F[POSITION]), int(F[COUNT])
    if n == window:
        old = F[HEADER + position]
        F[S1] += x - old
        F[S2] += (x - old) * ((x - F[CENTRE]) + (old - F[CENTRE]))
    else:
        if n == 0:
            F[CENTRE] = F[NEXT_CENTRE] = x
        n += 1
        F[COUNT] = n
        F[S1] += x - F[CENTRE]
        F[S2] += (x - F[CENTRE]) * (x - F[CENTRE])
    F[HEADER + position] = x
    F[F1] += x - F[NEXT_CENTRE]
    F[F2] += (x - F[NEXT_CENTRE]) * (x - F[NEXT_CENTRE])
    position += 1
    if position == window:
        position = 0
        F[CENTRE], F[S1], F[S2], F[PEAK] = F[NEXT_CENTRE], F[F1], F[F2], F[F2]
        F[NEXT_CENTRE] = F[CENTRE] + F[S1] * (1.0 / n)
        F[F1], F[F2] = 0.0, 0.0
    F[POSITION] = position
    F[PEAK] = max(F[PEAK], F[S2])
    if F[PEAK] > LOSS * (F[S2] - F[S1] * F[S1] * (1.0 / n)):
        restart(F)
    if n >= F[MIN_OBS]:
        squares = F[S2] - F[S1] * F[S1] * (1.0 / n)
        per_free = 1.0 / (n - F[DDOF]) if n > F[DDOF] else math.nan
        F[MEAN] = F[CENTRE] + F[S1] * (1.0 / n)
        F[VARIANCE] = max(squares, 0.0) * per_free
        F[SD] = math.sqrt(F[VARIANCE])


@kernel
def push_many(F: Float64, values: Float64, out: Float64) -> None:
    """Push `values`, oldest first; write mean and deviation after each.

    Parameters
    ----------
    F : (HEADER + W,) float64
        The whole state; changed in place.
    values : (k,) float64
    out : (k, 2) float64
        Mean and standard deviation (divisor ``n - ddof``) of the window after each value.

    Notes
    -----
    O(1) for a value; O(W) where the guard fires.
    """
    done = 0
    while done < len(values):
        done += _push_plain(F, values[done:], out[done:])
        if done < len(values):
            push(F, values[done])
            out[done, OUT_MEAN], out[done, OUT_SD] = F[MEAN], F[SD]
            done += 1


@kernel
def _push_plain(F: Float64, values: Float64, out: Float64) -> int:
    """`push` for values that a full window takes without tripping the guard; return how many.

    The same operations in the same order, so the same bits, with the sums in registers: through
    the arena each would pay a store and a load for every value. A value that needs more is left to
    `push`, before anything of it is stored. (With each turn of the ring left to `push` as well, a
    value cost 1.6 times as much at W = 50 as at W = 1000.)
    """
    window, position, n = int(F[WINDOW]), int(F[POSITION]), int(F[COUNT])
    if n < window:
        return 0
    ring, last = F[HEADER : HEADER + window], window - 1
    centre, s1, s2, peak = F[CENTRE], F[S1], F[S2], F[PEAK]
    next_centre, f1, f2 = F[NEXT_CENTRE], F[F1], F[F2]
    per_n, per_free = 1.0 / n, 1.0 / (n - F[DDOF])
    variance, done = F[VARIANCE], 0
    for i in range(len(values)):
        x = values[i]
        if not abs(x) <= LARGEST:
            break
        g1 = f1 + (x - next_centre)
        g2 = f2 + (x - next_centre) * (x - next_centre)
        if position == last:
            squares = g2 - g1 * g1 * per_n
            if g2 > LOSS * squares:
                break
            ring[position] = x
            position = 0
            centre, s1, s2, peak = next_centre, g1, g2, g2
            next_centre = centre + s1 * per_n
            f1, f2 = 0.0, 0.0
        else:
            old = ring[position]
            t1 = s1 + (x - old)
            t2 = s2 + (x - old) * ((x - centre) + (old - centre))
            high = max(peak, t2)
            squares = t2 - t1 * t1 * per_n
            if high > LOSS * squares:
                break
            ring[position] = x
            position += 1
            s1, s2, peak, f1, f2 = t1, t2, high, g1, g2
        variance = max(squares, 0.0) * per_free
        out[i, OUT_MEAN] = centre + s1 * per_n
        out[i, OUT_SD] = math.sqrt(variance)
        done = i + 1
    if done > 0:
        F[POSITION] = position
        F[CENTRE], F[S1], F[S2], F[PEAK] = centre, s1, s2, peak
        F[NEXT_CENTRE], F[F1], F[F2] = next_centre, f1, f2
        F[MEAN], F[VARIANCE] = out[done - 1, OUT_MEAN], variance
        F[SD] = out[done - 1, OUT_SD]
    return done
