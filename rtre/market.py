"""Values of the market: symbols, ticks, and how good they are.

A tick never travels alone. `TickBatch` holds k of them as columns, ready for one kernel call;
`TickBuffer` is the preallocated place where a codec writes them, one pass per socket read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import IntFlag
from typing import Any, Self

import attrs
import numpy as np
import numpy.typing as npt

from rtre.errors import DataError

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .:/_^=@+\-]{0,31}")


class Quality(IntFlag):
    """What is known against a number. No bit set means LIVE; bits add up over a number's inputs."""

    LIVE = 0
    WARMING = 1  #: fewer observations than `min_obs`: there is no estimate yet
    STALE = 2  #: no tick for longer than `stale_after`
    SUSPECT = 4  #: an outlier waits for confirmation; the last good price is still in use
    GAP = 8  #: data were lost (a reconnect); the returns across the hole are masked
    HALTED = 16  #: trading is halted
    CLOSED = 32  #: the session is closed
    DISCONNECTED = 64  #: the feed has no connection
    UNPRICED = 128  #: no price has been seen yet

    @property
    def label(self) -> str:
        """The flags as text, worst first: ``"LIVE"``, ``"DISCONNECTED|STALE"``."""
        return "|".join(f.name or "" for f in reversed(Quality) if f in self) or "LIVE"


def check_symbol(symbol: str) -> str:
    """Return `symbol` if it is one: 1 to 32 plain characters, so it is safe to print and log.

    Raises
    ------
    DataError
        With the offending text in `repr` form.
    """
    if not _SYMBOL.fullmatch(symbol):
        raise DataError(
            f"{symbol[:64]!r} is not a symbol: 1 to 32 letters, digits, or any of . : / _ ^ = @ + -"
        )
    return symbol


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


@attrs.frozen
class Universe:
    """The symbols of a run, in order, and the dense index (`asset`) of each.

    >>> universe = Universe(("AAPL", "MSFT"))
    >>> universe.asset("MSFT"), len(universe)
    (1, 2)
    """

    symbols: tuple[str, ...] = attrs.field(converter=_texts)
    index: dict[str, int] = attrs.field(init=False, repr=False, eq=False)

    @symbols.validator
    def _check(self, _: object, symbols: tuple[str, ...]) -> None:
        if not symbols:
            raise DataError("a universe needs at least one symbol")
        for symbol in symbols:
            check_symbol(symbol)
        if len(set(symbols)) != len(symbols):
            twice = sorted({s for s in symbols if symbols.count(s) > 1})
            raise DataError(f"symbols named twice: {', '.join(twice)}")

    @index.default
    def _index(self) -> dict[str, int]:
        return {symbol: i for i, symbol in enumerate(self.symbols)}

    def asset(self, symbol: str) -> int:
        """Dense index of `symbol`; raises DataError for one that is not in the universe."""
        try:
            return self.index[symbol]
        except KeyError:
            raise DataError(f"{symbol!r} is not among {', '.join(self.symbols)}") from None

    def __len__(self) -> int:
        return len(self.symbols)

    def __iter__(self) -> Iterator[str]:
        return iter(self.symbols)


def _column(values: object, dtype: type) -> npt.NDArray[Any]:
    column: npt.NDArray[Any] = np.ascontiguousarray(values, dtype=dtype)
    # a read-only array is another type to numba, and would compile every kernel once more
    return column if column.flags.writeable else column.copy()


def _int32(values: object) -> Int32:
    return _column(values, np.int32)


def _int64(values: object) -> Int64:
    return _column(values, np.int64)


def _float64(values: object) -> Float64:
    return _column(values, np.float64)


