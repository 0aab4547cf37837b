"""Mean and standard deviation of each line's P&L over the window."""

from __future__ import annotations

import numpy as np

from rtre.kernels import moments
from rtre.market import Float64, Int64
from rtre.windows.lines import Lines


class RollingMoments:
    """Add/remove moments of the symbols' returns; books are summed when asked.

    Cost: O(N) when an interval closes, O(1) per symbol and O(W) per book when read.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._sums = np.zeros((lines.n_assets, moments.SUMS))
        for sums, row in zip(self._sums, lines.returns, strict=True):
            moments.rebuild(sums, row, lines.head)

    def roll(self, head: int, evicted: int) -> None:
        """Close ring column `head` and drop `evicted`."""
        moments.roll(self._sums, self._lines.returns, self._lines.amended, head, evicted)

    def of(self, which: Int64, ddof: int) -> Float64:
        """Mean, standard deviation (divisor ``n - ddof``), both in currency, and count.

        Parameters
        ----------
        which : (m,) int64
            Lines, ascending.

        Returns
        -------
        (m, 3) float64
        """
        lines = self._lines
        out = np.empty((len(which), 3))
        cut = int(np.searchsorted(which, lines.n_assets))
        symbols, books = which[:cut], which[cut:] - lines.n_assets
        for i in symbols[lines.amended[symbols] != 0]:  # late ticks changed a closed interval
            moments.rebuild(self._sums[i], lines.returns[i], lines.head)
        moments.mean_and_std(
            self._sums, lines.returns[:, lines.head], symbols, ddof, out[:cut]
        )
        exposure = lines.exposure[symbols]
        out[:cut, 0] *= exposure
        out[:cut, 1] *= np.abs(exposure)
        moments.of_books(books, lines.pnl, lines.missing, ddof, out[cut:])
        return out
