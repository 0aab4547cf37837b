"""Exponentially weighted variance of each line's P&L over the window."""

from __future__ import annotations

import numpy as np

from rtre.kernels import ewma
from rtre.market import Float64, Int64
from rtre.windows.lines import Lines


class EwmaVariance:
    """EWMA second moment of the symbols' returns by recursion; books are summed when asked.

    Cost: O(N) when an interval closes, O(1) per symbol and O(W) per book when read.
    """

    def __init__(self, lines: Lines, decay: float) -> None:
        self._lines = lines
        self._decay = decay = float(decay)
        self.state = np.zeros((lines.n_assets, ewma.STATE))
        self._out = np.empty((len(lines), ewma.RESULTS))
        for state, row in zip(self.state, lines.returns, strict=True):
            ewma.rebuild(state, row, lines.oldest, lines.head, decay)

    def roll(self, evicted: int) -> None:
        """Close the open ring column and drop `evicted`."""
        ewma.roll(self._lines.floats, self._lines.ints, self.state, evicted, self._decay)

    def of(self, which: Int64) -> Float64:
        """Variance of P&L per interval, in currency squared, and count, shape (m, 2).

        `which` holds m lines. The result is valid until the next call.
        """
        lines, out = self._lines, self._out
        ewma.of_lines(lines.floats, lines.ints, self.state, which, self._decay, out)
        return out[: len(which)]
