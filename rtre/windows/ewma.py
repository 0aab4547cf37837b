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
        self._decay = decay
        self._state = np.zeros((lines.n_assets, ewma.STATE))
        for state, row in zip(self._state, lines.returns, strict=True):
            ewma.rebuild(state, row, lines.oldest, lines.head, decay)

    def roll(self, head: int, evicted: int) -> None:
        """Close ring column `head` and drop `evicted`."""
        ewma.roll(self._state, self._lines.returns, self._lines.amended, head, evicted, self._decay)

    def of(self, which: Int64) -> Float64:
        """Variance of P&L per interval, in currency squared, and count; shape (m, 2).

        `which` holds m lines, ascending.
        """
        lines = self._lines
        out = np.empty((len(which), 2))
        cut = int(np.searchsorted(which, lines.n_assets))
        symbols, books = which[:cut], which[cut:] - lines.n_assets
        for i in symbols[lines.amended[symbols] != 0]:  # late ticks changed a closed interval
            ewma.rebuild(self._state[i], lines.returns[i], lines.oldest, lines.head, self._decay)
        provisional = lines.returns[:, lines.head]
        ewma.variance(self._state, provisional, symbols, self._decay, out[:cut])
        out[:cut, 0] *= lines.exposure[symbols] ** 2
        ewma.of_books(
            books, lines.pnl, lines.missing, lines.rows, lines.oldest, self._decay, out[cut:]
        )
        return out
