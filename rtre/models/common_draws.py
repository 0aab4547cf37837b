"""Monte Carlo of a linear book with common random numbers.

`rtre.models.monte_carlo` runs its books on these.

The draws Z are made once and kept. A new price or trade changes the exposures v, and the P&L of all
draws is ``Z (L'v)``: VaR then moves with the book alone, not with the noise of new draws, and
one update costs one pass over Z in place of n^2 times as many random numbers and a matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from rtre.errors import DataError
from rtre.kernels.draws import pnl_of, weights_of
from rtre.market import Float64
from rtre.models.base import Tail
from rtre.models.historical import tail_of_sorted
from rtre.models.monte_carlo_joint import covariance_root
from rtre.order import tail_ranks

MOST_NUMBERS = 500_000_000  #: 4 GB of draws
MOST_SHARED = 25_000_000  #: 200 MB: normal draws up to here are made once for all books


def _normals(n: int, half: int, seed: int) -> Float64:
    return np.random.default_rng(seed).standard_normal((n, half))


_shared = lru_cache(maxsize=4)(_normals)


def worst_of_draws(pnl: Float64, confidences: Sequence[float]) -> list[Tail]:
    """VaR and ES of draws by their order statistics; sorts no more of them than these ask for."""
    n = len(pnl)
    ranks = [tail_ranks(n, confidence) for confidence in confidences]
    kept = min(n, max(max(r.k, r.low) for r in ranks))
    lowest = np.partition(pnl, kept - 1)[:kept] if kept < n else pnl
    losses = np.sort(0.0 - lowest)[::-1]
    return [tail_of_sorted(losses, r, n) for r in ranks]


class CommonDraws:
    """Kept draws of n factors that are jointly normal, or jointly Student-t.

    Parameters
    ----------
    n_assets : int
    draws : int, default 10_000
        Rounded up to even: each draw comes with its mirror image (antithetic), so the P&L of every
        book is exactly symmetric. Intervals are for independent draws, a little wide for these.
    seed : int
        The same seed gives the same numbers.
    df : float, optional
        A multivariate t: each draw times its own ``sqrt(df / chi2)``. None: normal.

    Notes
    -----
    Memory: ``8 n_assets draws / 2`` bytes, which equal draws share. The root of the covariance is
    the identity until `set_covariance`.
    """

    def __init__(
        self, n_assets: int, draws: int = 10_000, *, seed: int = 0, df: float | None = None
    ) -> None:
        half = (draws + 1) // 2
        if n_assets < 1 or draws < 100 or n_assets * half > MOST_NUMBERS:
            raise DataError(
                f"needs at least 1 asset and 100 draws and at most {MOST_NUMBERS} numbers, "
                f"got {n_assets!r} assets and {draws!r} draws"
            )
        self.n_assets, self.draws = n_assets, 2 * half
        kept = _shared if n_assets * half <= MOST_SHARED else _normals
        self._Z = kept(n_assets, half, seed)
        self._mix: Float64 | None = None
        if df is not None:
            # of a stream of its own: a book with one asset more has the same
            self._mix = np.sqrt(df / np.random.default_rng((seed, 1)).chisquare(df, half))
        self._root = np.eye(n_assets)
        self._weights, self._pnl = np.empty(n_assets), np.empty(2 * half)

    @property
    def factors(self) -> Float64:
        """The draws that are kept, (n, draws / 2), with the present covariance; a new array."""
        found = np.zeros_like(self._Z)
        for i, row in enumerate(self._root):
            pnl_of(self._Z[: i + 1], row[: i + 1], found[i])
        return found if self._mix is None else found * self._mix

    def mapped(self, factors: Float64) -> CommonDraws:
        """Return draws that are `factors`, (n, draws / 2), and their mirror images, as they are."""
        other = CommonDraws.__new__(CommonDraws)
        other.n_assets, other.draws = self.n_assets, self.draws
        other._Z, other._mix, other._root = factors, None, np.eye(self.n_assets)
        other._weights, other._pnl = np.empty(self.n_assets), np.empty(self.draws)
        return other

    def set_covariance(self, covariance: Float64) -> None:
        """Use this covariance of the returns, (n, n), from now on; cost: its Cholesky root.

        With `df` it is the scatter matrix, ``(df - 2) / df`` times the covariance.

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
        if self._mix is not None:
            self._pnl[:half] *= self._mix
        np.negative(self._pnl[:half], out=self._pnl[half:])
        return self._pnl

    def estimate(self, exposures: Float64, confidences: Sequence[float]) -> list[Tail]:
        """VaR and ES of `exposures` at each confidence, by the order statistics of the draws."""
        return worst_of_draws(self.pnl(exposures), confidences)
