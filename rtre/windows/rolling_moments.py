"""Mean, variance and standard deviation of the last W values of one stream.

Stand-alone: `rtre.windows.moments` keeps those of an engine's lines, which have masked and amended
slots.
"""

from __future__ import annotations

import math

import numpy as np

from rtre.errors import DataError
from rtre.kernels import rolling_moments as kernels
from rtre.market import Float64
from rtre.windows.arena_bytes import float_arena, to_bytes
from rtre.windows.inputs import check_out, column, number, whole

LONGEST = 10_000_000
_KIND = b"RMO1"


class RollingMoments:
    """Rolling mean and deviation over a count window.

    Parameters
    ----------
    window : int
        Values kept, from 2 to ten million; 8 bytes each.
    min_obs : int
        Values needed before there is a number, from 1 to `window`; NaN until then.
    ddof : {1, 0}
        The variance divides by ``n - ddof``.

    Notes
    -----
    A value that is NaN, infinite or larger than 1e150 in size is skipped and counted in `skipped`:
    it takes no slot, and the results stay as they were. The same values give the same bits,
    however they are cut into calls. The error of the deviation is a few last digits, whatever the
    offset of the data and whatever has passed through the window; a spread below 1e-150 reads as
    none. Cost: a few ns a value in `push_many`, less than rolling mean and deviation take in C; a
    `push` is one call.

    Examples
    --------
    >>> moments = RollingMoments(3)
    >>> for x in (1.0, 2.0, 3.0, 7.0):
    ...     moments.push(x)
    >>> moments.mean, moments.variance
    (4.0, 7.0)
    """

    def __init__(self, window: int, min_obs: int = 2, *, ddof: int = 1) -> None:
        window = whole("window", window, 2, LONGEST)
        min_obs = whole("min_obs", min_obs, 1, window)
        ddof = whole("ddof", ddof, 0, 1)
        self._state = np.zeros(kernels.HEADER + window)
        self._state[: kernels.DDOF + 1] = window, min_obs, ddof
        self._state[[kernels.MEAN, kernels.VARIANCE, kernels.SD]] = math.nan

    def push(self, x: float) -> None:
        """Add one value; the oldest leaves a full window."""
        kernels.push(self._state, number("x", x))

    def push_many(self, values: Float64, out: Float64 | None = None) -> Float64:
        """Add `values`, shape (k,), oldest first; return mean and deviation after each, (k, 2).

        Parameters
        ----------
        values : (k,) float64
        out : (k, 2) float64, optional
            Written and returned; C-contiguous. None: a new array.

        Raises
        ------
        DataError
            A shape or type is wrong. Nothing was pushed then.
        """
        values = column(values)
        if out is None:
            out = np.empty((len(values), 2))
        check_out(out, (len(values), 2))
        kernels.push_many(self._state, values, out)
        return out

    def __len__(self) -> int:
        """Values in the window."""
        return int(self._state[kernels.COUNT])

    @property
    def mean(self) -> float:
        """Mean of the window; NaN before `min_obs` values."""
        return float(self._state[kernels.MEAN])

    @property
    def variance(self) -> float:
        """Variance of the window, divisor ``n - ddof``."""
        return float(self._state[kernels.VARIANCE])

    @property
    def std(self) -> float:
        """Square root of `variance`."""
        return float(self._state[kernels.SD])

    @property
    def skipped(self) -> int:
        """Values that were refused so far."""
        return int(self._state[kernels.SKIPPED])

    @property
    def restarts(self) -> int:
        """Times that the window was summed anew because a large value had left it."""
        return int(self._state[kernels.RESTARTS])

    def snapshot(self) -> bytes:
        """Return the whole state; `restore` goes on with the same bits."""
        return to_bytes(_KIND, self._state)

    @classmethod
    def restore(cls, data: bytes) -> RollingMoments:
        """Build a window from what `snapshot` gave.

        Raises
        ------
        DataError
            Not a snapshot of this kind, or damaged.
        """
        state = float_arena(_KIND, data, kernels.HEADER)
        settings = state[: kernels.COUNT + 1]
        if not np.array_equal(settings, np.trunc(settings)) or not np.isfinite(settings).all():
            raise DataError("the snapshot holds settings that are not whole numbers")
        window, min_obs, ddof, position, count = (int(x) for x in settings)
        if len(state) != kernels.HEADER + window or not (
            0 <= position < window and count in (window, position)
        ):
            raise DataError(f"the snapshot does not hold a window of {window} values")
        found = cls(window, min_obs, ddof=ddof)
        found._state = state
        return found
