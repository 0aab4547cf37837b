"""`Lines`: everything that risk is asked of, with its window of P&L scenarios.

A line is a symbol (the position in it) or a book. Symbols come first, in the order of the
universe, then the books, so one index names either. All lines share one ring of grid intervals,
which is what keeps the returns of different assets aligned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, Protocol, TypeVar, get_args

import numpy as np

from rtre.errors import DataError
from rtre.figures import BookWork
from rtre.kernels import arenas, books, choose, layout, marks, roll, ticks
from rtre.kernels.jit import direct
from rtre.market import Float64, Int64, TickBatch, Universe
from rtre.order import rank_table
from rtre.windows.arena_bytes import from_bytes, to_bytes
from rtre.windows.inputs import number, whole

MOST_UNITS = 1e15
MOST_DRIFT = 1e-9  #: of the gross P&L, between two audits
_KIND = b"rLi2"

Evaluation = Literal["every-tick", "per-batch", "on-demand"]
EVALUATIONS = get_args(Evaluation)
"""``every-tick``: VaR and ES of each line that a tick moves are current after that tick, and their
peaks are kept. ``per-batch``: a tick costs the books nothing; their tails are worked out when asked
for, from a few candidate rows. ``on-demand``: from all rows, for models that look at them anyway.
What `Lines.tails` gives is the same in all three, to the bit.
"""


class Tracker(Protocol):
    """A running statistic of the closed intervals, kept up to date at each roll.

    Attributes
    ----------
    state : array of float64
        All that it keeps.
    """

    state: Float64

    def roll(self, evicted: int) -> None:
        """Take the open ring column, which closes, in; take column `evicted` out."""


T = TypeVar("T", bound=Tracker)


def _check(
    books: Mapping[str, Mapping[str, float]],
    window: int,
    interval_ns: int,
    confidences: tuple[float, ...],
    min_obs: int,
    evaluation: str,
) -> None:
    if window < 2:
        raise DataError(f"a window needs at least 2 intervals, got {window}")
    if evaluation not in EVALUATIONS:
        known = ", ".join(EVALUATIONS)
        raise DataError(f"evaluation must be one of {known}; got {evaluation!r}")
    if not confidences and evaluation != "on-demand":
        raise DataError(f"evaluation {evaluation!r} needs confidences; got none")
    if min_obs < 1:
        raise DataError(f"min_obs must be at least 1, got {min_obs}")
    if interval_ns < 1:
        raise DataError(f"the grid interval must be at least 1 ns, got {interval_ns}")
    for name, positions in books.items():
        units = [number(f"units in book {name!r}", q) for q in positions.values()]
        if not units or not all(abs(q) <= MOST_UNITS for q in units):
            raise DataError(
                f"book {name!r} needs positions of at most {MOST_UNITS:g} units; "
                f"got {dict(positions)}"
            )


class Lines:
    """Marks, grid returns, sorted windows and P&L vectors of all symbols and books.

    Parameters
    ----------
    universe : Universe
    books : mapping of book name to mapping of symbol to units held
        Negative units are short. A symbol's own line carries its net position over all books.
    window : int
        Grid intervals kept, the open one included; at least 2.
    interval_ns : int
        Length of a grid interval.
    lead_ns : int
        How far a venue's clock may be ahead of ours before a tick is refused.
    jump : float
        Relative move from tick to tick beyond which a price must be confirmed.
    confirm : int
        Ticks that must agree on a new level before it is taken.
    closed : bool
        `sample` leaves the open interval out unless asked otherwise.
    confidences : tuple of float
        Levels that `tails` gives.
    min_obs : int
        Observations below which no tail is kept tick by tick.
    evaluation : str
        How the tails of books are worked out: see `EVALUATIONS`.

    Attributes
    ----------
    floats, ints
        The arenas of `rtre.kernels.layout`, which hold all state.
    prices, net, returns, clocks, flags, missing, complete, dirty, counts
        Views of the state. To be read only.
    every_tick : bool
        VaR and ES are current, and their peaks kept, after each tick of `apply`.
    """

    def __init__(
        self,
        universe: Universe,
        books: Mapping[str, Mapping[str, float]],
        *,
        window: int,
        interval_ns: int,
        lead_ns: int = 5_000_000_000,
        jump: float = 0.1,
        confirm: int = 3,
        closed: bool = False,
        confidences: tuple[float, ...] = (),
        min_obs: int = 2,
        evaluation: Evaluation = "on-demand",
    ) -> None:
        _check(books, window, interval_ns, confidences, min_obs, evaluation)
        self.universe = universe
        self.books = tuple(books)
        self._positions = {name: dict(held) for name, held in books.items()}
        self.names = (*universe.symbols, *self.books)
        self.interval_ns = interval_ns
        self.window = window
        self.closed = closed
        holdings = [
            (universe.asset(symbol), b, float(units))
            for b, positions in enumerate(books.values())
            for symbol, units in positions.items()
        ]
        holdings = [holding for holding in holdings if holding[2] != 0.0]
        self.every_tick = evaluation == "every-tick"
        self.confidences = confidences
        ranks, expected = rank_table(confidences, window) if confidences else (None, None)
        self.floats, self.ints = arenas.new_state(
            n_assets=len(universe),
            window=window,
            interval_ns=interval_ns,
            lead_ns=lead_ns,
            jump=jump,
            confirm=confirm,
            holdings=holdings,
            n_books=len(books),
            ranks=ranks,
            expected=expected,
            min_obs=min_obs,
            every_tick=self.every_tick,
            candidates=evaluation != "on-demand",
        )
        self.prices = layout.prices(self.floats, self.ints)
        self.net = layout.net(self.floats, self.ints)
        self.returns = layout.returns(self.floats, self.ints)
        self.clocks = layout.clocks(self.ints)
        self.flags = layout.flags(self.ints)
        self.missing = layout.missing(self.ints)
        self.complete = layout.complete(self.ints)
        self.dirty = layout.dirty(self.ints)
        self.counts = layout.counts(self.ints)
        self._held = [
            (
                np.array([asset for asset, book, _ in holdings if book == b], np.int64),
                np.array([[units] for _, book, units in holdings if book == b]).reshape(-1, 1),
            )
            for b in range(len(books))
        ]
        self._trackers: dict[tuple[object, ...], Tracker] = {}

    def __len__(self) -> int:
        return len(self.names)

    @property
    def n_assets(self) -> int:
        """Lines below this index are symbols, the others books."""
        return len(self.universe)

    @property
    def head(self) -> int:
        """Ring column of the open interval."""
        return int(self.ints[layout.H_HEAD])

    @property
    def rows(self) -> int:
        """Ring columns in use, the open one included."""
        return int(self.ints[layout.H_ROWS])

    @property
    def oldest(self) -> int:
        """Ring column of the oldest row."""
        return (self.head - self.rows + 1) % self.window

    @property
    def last(self) -> Float64:
        """(N,) last prices; NaN where none was seen."""
        return self.prices[:, layout.LAST]

    @property
    def observed(self) -> Int64:
        """(N,) observations in each symbol's window."""
        return self.clocks[:, layout.C_OBSERVED]

    @property
    def exposure(self) -> Float64:
        """(N,) signed currency value of each symbol's net position; NaN without a price."""
        return np.where(self.net == 0.0, 0.0, self.net * self.last)

    @property
    def open_interval(self) -> int:
        """Number of the open grid interval; far in the past before the first tick."""
        return int(self.ints[layout.H_OPEN])

    def apply(self, batch: TickBatch, start: int) -> int:
        """Apply ticks from index `start`; see `rtre.kernels.ticks.apply_ticks`."""
        first, last = batch.start, batch.stop
        stop = self._apply_ticks(self.floats, self.ints, batch.block, first + start, last)
        while stop < 0:
            self._renew()
            stop = self._apply_ticks(self.floats, self.ints, batch.block, ~stop, last)
        return stop - first

    @cached_property
    def _apply_ticks(self) -> Callable[[Float64, Int64, Int64, int, int], int]:
        """The kernel without a look at its arguments: a `TickBatch` has taken it."""
        return direct(
            ticks.apply_ticks, self.floats, self.ints, TickBatch.of(0, 1.0, 1).block, 0, 1
        )

    def _renew(self) -> None:
        """Take the look at all rows that some books wait for after a tick."""
        choose.renew_books(self.floats, self.ints)
        if marks.keep_all(self.floats, self.ints, True):
            raise RuntimeError("a book has no tail after a look at all of its rows: this is a bug")
        if (worst := layout.limits(self.floats, self.ints)[:, layout.L_DRIFT].max()) > MOST_DRIFT:
            raise RuntimeError(
                f"the running sums of a book have drifted by {worst:.1e} from fresh ones, "
                f"more than rounding can: this is a bug"
            )

    def open_row(self, interval: int) -> None:
        """Close the open grid interval and open `interval`, evicting the oldest row if need be."""
        if self.rows:
            evicted = (self.head + 1) % self.window
            for tracker in self._trackers.values():
                tracker.roll(evicted)
        roll.open_row(self.floats, self.ints, interval)
        if self.every_tick and marks.keep_all(self.floats, self.ints, False):
            self._renew()

    def break_chain(self, asset: int) -> None:
        """Data of `asset` were lost here: the return across the hole will be masked."""
        roll.break_chain(self.ints, whole("asset", asset, 0, self.n_assets - 1))

    def tracker(self, kind: Callable[..., T], *arguments: Any) -> T:
        """Return the statistic ``kind(self, *arguments)``, made at the first call, then shared."""
        key = (kind, *arguments)
        if key not in self._trackers:
            self._trackers[key] = kind(self, *arguments)
        return self._trackers[key]  # type: ignore[return-value]

    def observations(self) -> Int64:
        """(L,) observations of each line, the open interval's included: a book's complete rows."""
        return np.concatenate([self.observed, self.complete])

    def snapshot(self) -> bytes:
        """All state as bytes; `restore` on lines made with the same arguments goes on from there.

        Cost: a copy of the arenas, some 16 bytes for each asset and row.
        """
        return to_bytes(_KIND, self._digest(), self.floats, self.ints, *self._tracked())

    def restore(self, data: bytes) -> None:
        """Take the state that `snapshot` gave: what follows has the same bits as it would there.

        Raises
        ------
        DataError
            The snapshot is damaged, or was made with other symbols, books, settings or models.
        """
        digest = self._digest()
        own = (digest, self.floats, self.ints, *self._tracked())
        parts = from_bytes(_KIND, data, [len(part.ravel()) for part in own])
        if parts[0].tolist() != digest.tolist():
            raise DataError("the snapshot was made with other symbols, books, settings or models")
        for mine, part in zip(own[1:], parts[1:], strict=True):
            mine.reshape(-1).view(np.int64)[:] = part

    def _tracked(self) -> list[Float64]:
        """Arrays of the trackers, in the order in which the models asked for them."""
        return [tracker.state for tracker in self._trackers.values()]

    def _digest(self) -> Int64:
        """What must be the same where a snapshot is restored, as one number."""
        trackers = [(kind.__name__, *more) for kind, *more in self._trackers]  # type: ignore[attr-defined]
        settings = self.ints[: layout.H_HEAD].tolist(), self.floats[: layout.HEADER_F].tolist()
        what = (self.names, self._positions, settings, self.confidences, trackers)
        return np.frombuffer(hashlib.sha256(repr(what).encode()).digest()[:8], np.int64)

    def tails(self, which: Int64, out: Float64) -> None:
        """Tails of some lines as plain order statistics; `rtre.kernels.marks.tails_of_lines`."""
        if marks.tails_of_lines(self.floats, self.ints, which, out):
            if self.every_tick:
                self.refresh(which)
            else:
                choose.renew_books(self.floats, self.ints)
            marks.tails_of_lines(self.floats, self.ints, which, out)

    def work(self) -> tuple[BookWork, ...]:
        """How the tail of each book is kept."""
        kept = int(self.ints[layout.H_PLACES]) > 0  # else rows are looked at when asked, by no tick
        drift = layout.limits(self.floats, self.ints)[:, layout.L_DRIFT].tolist()
        return tuple(
            BookWork(
                name,
                0 if row[layout.W_TOUCHED] else row[layout.W_COUNT],
                row[layout.W_REBUILDS],
                row[layout.W_FALLBACKS],
                kept and bool(row[layout.W_TOUCHED]),
                drift[b],
            )
            for b, (name, row) in enumerate(
                zip(self.books, layout.watch(self.ints).tolist(), strict=True)
            )
        )

    def refresh(self, which: Int64) -> None:
        """Bring the P&L vectors of the books among some lines to the last prices."""
        books.refresh_lines(self.floats, self.ints, which)

    def sample(self, line: int, *, closed: bool | None = None) -> Float64:
        """P&L of a line's present position in each observed interval, oldest first, in currency.

        With `closed` (None: as set for all) the open interval is left out, and positions are valued
        at the prices at which it began: the sample then stays the same until the interval closes.
        """
        closed = self.closed if closed is None else closed
        rows = self.rows - 1 if closed and self.rows else self.rows
        order = (self.oldest + np.arange(rows)) % self.window
        if line < self.n_assets:
            price = self.prices[line, layout.CLOSE if closed else layout.LAST]
            row = self.returns[line, order]
            return np.asarray(self.net[line] * price * row[~np.isnan(row)])
        book = line - self.n_assets
        complete = self.missing[book, order] == 0
        if not closed:
            books.refresh(self.floats, self.ints, book)
            pnl = layout.pnl(self.floats, self.ints)[book]
            return np.asarray(pnl[order][complete])
        _, exposure, returns = self.book_sample(line, closed=closed)
        return np.asarray(np.sum(exposure[:, None] * returns, axis=0))

    def book_sample(
        self, line: int, *, closed: bool | None = None
    ) -> tuple[Int64, Float64, Float64]:
        """Assets that a book holds, (m,), their exposures, (m,), and their returns, (m, rows).

        The rows are those of `sample`, whose P&L is the sum of exposure times return.
        """
        closed = self.closed if closed is None else closed
        rows = self.rows - 1 if closed and self.rows else self.rows
        order = (self.oldest + np.arange(rows)) % self.window
        book = line - self.n_assets
        assets, units = self._held[book]
        exposure = units[:, 0] * self.prices[assets, layout.CLOSE if closed else layout.LAST]
        complete = order[self.missing[book, order] == 0]
        return assets, exposure, np.asarray(self.returns[assets[:, None], complete])
