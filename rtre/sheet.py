"""All figures of a report in one array, so that to copy a report is to copy that array.

A model's estimates are kept on a sheet; a report is a copy of it, which one kernel finishes. What a
reader does not ask for is never cut out.

The sheet is 1-D and its numbers have 8 bytes: float64, or the bits of an int64. It starts with a
header, from which Python and kernels (`rtre.kernels.snapshot`) know where everything lies:

==================  =======  =================================================================
block               type     holds
==================  =======  =================================================================
values   (L, C, 5)  float64  var, es, var_low, var_high, es_se per line and confidence
peaks    (L, C, 2)  float64  highest var and es since the report before
exposures (L,)      float64  signed value in currency; NaN while a price is missing
symbols  (2, N)     float64  last prices; returns of the open interval
lines    (4, L)     int64    observations; bits of `rtre.market.Quality`; receipt time of the newest
                             tick, for a book of the input that has waited longest, 0 = never;
                             working space
verdicts (6,)       int64    ticks by verdict
==================  =======  =================================================================

L lines, N assets, C confidences.
"""

from __future__ import annotations

from functools import cached_property

import attrs
import numpy as np

from rtre.market import Float64, Int64

LINES, ASSETS, LEVELS, AT_VALUES, AT_PEAKS, AT_EXPOSURES, AT_SYMBOLS, AT_LINES = range(8)
AT_VERDICTS, HEADER = 8, 9
RESULTS = 5  #: var, es, var_low, var_high, es_se
N_OBS, QUALITIES, RECEIVED, WORK = 0, 1, 2, 3  #: rows of `lines`
LINE_ROWS = 4
VERDICTS = 6


@attrs.frozen(eq=False, slots=False)
class Sheet:
    """The array, and views of its parts; each is made when it is first asked for."""

    block: Float64

    @classmethod
    def empty(cls, n_assets: int, n_books: int, levels: int) -> Sheet:
        """Make a sheet without figures: floats are NaN, whole numbers 0."""
        lines = n_assets + n_books
        sizes = (
            HEADER, lines * levels * RESULTS, lines * levels * 2, lines, 2 * n_assets,
            LINE_ROWS * lines, VERDICTS,
        )  # fmt: skip
        *starts, size = np.cumsum(sizes).tolist()
        block = np.full(size, np.nan)
        whole = block.view(np.int64)
        whole[starts[AT_LINES - AT_VALUES] :] = 0
        whole[:HEADER] = lines, n_assets, levels, *starts
        return cls(block)

    @classmethod
    def of(
        cls,
        values: Float64,
        *,
        prices: Float64,
        changes: Float64,
        exposures: Float64,
        n_obs: Int64,
        qualities: Int64,
        received_ns: Int64,
    ) -> Sheet:
        """Make a sheet of given figures, as of `RiskReport`: for a report made by hand."""
        lines, levels, _ = values.shape
        sheet = cls.empty(len(prices), lines - len(prices), levels)
        sheet.values[:], sheet.symbols[:] = values, (prices, changes)
        sheet.exposures[:], sheet.n_obs[:] = exposures, n_obs
        sheet.qualities[:], sheet.received_ns[:] = qualities, received_ns
        return sheet.frozen()

    def copy(self) -> Sheet:
        """Return a sheet of the same figures."""
        return Sheet(self.block.copy())

    def frozen(self) -> Sheet:
        """Return the same figures for everybody to read; whoever has the old sheet drops it."""
        self.block.setflags(write=False)
        return Sheet(self.block)

    @cached_property
    def _whole(self) -> Int64:
        return self.block.view(np.int64)

    def _floats(self, at: int, *shape: int) -> Float64:
        start = int(self._whole[at])
        return self.block[start : start + int(np.prod(shape))].reshape(shape)

    def _row(self, row: int) -> Int64:
        lines = int(self._whole[LINES])
        start = int(self._whole[AT_LINES]) + row * lines
        return self._whole[start : start + lines]

    @cached_property
    def _n(self) -> tuple[int, int, int]:
        lines, assets, levels = self._whole[: LEVELS + 1].tolist()
        return lines, assets, levels

    @cached_property
    def values(self) -> Float64:
        """(L, C, 5) var, es, var_low, var_high, es_se."""
        lines, _, levels = self._n
        return self._floats(AT_VALUES, lines, levels, RESULTS)

    @cached_property
    def peaks(self) -> Float64:
        """(L, C, 2) highest var and es since the report before."""
        lines, _, levels = self._n
        return self._floats(AT_PEAKS, lines, levels, 2)

    @cached_property
    def exposures(self) -> Float64:
        """(L,) signed values in currency."""
        return self._floats(AT_EXPOSURES, self._n[0])

    @cached_property
    def symbols(self) -> Float64:
        """(2, N) last prices; returns of the open interval."""
        return self._floats(AT_SYMBOLS, 2, self._n[1])

    @cached_property
    def n_obs(self) -> Int64:
        """(L,) observations."""
        return self._row(N_OBS)

    @cached_property
    def qualities(self) -> Int64:
        """(L,) bits of `Quality`."""
        return self._row(QUALITIES)

    @cached_property
    def received_ns(self) -> Int64:
        """(L,) receipt times; 0 = never."""
        return self._row(RECEIVED)

    @cached_property
    def work(self) -> Int64:
        """(L,) working space."""
        return self._row(WORK)

    @cached_property
    def verdicts(self) -> Int64:
        """(6,) ticks by verdict."""
        start = int(self._whole[AT_VERDICTS])
        return self._whole[start : start + VERDICTS]
