"""P&L of a linear book under kept standard normal draws: ``Z (L'v)``, never ``(Z L') v``.

With L the root of the covariance, the second product is that of a matrix with a matrix, the first
that of a vector with a matrix, and it is one pass over Z.
"""

from __future__ import annotations

from rtre.kernels.jit import kernel
from rtre.market import Float64

BLOCK = 1024  #: draws at a time: their P&L stays in the first-level cache over all factors


@kernel
def weights_of(root: Float64, exposures: Float64, out: Float64) -> None:
    """Write ``L'v``, (n,), for a lower-triangular `root` (n, n); its upper part is not read.

    By rows of L, an axpy each: the same additions in the same order, and contiguous.
    """
    n = len(exposures)
    for j in range(n):
        out[j] = 0.0
    for i in range(n):
        row, part = root[i, : i + 1], out[: i + 1]
        v = exposures[i]
        for j in range(len(part)):
            part[j] += v * row[j]


@kernel
def pnl_of(Z: Float64, weights: Float64, out: Float64) -> None:
    """Write the P&L of each draw, ``sum over factors of weights[j] * Z[j]``.

    Parameters
    ----------
    Z : (n, draws) float64
        Standard normal draws, one row a factor.
    weights : (n,) float64
    out : (draws,) float64

    Notes
    -----
    Four factors a pass, so that the sums are read and written a quarter as often.
    """
    n, draws = Z.shape
    for start in range(0, draws, BLOCK):
        end = min(start + BLOCK, draws)
        total = out[start:end]
        for s in range(len(total)):
            total[s] = 0.0
        whole = n - n % 4
        for j in range(0, whole, 4):
            z0, z1, z2, z3 = Z[j], Z[j + 1], Z[j + 2], Z[j + 3]
            z0, z1, z2, z3 = z0[start:end], z1[start:end], z2[start:end], z3[start:end]
            w0, w1, w2, w3 = weights[j], weights[j + 1], weights[j + 2], weights[j + 3]
            for s in range(len(total)):
                total[s] += (w0 * z0[s] + w1 * z1[s]) + (w2 * z2[s] + w3 * z3[s])
        for j in range(whole, n):
            z0, w0 = Z[j, start:end], weights[j]
            for s in range(len(total)):
                total[s] += w0 * z0[s]
