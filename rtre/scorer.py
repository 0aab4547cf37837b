"""Live backtests: every forecast is scored when the interval that it was made for closes.

    row opens   -> every model says its VaR and ES of the interval, from closed intervals alone
    ticks       -> nothing
    row closes  -> the loss of the same position since the row opened is held against them

A row opens with the first tick of any asset, so the last ticks of others for the row before may
still come. Their moves belong to the outcome of the row that is open then: outcomes add up to the
whole move, and a fall that comes late is an exceedance one interval later instead of none.

Memory is bounded: counts, which cover the whole run, and a log of the newest forecasts and losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtre.backtest.eprocess import LEAST_LOOK, MAX_BET
from rtre.backtest.result import Bool
from rtre.errors import DataError
from rtre.kernels import layout
from rtre.kernels.outcomes import ES, FIELDS, HIT, LAST, SCORE, VAR, score_outcomes
from rtre.kernels.tail import ES as TAIL_ES
from rtre.kernels.tail import VAR as TAIL_VAR
from rtre.market import Float64, Int64
from rtre.order import tail_probability
from rtre.outcome_log import BLOCK, Block, Log
from rtre.tested import CHECKED, EVERY, Check
from rtre.track import Track
from rtre.windows.lines import Lines

MOST_ROWS = 5000  #: intervals in the log
MOST_BYTES = 128_000_000  #: of the log: with very many lines and models it holds fewer intervals
LEAST_ROWS = 32  #: a log of fewer compares nothing; see `rtre.track.LEAST`
_BLOCKS = 8  # at least: one of them is spare, so fewer would waste more of the bytes


def log_size(lines: int, models: int, confidences: int) -> tuple[int, int]:
    """Intervals that the log keeps, and intervals in a block of it.

    The newest block fills while the oldest still holds rows that count, so there is one block more
    than the kept rows need; all of them together take `MOST_BYTES` at most.

    Raises
    ------
    DataError
        Not even `LEAST_ROWS` intervals fit.
    """
    row = lines * (8 + models * confidences * 25)  # losses; a score, a hit, VaR and ES
    fit = MOST_BYTES // row
    size = max(1, min(BLOCK, fit // _BLOCKS))
    most = min(MOST_ROWS, (fit // size - 1) * size)
    if most < LEAST_ROWS:
        needed = (LEAST_ROWS + LEAST_ROWS // _BLOCKS) * row / 1e6
        raise DataError(
            f"live scoring of {lines:,} lines x {models} models x {confidences} confidences needs "
            f"{needed:,.3g} MB for its log, which may hold at most {MOST_BYTES / 1e6:g} MB: "
            "track fewer lines (risk.track), or run fewer models or confidences"
        )
    return most, size


class Scorer:
    """Forecasts of several models for several lines, and what became of them.

    Parameters
    ----------
    lines : Lines
        Whose intervals close.
    books : mapping of book name to mapping of symbol to units held
        As of `lines`.
    tracked : (S,) int64
        Lines to score, ascending. Each holds something.
    models : sequence of str
    served : (S, M) bool
        Whether a model forecasts a line.
    confidences : tuple of float

    Raises
    ------
    DataError
        The log would be too large; see `log_size`.

    Notes
    -----
    Cost of a closed interval: one kernel call and a few small copies, 20 us for a book and three
    models, and what the models need for their forecasts. Nothing on a tick.
    """

    def __init__(
        self,
        lines: Lines,
        books: Mapping[str, Mapping[str, float]],
        tracked: Int64,
        models: Sequence[str],
        served: Bool,
        confidences: tuple[float, ...],
    ) -> None:
        shape = (len(tracked), len(models), len(confidences))
        self._most, self._size = log_size(*shape)
        self.tracked = tracked
        self._lines = lines
        self._models = tuple(models)
        self._served = served
        self._confidences = confidences
        self._state = np.zeros((*shape, FIELDS))
        self._state[..., VAR] = self._state[..., ES] = np.nan
        self._state[..., LAST] = -1.0
        tails = [float(tail_probability(c)) for c in confidences]
        self._levels = np.array([tails, [MAX_BET] * len(tails), [LEAST_LOOK] * len(tails)])
        self._positions(books)
        self._blocks: list[Block] = []
        self._scores = np.empty((0, *shape))
        self._hits = np.empty((0, *shape), np.int8)
        self._losses: Float64 = np.empty((0, shape[0]))
        self._said: Float64 = np.empty((0, *shape, 2))
        self._rows = self._intervals = 0
        self._summary: Track | None = None
        # a cell of a report's tests an interval at most on average, however many there are
        self._period = max(EVERY, shape[0] * shape[1] * shape[2])
        self._checks: list[Check | None] = [None] * shape[0]

    def _positions(self, books: Mapping[str, Mapping[str, float]]) -> None:
        """Lay the tracked positions out as three columns: place, asset, units."""
        lines, universe = self._lines, self._lines.universe
        slots: list[int] = []
        assets: list[int] = []
        units: list[float] = []
        for s, line in enumerate(self.tracked.tolist()):
            if line < lines.n_assets:
                held = [(line, float(lines.net[line]))]
            else:
                book = books[lines.names[line]]
                held = sorted((universe.asset(symbol), float(q)) for symbol, q in book.items() if q)
            for asset, quantity in held:
                slots.append(s)
                assets.append(asset)
                units.append(quantity)
        self._slots = np.array(slots, np.int64)
        self._assets = np.array(assets, np.int64)
        self._units = np.array(units)

    def outcomes(self) -> Float64:
        """P&L of each tracked line since the open interval opened, (S,); NaN: none.

        None where the return of a held asset is masked. Summed in the order of the assets.
        Ticks that came meanwhile for closed intervals are in it, as theirs is closed; where they
        were the only ones of an asset in a closed interval, which had no outcome then, its move
        is in this one. Moves within an interval that has no outcome are in none.
        """
        lines = self._lines
        growth = lines.prices[:, layout.LAST] - lines.prices[:, layout.CLOSE]
        growth[np.isnan(lines.returns[:, lines.head])] = np.nan
        found = np.bincount(self._slots, self._units * growth[self._assets], len(self.tracked))
        return np.asarray(found, np.float64)

    def close(self) -> None:
        """Score the forecasts against the interval that is about to close."""
        state = self._state
        losses, forecasts = 0.0 - self.outcomes(), self.forecasts()
        score_outcomes(state, losses, self._levels)
        self._summary = None
        self._intervals += 1
        hits = state[..., HIT]
        if hits.max() < 0.0:
            return
        at = self._rows % self._size
        if at == 0:
            self._add_block()
        self._scores[at] = state[..., SCORE]
        self._hits[at] = hits
        self._losses[at] = losses
        self._said[at] = forecasts
        self._rows += 1
        turn = (self._rows - 1) % self._period
        for slot in range(-(-turn * len(self._checks) // self._period), len(self._checks)):
            if slot * self._period // len(self._checks) != turn:
                break
            self._renew(slot)

    def _renew(self, slot: int) -> None:
        """Let the tests of a line be as of now, over the newest `CHECKED` intervals."""
        log = self._log()
        first = max(log.first, log.last - CHECKED)
        unused = first // self._size
        log = Log(log.blocks[unused:], first - unused * self._size, log.last - unused * self._size)
        self._checks[slot] = Check(self._intervals, log, self._confidences)

    def _add_block(self) -> None:
        """Begin a block; the oldest is dropped first where the others hold enough.

        A block is never written again where it was written, so summaries share it as it is.
        """
        if (len(self._blocks) - 1) * self._size >= self._most:
            dropped = self._blocks.pop(0)
            for slot, check in enumerate(self._checks):
                if check is not None and check.log.blocks[0] is dropped:
                    self._renew(slot)  # else the block would stay in memory
        shape = (self._size, *self._state.shape[:3])
        self._scores, self._hits = np.full(shape, np.nan), np.full(shape, -1, np.int8)
        self._losses = np.full(shape[:2], np.nan)
        self._said = np.full((*shape, 2), np.nan)
        self._blocks.append(Block(self._scores, self._hits, self._losses, self._said))

    def stamp(self, model: int, ready: Bool, values: Float64) -> None:
        """Take a model's forecasts for the interval that has just opened.

        Parameters
        ----------
        model : int
            Place of the model.
        ready : (S,) bool
            Tracked lines that have an estimate.
        values : (L, C, 5) float64
            As of `Model.evaluate`.
        """
        forecasts = values[self.tracked, :, TAIL_VAR : TAIL_ES + 1]
        if not ready.all():
            forecasts[~ready] = np.nan
        self._state[:, model, :, VAR : ES + 1] = forecasts

    def forecasts(self) -> Float64:
        """VaR and ES that wait for their outcome, a copy, (S, M, C, 2)."""
        return self._state[..., VAR : ES + 1].copy()

    def _log(self) -> Log:
        unused = -self._rows % self._size  # of the newest block
        held = len(self._blocks) * self._size - unused
        return Log(tuple(self._blocks), max(0, held - self._most), held)

    def summary(self) -> Track:
        """Everything as it stands; the same object until the next interval closes."""
        if self._summary is None:
            self._summary = Track(
                lines=tuple(self._lines.names[i] for i in self.tracked.tolist()),
                models=self._models,
                confidences=self._confidences,
                interval_ns=int(self._lines.interval_ns),  # a configuration's is a Duration
                intervals=self._intervals,
                tails=self._levels[0],
                served=self._served,
                counts=self._state.copy(),
                log=self._log(),
                checks=tuple(self._checks),
            )
        return self._summary
