"""EWMA covariance matrix of many assets, kept current in place."""

from __future__ import annotations

import math

import numpy as np

from rtre.errors import DataError
from rtre.kernels import covariance as kernels
from rtre.market import Float64
from rtre.windows.arena_bytes import float_arena, to_bytes
from rtre.windows.inputs import floats, number, share, whole

MOST_ASSETS = 10_000
_KIND = b"COV1"


class EwmaCovariance:
    """Exponentially weighted covariance of returns about a mean of zero (RiskMetrics 1996).

    ``S = decay S + (1 - decay) x x'`` from S = 0, read as ``S_ij / sqrt(w_i w_j)`` with w the
    weight that an asset's history has had, ``1 - decay^k`` after k returns.

    Parameters
    ----------
    n : int
        Assets, from 1 to 10 000; memory is ``4 n^2`` bytes.
    decay : float
        Between 0 and 1, both excluded; 0.94 for days.

    Notes
    -----
    A return that is NaN, infinite or beyond 1e150 is masked and counted: the asset's variance
    keeps, its covariances with the assets that were seen fade by ``sqrt(decay)``. That rule alone
    keeps the matrix positive semidefinite; see `rtre.kernels.covariance`.

    Cost of `update`: ``n^2 / 2`` multiply-adds, vectorised; from about 1000 assets on the matrix
    leaves the caches: update per bar there, not per tick.

    Examples
    --------
    >>> covariance = EwmaCovariance(2, 0.5)
    >>> covariance.update(np.array([1.0, 2.0]))
    0
    >>> covariance.to_dense().round(12).tolist()
    [[1.0, 2.0], [2.0, 4.0]]
    >>> covariance.variance_of(np.array([2.0, -1.0]))
    0.0
    """

    def __init__(self, n: int, decay: float) -> None:
        n, decay = whole("n", n, 1, MOST_ASSETS), share("decay", decay)
        self.n, self.decay = n, decay
        self._state = np.zeros(kernels.length(n))
        self._state[kernels.ASSETS], self._state[kernels.DECAY] = n, decay
        self._alone, self._out = np.zeros(n), np.empty(2)

    def _vector(self, values: Float64, what: str) -> Float64:
        vector = floats(what, values)
        if vector.shape != (self.n,):
            raise DataError(f"{what} must have shape ({self.n},), got {vector.shape}")
        return vector

    def update(self, x: Float64) -> int:
        """Add returns of one interval, shape (n,); return how many were masked.

        Raises
        ------
        DataError
            The shape is wrong.
        """
        return kernels.update(self._state, self._vector(x, "x"))

    def update_row(self, asset: int, x: float, others: Float64 | None = None) -> None:
        """Add a return of one asset alone: its row and column fade by `decay`, the rest stays.

        Parameters
        ----------
        asset : int
        x : float
            Its return; one that is not finite is counted and changes nothing.
        others : (n,) float64, optional
            Returns of the others that count as made together with `x`, zero or NaN for none. None:
            all zero, and then the matrix stays positive semidefinite. With returns that need not
            hold, because their own block is not updated; `variance_of` refuses a negative variance.

        Notes
        -----
        Cost: O(n), against O(n^2) for `update`.
        """
        asset = whole("asset", asset, 0, self.n - 1)
        together = self._alone
        if others is not None:
            given = self._vector(others, "others")
            together = np.where(np.abs(given) <= kernels.LARGEST, given, 0.0)
        kernels.update_row(self._state, asset, number("x", x), together)

    def variance_of(self, v: Float64) -> float:
        """``v' C v``: variance of a portfolio of exposures `v`, shape (n,), in their unit squared.

        NaN where `v` is not zero on an asset without a return so far. Cost: ``n^2 / 2``
        multiply-adds.

        Raises
        ------
        DataError
            `v` has the wrong shape or is not finite; or the variance is negative by more than
            rounding, which `update_row` with returns of the others can bring about.
        """
        v = self._vector(v, "v")
        if not np.isfinite(v).all():
            raise DataError("v must be finite")
        kernels.quadratic(self._state, v, self._out)
        variance, size = self._out.tolist()
        if variance < -1e-12 * size:  # n^2 terms of at most that size, in 16 digits
            raise DataError(f"the covariance is indefinite: v' C v = {variance!r}")
        return math.nan if math.isnan(variance) else max(variance, 0.0)

    def to_dense(self) -> Float64:
        """Return the covariance, shape (n, n), symmetric; NaN for an asset without a return."""
        out = np.empty((self.n, self.n))
        kernels.dense(self._state, out)
        return out

    @property
    def updates(self) -> int:
        """Updates made, of rows included."""
        return int(self._state[kernels.UPDATES])

    @property
    def masked(self) -> int:
        """Returns masked so far."""
        return int(self._state[kernels.MASKED])

    def snapshot(self) -> bytes:
        """Return the whole state; `restore` goes on with the same bits."""
        scratch = slice(*(kernels.at(self._state, k) for k in (kernels.FIRST, kernels.TRIANGLE)))
        self._state[scratch] = 0.0
        return to_bytes(_KIND, self._state)

    @classmethod
    def restore(cls, data: bytes) -> EwmaCovariance:
        """Build a covariance from what `snapshot` gave.

        Raises
        ------
        DataError
            Not a snapshot of this kind, or damaged.
        """
        state = float_arena(_KIND, data, kernels.HEADER)
        n, decay = state[[kernels.ASSETS, kernels.DECAY]].tolist()
        if not n.is_integer() or len(state) != kernels.length(int(n)):  # inf and NaN are not whole
            raise DataError(f"the snapshot does not hold a covariance of {n!r} assets")
        found = cls(int(n), decay)
        found._state = state
        return found
