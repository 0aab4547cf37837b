"""Values of the market: symbols, ticks, and how good they are.

A tick never travels alone. `TickBatch` holds k of them as columns, ready for one kernel call;
`TickBuffer` is the preallocated place where a codec writes them, one pass per socket read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import IntFlag
from typing import Self

import attrs
import numpy as np
import numpy.typing as npt

from rtre.errors import DataError

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]

_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/_^=@+\-]{0,31}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .:/_^=@+\-]{0,31}")


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
    return _check(symbol, _SYMBOL, "a symbol", "digits")


def check_name(name: str) -> str:
    """Return `name` if a book may be called so: like a symbol, and with spaces.

    Raises
    ------
    DataError
        With the offending text in `repr` form.
    """
    return _check(name, _NAME, "a book's name", "digits, spaces")


def _check(text: str, pattern: re.Pattern[str], what: str, others: str) -> str:
    if not pattern.fullmatch(text):
        raise DataError(
            f"{text[:64]!r} is not {what}: 1 to 32 letters, {others}, or any of "
            f". : / _ ^ = @ + -, a letter or digit first"
        )
    return text


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


ASSET, PRICE, SIZE, TS_EVENT, TS_INIT = 0, 1, 2, 3, 4  #: rows of a block of ticks
_ROWS = 5
_INT64 = np.dtype(np.int64)


class TickBatch:
    """k ticks as columns, in order of arrival.

    The columns lie in one block of memory, because a compiled call costs about 40 ns for each array
    it is given; a slice of a batch is the same block with other bounds.

    Parameters
    ----------
    block : (5, n) int64, C-contiguous and writeable
        Rows asset, price, size, ts_event_ns, ts_init_ns; price and size are the bits of float64.
        Not copied, and not to be changed afterwards.
    start, stop : int
        The ticks of the block that belong to the batch.

    Raises
    ------
    DataError
        The block is not of this kind, or the ticks do not lie in it.

    Attributes
    ----------
    asset : (k,) int64
        Dense index into the `Universe`.
    price, size : (k,) float64
        In the instrument's currency and units. The engine rejects and counts prices that are not
        finite and positive (from 1e-30 to 1e30); a batch may carry them.
    ts_event_ns, ts_init_ns : (k,) int64
        Nanoseconds since the epoch: the venue's time of the trade, and our time of receipt.
    """

    __slots__ = ("block", "start", "stop")

    def __init__(self, block: Int64, start: int, stop: int) -> None:
        # a compiled kernel reads what these say, and looks at nothing
        if block.dtype != _INT64 or block.shape[:-1] != (_ROWS,) or not block.flags.c_contiguous:
            raise DataError(
                f"a block of ticks is a C-contiguous array of int64 with {_ROWS} rows; "
                f"got {block.dtype} of shape {block.shape}"
            )
        if not 0 <= start <= stop <= block.shape[1]:
            raise DataError(f"ticks {start} to {stop} do not lie in a block of {block.shape}")
        self.block = block
        self.start = start
        self.stop = stop

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

        Raises DataError where the lengths differ.

        >>> TickBatch.of(0, [10.0, 10.5], [1_000, 2_000]).price
        array([10. , 10.5])
        """
        init = ts_event_ns if ts_init_ns is None else ts_init_ns
        columns = [np.atleast_1d(c) for c in (asset, price, size, ts_event_ns, init)]
        try:
            n = np.broadcast_shapes(*(c.shape for c in columns))
        except ValueError:
            n = ()
        if len(n) != 1:
            shapes = dict(zip(_NAMES, (c.shape for c in columns), strict=True))
            raise DataError(f"the columns of a TickBatch must have one length, got {shapes}")
        batch = cls(np.empty((_ROWS, *n), np.int64), 0, n[0])
        for name, column in zip(_NAMES, columns, strict=True):
            getattr(batch, name)[:] = column
        return batch

    @classmethod
    def concat(cls, batches: Sequence[TickBatch]) -> TickBatch:
        """Join batches in order. One batch is returned as it is, without a copy."""
        if len(batches) == 1:
            return batches[0]
        block = np.concatenate([b.block[:, b.start : b.stop] for b in batches], axis=1)
        return cls(block, 0, block.shape[1])

    def take(self, index: Int64) -> TickBatch:
        """Copy the ticks at some places, in that order, to a new batch."""
        block = self.block[:, self.start : self.stop][:, index]
        return TickBatch(np.ascontiguousarray(block), 0, len(index))

    @property
    def asset(self) -> Int64:
        return self.block[ASSET, self.start : self.stop]

    @property
    def price(self) -> Float64:
        return self.block[PRICE, self.start : self.stop].view(np.float64)

    @property
    def size(self) -> Float64:
        return self.block[SIZE, self.start : self.stop].view(np.float64)

    @property
    def ts_event_ns(self) -> Int64:
        return self.block[TS_EVENT, self.start : self.stop]

    @property
    def ts_init_ns(self) -> Int64:
        return self.block[TS_INIT, self.start : self.stop]

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, part: slice) -> TickBatch:
        start, stop, step = part.indices(self.stop - self.start)
        if step != 1:
            raise DataError(f"a TickBatch is sliced in steps of 1, got {step}")
        return TickBatch(self.block, self.start + start, self.start + max(stop, start))

    def __repr__(self) -> str:
        columns = ", ".join(f"{name}={getattr(self, name)!r}" for name in _NAMES)
        return f"TickBatch({columns})"


_NAMES = ("asset", "price", "size", "ts_event_ns", "ts_init_ns")


class TickBuffer:
    """Preallocated columns that a codec fills and a feed empties; grows by doubling.

    The columns are public and may be written directly by a kernel (rows ``count`` and up, after
    `reserve`); `append` is the same for one tick.
    """

    def __init__(self, capacity: int = 1024) -> None:
        self.count = 0
        self._allocate(capacity)

    def _allocate(self, capacity: int) -> None:
        self._block = block = np.empty((_ROWS, capacity), np.int64)
        self.asset = block[ASSET]
        self.price = block[PRICE].view(np.float64)
        self.size = block[SIZE].view(np.float64)
        self.ts_event_ns = block[TS_EVENT]
        self.ts_init_ns = block[TS_INIT]

    def reserve(self, extra: int) -> None:
        """Make room for `extra` more rows; rows already written stay."""
        needed = self.count + extra
        if needed <= len(self.asset):
            return
        old = self._block
        self._allocate(max(needed, 2 * len(self.asset)))
        self._block[:, : self.count] = old[:, : self.count]

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
        return TickBatch(self._block[:, :n].copy(), 0, n)


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