@attrs.frozen(eq=False)
class TickBatch:
    """k ticks as columns, in order of arrival.

    Attributes
    ----------
    asset : (k,) int32
        Dense index into the `Universe`.
    price, size : (k,) float64
        In the instrument's currency and units. The engine rejects and counts prices that are not
        finite and positive (from 1e-30 to 1e30); a batch may carry them.
    ts_event_ns, ts_init_ns : (k,) int64
        Nanoseconds since the epoch: the venue's time of the trade, and our time of receipt.
    """

    asset: Int32 = attrs.field(converter=_int32)
    price: Float64 = attrs.field(converter=_float64)
    size: Float64 = attrs.field(converter=_float64)
    ts_event_ns: Int64 = attrs.field(converter=_int64)
    ts_init_ns: Int64 = attrs.field(converter=_int64)

    def __attrs_post_init__(self) -> None:
        shape = self.asset.shape
        same = self.price.shape == self.size.shape == self.ts_event_ns.shape == shape
        if not same or self.ts_init_ns.shape != shape or len(shape) != 1:
            shapes = {a.name: getattr(self, a.name).shape for a in attrs.fields(type(self))}
            raise DataError(f"the columns of a TickBatch must have one length, got {shapes}")

    @classmethod
    def of(
        cls,
        asset: npt.ArrayLike,
        price: npt.ArrayLike,
        ts_event_ns: npt.ArrayLike,
        *,
        size: npt.ArrayLike = 0.0,
        ts_init_ns: npt.ArrayLike | None = None,
    ) -> Self:
        """Build a batch from scalars or sequences; missing receipt times equal the event times.

        >>> TickBatch.of(0, [10.0, 10.5], [1_000, 2_000]).price
        array([10. , 10.5])
        """
        init = ts_event_ns if ts_init_ns is None else ts_init_ns
        columns = np.broadcast_arrays(
            np.atleast_1d(asset), np.atleast_1d(price), size, np.atleast_1d(ts_event_ns), init
        )
        return cls(*(column.copy() for column in columns))

    @classmethod
    def concat(cls, batches: Sequence[TickBatch]) -> TickBatch:
        """Join batches in order. One batch is returned as it is, without a copy."""
        if len(batches) == 1:
            return batches[0]
        return cls(*(np.concatenate([getattr(b, n) for b in batches]) for n in _COLUMNS))

    def __len__(self) -> int:
        return len(self.asset)

    def __getitem__(self, part: slice) -> TickBatch:
        return TickBatch(
            self.asset[part],
            self.price[part],
            self.size[part],
            self.ts_event_ns[part],
            self.ts_init_ns[part],
        )


_COLUMNS = tuple(a.name for a in attrs.fields(TickBatch))


class TickBuffer:
    """Preallocated columns that a codec fills and a feed empties; grows by doubling.

    The columns are public and may be written directly by a kernel (rows ``count`` and up, after
    `reserve`); `append` is the same for one tick.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self.count = 0
        self._allocate(capacity)

    def _allocate(self, capacity: int) -> None:
        self.asset = np.empty(capacity, np.int32)
        self.price = np.empty(capacity, np.float64)
        self.size = np.empty(capacity, np.float64)
        self.ts_event_ns = np.empty(capacity, np.int64)
        self.ts_init_ns = np.empty(capacity, np.int64)

    def reserve(self, extra: int) -> None:
        """Make room for `extra` more rows; rows already written stay."""
        needed = self.count + extra
        if needed <= len(self.asset):
            return
        old = [getattr(self, name) for name in _COLUMNS]
        self._allocate(max(needed, 2 * len(self.asset)))
        for name, column in zip(_COLUMNS, old, strict=True):
            getattr(self, name)[: self.count] = column[: self.count]

    def append(
        self, asset: int, price: float, size: float, ts_event_ns: int, ts_init_ns: int
    ) -> None:
        """Write one tick."""
        if self.count == len(self.asset):
            self.reserve(1)
        row = self.count
        self.asset[row] = asset
        self.price[row] = price
        self.size[row] = size
        self.ts_event_ns[row] = ts_event_ns
        self.ts_init_ns[row] = ts_init_ns
        self.count = row + 1

    def take(self) -> TickBatch:
        """Copy the rows out as a batch and start again empty."""
        n = self.count
        self.count = 0
        return TickBatch(
            self.asset[:n].copy(),
            self.price[:n].copy(),
            self.size[:n].copy(),
            self.ts_event_ns[:n].copy(),
            self.ts_init_ns[:n].copy(),
        )


@attrs.frozen
class LinkChange:
    """A feed's connection went up or down: an event in the stream, between two batches.

    Attributes
    ----------
    assets : tuple of int
        The assets that this feed serves.
    up : bool
        True once the connection stands and the subscriptions are sent.
    ts_ns : int
        When, in nanoseconds since the epoch.
    reason : str
        For people; never holds a token.
    """

    assets: tuple[int, ...]
    up: bool
    ts_ns: int
    reason: str = ""


FeedItem = TickBatch | LinkChange


def as_assets(universe: Universe, symbols: Iterable[str]) -> tuple[int, ...]:
    """Dense indices of `symbols`, in their order."""
    return tuple(universe.asset(s) for s in symbols)
