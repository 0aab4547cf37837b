"""Mean and standard deviation of each line's P&L over the window."""

from __future__ import annotations

import numpy as np

from rtre.kernels import moments
from rtre.market import Float64, Int64
from rtre.windows.lines import Lines


class LineMoments:
    """Add/remove moments of the symbols' returns; books are summed when asked.

    Cost: O(N) when an interval closes, O(1) per symbol and O(W) per book when read.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.state = np.zeros((lines.n_assets, moments.SUMS))
        self._out = np.empty((len(lines), moments.MOMENTS))
        for sums, row in zip(self.state, lines.returns, strict=True):
            moments.rebuild(sums, row, lines.head)

    def roll(self, evicted: int) -> None:
        """Close the open ring column and drop `evicted`."""
        moments.roll(self._lines.floats, self._lines.ints, self.state, evicted)

    def of(self, which: Int64, ddof: int) -> Float64:
        """Mean, standard deviation (divisor ``n - ddof``), both in currency, and count.

        Parameters
        ----------
        which : (m,) int64
            Lines.

        Returns
        -------
        (m, 3) float64
            Valid until the next call.
        """
        lines, out = self._lines, self._out
        moments.of_lines(lines.floats, lines.ints, self.state, which, ddof, out)
        return out[: len(which)]
