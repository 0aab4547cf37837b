"""EWMA or GARCH variances of many symbols, stepped together."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rtre.errors import DataError
from rtre.kernels import garch as kernels
from rtre.market import Float64
from rtre.windows.inputs import floats, share


class VariancePanel:
    """The variance forecast of each of n symbols, one step of all in one call.

    ``h = omega + (alpha + gamma [e < 0]) e^2 + beta h``: for filtered scenarios, which standardise
    and rescale the returns of every symbol at each close, and for volatility displays.

    Parameters
    ----------
    first : (n,) array
        Variance forecast for the first shock; positive.
    omega, alpha, gamma, beta : (n,) array or float
        Not negative, but for ``gamma >= -alpha``. ``beta + alpha + gamma / 2 < 1`` is not asked
        for: an EWMA has exactly 1.

    Notes
    -----
    A shock that is NaN, infinite or beyond 1e150 leaves its symbol as it is and is counted in
    `masked`. The same bits as `rtre.kernels.garch.variance_path` on each series.

    Examples
    --------
    >>> panel = VariancePanel.ewma([1.0, 4.0], decay=0.5)
    >>> panel.update(np.array([3.0, np.nan])).tolist()
    [5.0, 4.0]
    >>> panel.deviations.round(3).tolist()
    [2.236, 2.0]
    """

    def __init__(
        self,
        first: ArrayLike,
        *,
        omega: ArrayLike,
        alpha: ArrayLike,
        gamma: ArrayLike = 0.0,
        beta: ArrayLike,
    ) -> None:
        start = floats("first", first)
        if start.ndim != 1:
            raise DataError(f"first must have one axis, got shape {start.shape}")
        self._state = state = np.empty((kernels.PANEL, len(start)))
        state[kernels.VARIANCE] = start
        for row, what, given in (
            (kernels.OMEGA, "omega", omega),
            (kernels.ALPHA, "alpha", alpha),
            (kernels.GAMMA, "gamma", gamma),
            (kernels.BETA, "beta", beta),
        ):
            value = floats(what, given)
            if np.ndim(given) and value.shape != start.shape:
                raise DataError(f"{what} must be a number or of shape {start.shape}")
            state[row] = value
        low = np.minimum(state[kernels.GAMMA] + state[kernels.ALPHA], state[kernels.ALPHA])
        for what, value in (
            ("omega", state[kernels.OMEGA]),
            ("alpha and alpha + gamma", low),
            ("beta", state[kernels.BETA]),
        ):
            if not np.all((value >= 0.0) & np.isfinite(value)):
                raise DataError(f"{what} must be finite and not negative")
        if not np.all((start > 0.0) & np.isfinite(start)):
            raise DataError("first must be finite and positive")
        self.masked = 0

    @classmethod
    def ewma(cls, first: ArrayLike, *, decay: float) -> VariancePanel:
        """Exponentially weighted variances, ``h = decay h + (1 - decay) e^2``."""
        decay = share("decay", decay)
        return cls(first, omega=0.0, alpha=1.0 - decay, beta=decay)

    def update(self, shocks: Float64) -> Float64:
        """Take in one shock of each symbol, (n,); return the variances, (n,).

        The result is a view: it changes with the next call.

        Raises
        ------
        DataError
            The shape is wrong.
        """
        shocks = floats("shocks", shocks)
        if shocks.shape != self._state.shape[1:]:
            raise DataError(f"shocks must have shape {self._state.shape[1:]}, got {shocks.shape}")
        self.masked += kernels.variance_step(self._state, shocks)
        return self.variances

    @property
    def variances(self) -> Float64:
        """Forecast for the next shock, (n,); a view."""
        return np.asarray(self._state[kernels.VARIANCE])

    @property
    def deviations(self) -> Float64:
        """Roots of `variances`, (n,); a new array."""
        return np.asarray(np.sqrt(self._state[kernels.VARIANCE]))
