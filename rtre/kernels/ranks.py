"""Concordance of pairs of observations, from which Kendall's tau is made."""

from __future__ import annotations

from rtre.kernels.jit import kernel
from rtre.market import Float64


@kernel
def concordance(returns: Float64, out: Float64) -> None:
    """Write for each two assets the concordant less the discordant pairs of observations.

    Parameters
    ----------
    returns : (assets, n) float64
        C-contiguous and finite.
    out : (assets, assets) float64
        ``out[i, i]`` are the pairs that are not tied in asset i.

    Notes
    -----
    Cost: ``assets^2 n^2 / 4`` products of signs, without the GIL.
    """
    assets, n = returns.shape
    for i in range(assets):
        a = returns[i]
        for j in range(i + 1):
            b = returns[j]
            total = 0
            for s in range(1, n):
                for t in range(s):
                    x, y = a[s] - a[t], b[s] - b[t]
                    total += (int(x > 0.0) - int(x < 0.0)) * (int(y > 0.0) - int(y < 0.0))
            out[i, j] = out[j, i] = total
