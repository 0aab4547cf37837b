"""Exact VaR and ES of sliding windows of numbers, current after every value.

A window is bounded by a number of values, by their age, or by both. `RollingTail` is one series,
`RollingTails` many in one arena. How it works: `rtre.kernels.tail_only`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import attrs
import numpy as np
import numpy.typing as npt

from rtre.errors import DataError
from rtre.kernels import tail_layout as lay
from rtre.kernels import tail_only
from rtre.kernels.jit import direct
from rtre.kernels.tail_arena import grow, new_arena
from rtre.market import Float64
from rtre.windows import tail_snapshot
from rtre.windows.inputs import check_out, column, time_ns, whole, whole_numbers
from rtre.windows.tail_settings import (
    SIDES,
    SPREAD_FROM,
    TailCounts,
    TailSettings,
    settings_of,
    tails_of,
)


class RollingTails:
    """VaR and ES of many sliding windows with the same settings, in one array.

    Parameters
    ----------
    n_series : int
        How many, at least 1.
    confidences : float or sequence of float
        Each in (0.5, 1) with at most 9 decimals, like 0.99.
    window : int
        Most values in a window, at most 2^24. Where values age too, rings start small and double
        up to this bound; a value beyond it displaces the oldest, which is counted.
    rule : {"order", "linear", "lower", "higher", "nearest", "midpoint"}
        Which VaR. "order" is that of all of rtre, `rtre.order`; the others are those of
        `numpy.quantile`, to the bit: ``VaR = 0.0 - numpy.quantile(pnl, tail, method=rule)``. ES is
        that of Rockafellar and Uryasev with each, raised to VaR where "lower" lies deeper.
    sides : {"lower", "upper", "both"}
        Losses of a long position (small values), of a short one (large values, as if all were
        multiplied by -1), or of both.
    min_obs : int
        Numbers in the window before anything is said, from 1 to `window`.
    max_age_ns : int, optional
        A value of this age or more has left. None: values do not age and times are not read.
    nan : {"skip", "keep"}
        A NaN takes no place in the window, or takes one and counts for no observation.
    rebuild : {"auto", "at once", "in pieces"}
        How a tail that runs low is filled; "auto" is in pieces from 16,384 values on. The numbers
        are the same.

    Raises
    ------
    DataError
        A parameter out of range.

    Notes
    -----
    Memory per series: 8 bytes x (window + sides x 3 x tail x window + 150), twice the window where
    values age. Cost: ``benchmarks/test_rolling_tail.py``.

    >>> tails = RollingTails(2, 0.9, window=10, rule="order")
    >>> tails.push([0, 1, 0, 0], [-3.0, -7.0, 1.0, -5.0])
    >>> tails.tail(0, 0.9), tails.tail(1, 0.9)
    ((5.0, 5.0), (7.0, 7.0))
    """

    def __init__(
        self,
        n_series: int,
        confidences: float | Sequence[float],
        *,
        window: int,
        rule: str = "order",
        sides: str = "lower",
        min_obs: int = 1,
        max_age_ns: int | None = None,
        nan: str = "skip",
        rebuild: str = "auto",
    ) -> None:
        self.settings = settings = settings_of(
            confidences, window=window, rule=rule, sides=sides, min_obs=min_obs,
            max_age_ns=max_age_ns, nan=nan, rebuild=rebuild, n_series=n_series,
        )  # fmt: skip
        timed = settings.max_age_ns is not None
        spread = rebuild == "in pieces" or (rebuild == "auto" and window >= SPREAD_FROM)
        self._signs = SIDES[sides]
        arena = new_arena(
            tails=tails_of(settings.confidences),
            window=window,
            signs=self._signs,
            rule=lay.RULES[rule],
            min_obs=min_obs,
            max_age_ns=settings.max_age_ns or 0,
            keep_nan=nan == "keep",
            spread=spread and not timed,
            n_series=n_series,
        )
        self._hold(arena)
        self._width = 2 * len(self._signs) * len(settings.confidences)
        header = arena.view(np.int64)
        self._first, self._stride = int(header[lay.H_AT_SERIES]), int(header[lay.H_STRIDE])
        pairs = [
            ("lower" if sign > 0 else "upper", confidence)
            for sign in self._signs
            for confidence in settings.confidences
        ]
        found = int(lay.results(header, 0))
        self._columns = {(c, side): found + 2 * j for j, (side, c) in enumerate(pairs)}

    def _hold(self, arena: Float64) -> None:
        """Make `arena` the state. Single numbers are read by way of memoryviews, the faster one."""
        self._arena = arena
        self._floats, self._ints = arena.data, arena.view(np.int64).data

    def __len__(self) -> int:
        return self.settings.n_series

    def push(self, series: npt.ArrayLike, values: npt.ArrayLike, ts_ns: int = 0) -> None:
        """Take a batch: a value of each of these series, in order; one series may come repeatedly.

        Parameters
        ----------
        series : (n,) int
            0 to ``len(self) - 1``.
        values : (n,) float
        ts_ns : int
            Time of the whole batch.

        Raises
        ------
        DataError
            Lengths differ, there is no such series, or a time that is none. Nothing was taken.
        """
        which, rows = whole_numbers("series", series), column(values)
        now = time_ns(ts_ns)
        if which.shape != rows.shape:
            raise DataError(f"series has shape {which.shape}, values have {rows.shape}")
        if len(which) and not (which.min() >= 0 and which.max() < len(self)):
            raise DataError(f"series must lie between 0 and {len(self) - 1}")
        done = 0
        while True:
            done += tail_only.push_many(self._arena, which[done:], rows[done:], now)
            if done == len(rows):
                return
            self._hold(grow(self._arena, int(which[done])))

    def evict(self, now_ns: int) -> None:
        """Let time pass in every series: drop what is too old. Call it on a timer.

        An idle series would keep stale risk otherwise. A time before a series' newest does nothing.
        """
        now = time_ns(now_ns)
        for series in range(len(self)):
            tail_only.pass_time(self._arena, series, now)

    def tail(
        self, series: int, confidence: float, side: str = "lower"
    ) -> tuple[float, float] | None:
        """VaR and ES of one series, losses positive; None while it has under `min_obs` numbers."""
        try:
            column = self._columns.get((confidence, side))
        except TypeError:  # of a list, say
            column = None
        if column is None:
            raise DataError(
                f"no tail at {confidence!r}, side {side!r}: there are {sorted(self._columns)}"
            )
        at = self._at(series)
        if self._ints[at + lay.S_STALE]:
            tail_only.update(self._arena, at)
        var: float = self._floats[at + column]
        return None if math.isnan(var) else (var, self._floats[at + column + 1])

    def n_obs(self, series: int) -> int:
        """Numbers in the window of one series."""
        valid: int = self._ints[self._at(series) + lay.S_VALID]
        return valid

    def counts(self, series: int) -> TailCounts:
        """Return the counters of one series."""
        at = self._at(series)
        return TailCounts(*self._ints[at + lay.S_TICKS : at + lay.S_TOUCHED + 1])

    def snapshot(self) -> bytes:
        """Everything, settings too, as bytes; `restore` goes on with the same bits."""
        return tail_snapshot.pack(self.settings, self._arena)

    @classmethod
    def restore(cls, data: bytes) -> RollingTails:
        """Build what `snapshot` saw.

        Raises
        ------
        DataError
            Not a snapshot of this class and version, or damaged.
        """
        settings, arena = tail_snapshot.unpack(data)
        try:
            fields = attrs.asdict(TailSettings(**settings))
            tails = cls(fields.pop("n_series"), fields.pop("confidences"), **fields)
        except TypeError as error:
            raise DataError(f"the snapshot's settings cannot be read: {error}") from error
        tail_snapshot.check(arena, tails._arena)
        tails._hold(arena)
        return tails

    def _at(self, series: int) -> int:
        return self._first + whole("series", series, 0, len(self) - 1) * self._stride


class RollingTail:
    """VaR and ES of one sliding window. Parameters are those of `RollingTails`.

    >>> tail = RollingTail([0.9, 0.75], window=8, rule="linear", sides="both")
    >>> for pnl in (2.0, -1.0, float("nan"), 4.0, -6.0, 1.0):
    ...     tail.push(pnl)
    >>> tail.tail(0.75), tail.tail(0.75, "upper"), tail.counts.nans
    ((1.0, 5.0), (2.0, 3.6), 1)

    The oldest value leaves when the window is full, or old:

    >>> aging = RollingTail(0.9, window=1000, max_age_ns=60, min_obs=2)
    >>> aging.push(-5.0, 0)
    >>> aging.push(-2.0, 30)
    >>> aging.tail(0.9)
    (5.0, 5.0)
    >>> aging.evict(75)
    >>> aging.tail(0.9) is None  # one value is left, and min_obs is 2
    True
    """

    def __init__(
        self,
        confidences: float | Sequence[float],
        *,
        window: int,
        rule: str = "order",
        sides: str = "lower",
        min_obs: int = 1,
        max_age_ns: int | None = None,
        nan: str = "skip",
        rebuild: str = "auto",
    ) -> None:
        self._tails = RollingTails(
            1, confidences, window=window, rule=rule, sides=sides, min_obs=min_obs,
            max_age_ns=max_age_ns, nan=nan, rebuild=rebuild,
        )  # fmt: skip

        self._ages = max_age_ns is not None

    @cached_property
    def _push_only(self) -> Callable[[Float64, float], None]:
        return direct(tail_only.push_only, self._tails._arena, 0.0)

    @property
    def settings(self) -> TailSettings:
        return self._tails.settings

    @property
    def n_obs(self) -> int:
        """Numbers in the window."""
        return self._tails.n_obs(0)

    @property
    def counts(self) -> TailCounts:
        return self._tails.counts(0)

    def push(self, value: float, ts_ns: int = 0) -> None:
        """Take one value. Most of its cost is the call: prefer `push_many`."""
        tails = self._tails
        try:
            number, now = float(value), int(ts_ns)  # another type would compile the kernel anew
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"a value must be a number, got {value!r} at {ts_ns!r}") from error
        if not self._ages:
            self._push_only(tails._arena, number)
            return
        time_ns(now)
        while tail_only.push(tails._arena, 0, number, now) != tail_only.TAKEN:
            tails._hold(grow(tails._arena, 0))

    def push_many(
        self,
        values: npt.ArrayLike,
        ts_ns: npt.ArrayLike | None = None,
        out: Float64 | None = None,
    ) -> Float64:
        """Take a batch of values in order, and give VaR and ES after each.

        Parameters
        ----------
        values : (n,) float
        ts_ns : (n,) int or int, optional
            Their times; needed where values age.
        out : (n, sides, C, 2) float64, optional
            C-contiguous; written instead of a new array. With an array of no rows, nothing is.

        Returns
        -------
        (n, sides, C, 2) float64
            VaR and ES by side ("lower" first) and confidence; NaN while the window warms.

        Raises
        ------
        DataError
            Shapes or types do not match. Nothing was taken.
        """
        tails, rows = self._tails, column(values)
        times = whole_numbers("ts_ns", 0 if ts_ns is None else ts_ns).reshape(-1)
        if len(times) not in (1, len(rows)):
            raise DataError(f"{len(times)} times for {len(rows)} values")
        if ts_ns is None and tails.settings.max_age_ns is not None:
            raise DataError("values age in this window: ts_ns is needed")
        shape = (len(tails._signs), len(tails.settings.confidences), 2)
        if out is None:
            out = np.empty((len(rows), *shape))
        n = 0 if isinstance(out, np.ndarray) and out.shape[:1] == (0,) else len(rows)
        check_out(out, (n, *shape))
        flat, done = out.reshape(len(out), tails._width), 0
        while True:
            later = times[done:] if len(times) > 1 else times
            done += tail_only.push_rows(tails._arena, 0, rows[done:], later, flat[done:])
            if done == len(rows):
                return out
            tails._hold(grow(tails._arena, 0))

    def evict(self, now_ns: int) -> None:
        """Let time pass without a value: drop what is too old. Call it on a timer."""
        self._tails.evict(now_ns)

    def tail(self, confidence: float, side: str = "lower") -> tuple[float, float] | None:
        """VaR and ES, losses positive; None while there are under `min_obs` numbers."""
        return self._tails.tail(0, confidence, side)

    def snapshot(self) -> bytes:
        """Everything, settings too, as bytes; `restore` goes on with the same bits."""
        return self._tails.snapshot()

    @classmethod
    def restore(cls, data: bytes) -> RollingTail:
        """Build what `snapshot` saw. Raises DataError where the bytes are not one."""
        tails = RollingTails.restore(data)
        if len(tails) != 1:
            raise DataError(f"a snapshot of {len(tails)} series is for RollingTails")
        found = cls.__new__(cls)
        found._tails, found._ages = tails, tails.settings.max_age_ns is not None
        return found
