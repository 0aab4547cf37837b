"""EWMA covariance of many assets, lower triangle only, in place.

    S = decay S + (1 - decay) x x',        S = 0 at the start.

The decay is fused with the rank-1 update, row by row, so the triangle passes through the caches
once. Rows are packed, row i of i + 1 entries after the rows before it: half the memory of a square.
(Measured against a square of which only the lower triangle is written: the same up to N = 250, a
fifth faster at 500 and 1000. Storing S / decay^t and only adding, "lazy decay", gains nothing.)

*Start.* S is zero at first, so it holds the weight ``w = 1 - decay^k`` after k updates. Each asset
has its own w, and results are ``S_ij / sqrt(w_i w_j)``: unbiased for assets seen together, no
initial value to guess.

*Assets not seen.* An entry that is NaN is masked. Its variance keeps; its covariance with an asset
that was seen fades by ``sqrt(decay)``; with another masked one it keeps. In matrices:
``S = D S D + (1 - decay) x x'`` with D = sqrt(decay) for the seen, 1 for the masked, and x = 0 for
these. This is positive semidefinite for ever. The plainer rule, to leave masked rows alone, is
not: with two assets of correlation one, a variance that fades under a covariance that does not is a
correlation above one after the first such update.
"""

from __future__ import annotations

import math

from rtre.kernels.jit import inlined, kernel
from rtre.market import Float64

ASSETS, DECAY, UPDATES, MASKED = 0, 1, 2, 3
HEADER = 4
WEIGHTS, FIRST, SECOND, THIRD, TRIANGLE = range(5)  #: its vectors; three of scratch

LARGEST = 1e150  #: in size; what lies beyond counts as NaN: its square overflows


def length(n: int) -> int:
    """Return the float64 numbers in the arena of n assets."""
    return HEADER + TRIANGLE * n + n * (n + 1) // 2


@inlined
def at(F: Float64, k: int) -> int:
    """Where vector k begins; not the vector itself, for no kernel returns an array."""
    return HEADER + k * int(F[ASSETS])


@kernel
def update(F: Float64, x: Float64) -> int:
    """Add one vector of returns of the same interval; return how many entries were masked.

    Parameters
    ----------
    F : (length(n),) float64
        State; changed in place.
    x : (n,) float64
        Returns about a mean of zero; NaN, infinite or beyond 1e150: masked.
    """
    n, masked = int(F[ASSETS]), 0
    for i in range(n):
        if not abs(x[i]) <= LARGEST:
            masked += 1
    if masked > 0:
        _update_seen(F, x)
    else:
        weights, S = F[at(F, WEIGHTS) : at(F, FIRST)], F[at(F, TRIANGLE) :]
        decay = F[DECAY]
        gain = 1.0 - decay
        start = 0
        for i in range(n):
            row = S[start : start + i + 1]
            a = gain * x[i]
            for j in range(len(row)):
                row[j] = decay * row[j] + a * x[j]
            weights[i] = decay * weights[i] + gain
            start += i + 1
    F[UPDATES] += 1.0
    F[MASKED] += masked
    return masked


@kernel
def _update_seen(F: Float64, x: Float64) -> None:
    """`update` with masked entries: factors a column instead of branches, so that it vectorises.

    Pairs that were both seen go through the same operations as in `update`.
    """
    n, decay = int(F[ASSETS]), F[DECAY]
    gain, root = 1.0 - decay, math.sqrt(decay)
    weights, S = F[at(F, WEIGHTS) : at(F, FIRST)], F[at(F, TRIANGLE) :]
    by_seen, by_masked = F[at(F, FIRST) : at(F, SECOND)], F[at(F, SECOND) : at(F, THIRD)]
    known = F[at(F, THIRD) : at(F, TRIANGLE)]
    for j in range(n):
        seen = abs(x[j]) <= LARGEST
        by_seen[j] = decay if seen else root
        by_masked[j] = root if seen else 1.0
        known[j] = x[j] if seen else 0.0
        if seen:
            weights[j] = decay * weights[j] + gain
    start = 0
    for i in range(n):
        row = S[start : start + i + 1]
        if abs(x[i]) <= LARGEST:
            a = gain * x[i]
            for j in range(len(row)):
                row[j] = by_seen[j] * row[j] + a * known[j]
        else:
            for j in range(len(row)):
                row[j] = by_masked[j] * row[j]
        start += i + 1


@kernel
def update_row(F: Float64, asset: int, x: float, others: Float64) -> None:
    """Add a return of one asset alone: its row and column fade by `decay`, the rest stays.

    Parameters
    ----------
    others : (n,) float64
        Returns that count as made together with `x`; zeros where there are none. Entry `asset` is
        not read.
    """
    if not abs(x) <= LARGEST:
        F[MASKED] += 1.0
        return
    n, decay = int(F[ASSETS]), F[DECAY]
    gain = 1.0 - decay
    weights, S = F[at(F, WEIGHTS) : at(F, FIRST)], F[at(F, TRIANGLE) :]
    start = asset * (asset + 1) // 2
    row = S[start : start + asset]
    for j in range(len(row)):
        row[j] = decay * row[j] + gain * x * others[j]
    place = start + asset
    S[place] = decay * S[place] + gain * x * x
    for i in range(asset + 1, n):
        place += i
        S[place] = decay * S[place] + gain * x * others[i]
    weights[asset] = decay * weights[asset] + gain
    F[UPDATES] += 1.0


@kernel
def quadratic(F: Float64, v: Float64, out: Float64) -> None:
    """Write ``v' C v`` of the corrected covariance C, and a bound of the size of its terms.

    Parameters
    ----------
    v : (n,) float64
    out : (2,) float64
        The value, NaN where v is not zero on an asset that was never seen; and
        ``(sum of |v_i| sd_i)^2``, in whose last digits lies the rounding of the value.

    Notes
    -----
    Summed by columns, an axpy for each row: a plain dot product of each row would be a chain of
    additions, which no compiler may reorder without changing the number.
    """
    n = int(F[ASSETS])
    weights, S = F[at(F, WEIGHTS) : at(F, FIRST)], F[at(F, TRIANGLE) :]
    u, columns = F[at(F, FIRST) : at(F, SECOND)], F[at(F, SECOND) : at(F, THIRD)]
    total, size = 0.0, 0.0
    for i in range(n):
        columns[i] = 0.0
        u[i] = 0.0
        if v[i] != 0.0:
            u[i] = v[i] / math.sqrt(weights[i]) if weights[i] > 0.0 else math.nan
    start = 0
    for i in range(n):
        row, part = S[start : start + i], columns[:i]
        a = 2.0 * u[i]
        for j in range(i):
            part[j] += a * row[j]
        own = S[start + i]
        total += u[i] * u[i] * own
        size += abs(u[i]) * math.sqrt(own)
        start += i + 1
    for j in range(n):
        total += columns[j] * u[j]
    out[0], out[1] = total, size * size


@kernel
def dense(F: Float64, out: Float64) -> None:
    """Write the corrected covariance, (n, n), both triangles; NaN for an asset never seen."""
    n = int(F[ASSETS])
    weights, S = F[at(F, WEIGHTS) : at(F, FIRST)], F[at(F, TRIANGLE) :]
    scale = F[at(F, FIRST) : at(F, SECOND)]
    for i in range(n):
        scale[i] = 1.0 / math.sqrt(weights[i]) if weights[i] > 0.0 else math.nan
    start = 0
    for i in range(n):
        for j in range(i + 1):
            out[i, j] = S[start + j] * scale[i] * scale[j]
            out[j, i] = out[i, j]
        start += i + 1
