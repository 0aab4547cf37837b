"""Monte Carlo of a linear book with common random numbers.

The draws Z are made once and kept. A new price or trade changes the exposures v, and the P&L of all
draws is ``Z (L'v)``: VaR then moves with the book alone, not with the noise of new draws, and
one update costs one pass over Z in place of n^2 times as many random numbers and a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtre.errors import DataError
from rtre.kernels.draws import pnl_of, weights_of
from rtre.market import Float64
from rtre.models.base import Tail
from rtre.models.historical import Historical
from rtre.models.monte_carlo import covariance_root

MOST_NUMBERS = 500_000_000  #: 4 GB of draws


class CommonDraws:
    """Kept normal draws of n jointly normal factors.

    Parameters
    ----------
    n_assets : int
    draws : int, default 10_000
        Rounded up to even: each draw comes with its mirror image (antithetic), so the P&L of every
        book is exactly symmetric. Intervals are for independent draws, a little wide for these.
    seed : int
        The same seed gives the same numbers.

    Notes
    -----
    Memory: ``8 n_assets draws / 2`` bytes. The root of the covariance is the identity until
    `set_covariance`.
    """

    def __init__(self, n_assets: int, draws: int = 10_000, *, seed: int = 0) -> None:
        half = (draws + 1) // 2
        if n_assets < 1 or draws < 100 or n_assets * half > MOST_NUMBERS:
            raise DataError(
                f"needs at least 1 asset and 100 draws and at most {MOST_NUMBERS} numbers, "
                f"got {n_assets!r} assets and {draws!r} draws"
            )
        self.n_assets, self.draws = n_assets, 2 * half
        self._Z = np.random.default_rng(seed).standard_normal((n_assets, half))
        self._root = np.eye(n_assets)
        self._weights, self._pnl = np.empty(n_assets), np.empty(2 * half)

    def set_covariance(self, covariance: Float64) -> None:
        """Use this covariance of the returns, (n, n), from now on; cost: its Cholesky root.

        Raises
        ------
        DataError
            Not a covariance of `n_assets` assets; see `covariance_root`.
        """
        root = covariance_root(covariance)
        if len(root) != self.n_assets:
            raise DataError(f"a covariance of {self.n_assets} assets is needed, got {len(root)}")
        self._root = np.ascontiguousarray(root)

    def pnl(self, exposures: Float64) -> Float64:
        """P&L of each draw, (draws,), of signed currency values `exposures`, (n,).

        Gains positive; valid until the next call; the second half mirrors the first.

        Raises
        ------
        DataError
            The shape is wrong, or a value is not finite.
        """
        v = np.array(exposures, np.float64)
        if v.shape != (self.n_assets,) or not np.isfinite(v).all():
            raise DataError(f"exposures must be finite and of shape ({self.n_assets},)")
        half = self.draws // 2
        weights_of(self._root, v, self._weights)
        pnl_of(self._Z, self._weights, self._pnl[:half])
        np.negative(self._pnl[:half], out=self._pnl[half:])
        return self._pnl

    def estimate(self, exposures: Float64, confidences: Sequence[float]) -> list[Tail]:
        """VaR and ES of `exposures` at each confidence, by the order statistics of the draws."""
        return Historical().estimate(self.pnl(exposures), confidences)
