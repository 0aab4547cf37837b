"""Binance's spot trade stream: combined or raw JSON frames, prices as strings, ids per symbol.

Trade ids of a symbol rise by one. [The venue does not promise that; it follows from the meaning of
the field and holds in the recorded streams.] So a loss is seen as a jump and a repeat as an id that
is not new. Both are counted. An id counts as seen even where the trade's price is refused.

The venue pings with ping frames, allows five messages from us per second, and ends each connection
after a day. Streams other than ``<symbol>@trade`` are known and ignored. The frames of the busiest
of these, order books and quotes, are known by how they begin and not looked into, so a damaged one
counts as ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import numpy as np

from rtre.kernels.scan import (
    ANY_BOOLEAN,
    ANY_INTEGER,
    ANY_NAME,
    ANY_TEXT,
    FIRST_MS,
    LAST_MS,
    NS_PER_MS,
    PRICE,
    REST,
    SIZE,
    SYMBOL,
    TIME_MS,
    TRADE,
    TRADE_ID,
    join_templates,
    make_template,
)
from rtre.market import Universe
from rtre.venues._codec import (
    SCAN_BYTES,
    Columns,
    Refusals,
    TwoTierVenue,
    dumps,
    printable,
)
from rtre.venues.base import Notice, Venue
from rtre.venues.reference import BinanceReference

_DECIMAL = re.compile(r"[0-9]{1,32}(?:\.[0-9]{1,32})?")  # float() alone takes "nan" and "1_0"
_STREAMS_PER_MESSAGE = 100  # keeps a message short; the venue allows 1,024 streams a connection
_LAST_ID = 2**63 - 1


_EVENT = (
    *(b'{"e":"trade","E":', ANY_INTEGER, b',"s":"', SYMBOL, b'","t":', TRADE_ID),
    *(b',"p":"', PRICE, b'","q":"', SIZE, b'","T":', TIME_MS),
    *(b',"m":', ANY_BOOLEAN, b',"M":', ANY_BOOLEAN, b"}", TRADE),
)
_STREAM = b'{"stream":"'
_TEMPLATE = join_templates(
    make_template(_STREAM, ANY_TEXT, b'","data":', *_EVENT, b"}"),
    make_template(*_EVENT),
    make_template(_STREAM, ANY_NAME, b'@bookTicker"', REST),
    make_template(_STREAM, ANY_NAME, b"@depth", REST),
    make_template(_STREAM, ANY_NAME, b'@aggTrade"', REST),
    make_template(_STREAM, ANY_NAME, b"@kline_", REST),
    make_template(b'{"e":"depthUpdate",', REST),
    make_template(b'{"u":', ANY_INTEGER, b',"s":"', REST),  # a raw bookTicker
)
# The same for the strict tier. Tests hold that both tiers agree.
_OTHER = re.compile(
    rb'\{"stream":"[A-Za-z0-9_]+@(?:bookTicker"|depth|aggTrade"|kline_)'
    rb'|\{"e":"depthUpdate",|\{"u":(?:0|[1-9][0-9]{0,17}),"s":"'
)
_ABSENT = msgspec.Raw()


class _Envelope(msgspec.Struct, gc=False):
    e: str | None = None
    data: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    code: int | None = None
    msg: str | None = None


class _Trade(msgspec.Struct, gc=False):
    s: str
    t: int
    p: str
    q: str
    T: int


class _Error(msgspec.Struct, gc=False):
    code: int | None = None
    msg: str | None = None


_decode = msgspec.json.Decoder(_Envelope).decode
_decode_trade = msgspec.json.Decoder(_Trade).decode
_decode_error = msgspec.json.Decoder(_Error).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Binance(TwoTierVenue):
    """One connection to Binance's spot market data."""

    name: ClassVar[str] = "binance"
    url: ClassVar[str] = "wss://data-stream.binance.vision/stream"
    silence_s: ClassVar[float] = 60.0
    template = _TEMPLATE
    reference = BinanceReference

    def __init__(self, universe: Universe, *, scan_bytes: int | None = SCAN_BYTES) -> None:
        super().__init__(universe, scan_bytes=scan_bytes)
        self.last_id = np.full(len(universe), -1, np.int64)
        self._requests = 0

    @classmethod
    def symbol_problem(cls, symbol: str) -> str:
        """Its trades name symbols in upper case, whatever was asked for."""
        upper = symbol.upper()
        return "" if symbol == upper else f"{symbol!r} is not a symbol of binance; write {upper}"

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message per hundred symbols."""
        return self._request("SUBSCRIBE", symbols)

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message per hundred symbols."""
        return self._request("UNSUBSCRIBE", symbols)

    def _request(self, method: str, symbols: Sequence[str]) -> list[str]:
        messages = []
        for at in range(0, len(symbols), _STREAMS_PER_MESSAGE):
            self._requests += 1
            streams = [f"{s.lower()}@trade" for s in symbols[at : at + _STREAMS_PER_MESSAGE]]
            messages.append(dumps(method=method, params=streams, id=self._requests))
        return messages

    def read_frame(
        self, payload: memoryview, i: int, ts_init_ns: int, columns: Columns, refusals: Refusals
    ) -> None:
        """The strict tier; see `TwoTierVenue`."""
        if _OTHER.match(payload):
            self.counts.ignored += 1
            return
        try:
            message = _decode(payload)
            if message.e is None and message.data is not _ABSENT:
                payload = memoryview(message.data)
                message = _decode(payload)
            trade = _decode_trade(payload) if message.e == "trade" else None
        except _UNREADABLE as error:
            refusals.frame(i, payload, error)
            return
        if trade is not None:
            self._read_trade(trade, i, ts_init_ns, columns, refusals)
        elif message.e == "serverShutdown":
            refusals.tell(Notice("error", "the venue announces that it will shut down"))
        elif message.error is not _ABSENT:
            self._tell_error(bytes(message.error), refusals)
        elif message.code is not None:
            self._tell_error(bytes(payload), refusals)
        else:  # another stream, or the answer to a request
            self.counts.ignored += 1

    def _tell_error(self, payload: bytes, refusals: Refusals) -> None:
        try:
            error = _decode_error(payload)
        except _UNREADABLE:
            error = _Error()
        text = error.msg or "an error without a text"
        told = printable(text if error.code is None else f"{error.code}: {text}")
        refusals.tell(Notice("error", told))

    def _read_trade(
        self, trade: _Trade, i: int, ts_init_ns: int, columns: Columns, refusals: Refusals
    ) -> None:
        self.counts.received += 1
        asset = self._index.get(trade.s)
        if asset is None:
            refusals.unknown_symbol(i, trade.s)
            return
        if not 0 <= trade.t <= _LAST_ID:
            refusals.tick("id", i, f"t: {str(trade.t)[:24]} is not a trade id")
            return
        last = int(self.last_id[asset])
        if trade.t <= last:
            self.counts.duplicate += 1
            return
        self.last_id[asset] = trade.t
        if 0 <= last < trade.t - 1:
            self._tell_gap(asset, trade.t - last - 1, refusals)
        price = _number(trade.p)
        size = _number(trade.q)
        if price is None or price == 0.0:
            refusals.tick("price", i, f"p: {trade.p[:40]!r} is not a price")
        elif size is None:
            refusals.tick("size", i, f"q: {trade.q[:40]!r} is not a size")
        elif not FIRST_MS <= trade.T <= LAST_MS:
            refusals.tick("time", i, f"T: {str(trade.T)[:24]} is not a time in milliseconds")
        else:
            columns.append(asset, price, size, trade.T * NS_PER_MS, ts_init_ns)

    def _tell_gap(self, asset: int, missing: int, refusals: Refusals) -> None:
        self.counts.missing += missing
        text = f"{missing} trades of {self.universe.symbols[asset]} are missing"
        refusals.tell(Notice("gap", text, assets=(asset,)))


def _number(text: str) -> float | None:
    """A plain decimal number that is not negative; None for anything else."""
    return float(text) if _DECIMAL.fullmatch(text) else None


VENUE: type[Venue] = Binance
