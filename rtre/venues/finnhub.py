"""Finnhub's trade stream: JSON text frames, prices as JSON numbers, times in milliseconds.

The venue has no sequence numbers and no trade ids, so a loss cannot be seen, and a subscription is
not acknowledged: silence is success. Its errors do not name the symbol. It pings with a text
message about once a minute on an idle connection, and allows one connection per key.

The condition codes ``c`` are a list, null, or left out; they are not read. Other channels (news)
share the connection and are ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import quote

import msgspec

from rtre.kernels.scan import (
    ANY_TEXT,
    BEGIN,
    FIRST_MS,
    LAST_MS,
    MORE,
    NS_PER_MS,
    PRICE,
    SIZE,
    SYMBOL,
    TIME_MS,
    TRADE,
    join_templates,
    make_template,
)
from rtre.venues._codec import (
    Columns,
    Refusals,
    TwoTierVenue,
    dumps,
    printable,
)
from rtre.venues.base import Notice, Venue
from rtre.venues.reference import FinnhubReference

_VALUES = (b'"p":', PRICE, b',"s":"', SYMBOL, b'","t":', TIME_MS, b',"v":', SIZE, b"}", TRADE, MORE)
_CODES = (b'"c":[', BEGIN, b'"', ANY_TEXT, b'"', MORE, b"],")
_FIRST, _LAST = b'{"data":[', b'],"type":"trade"}'
_TEMPLATE = join_templates(
    make_template(_FIRST, BEGIN, b"{", *_CODES, *_VALUES, _LAST),
    make_template(_FIRST, BEGIN, b"{", *_VALUES, _LAST),
    make_template(_FIRST, BEGIN, b'{"c":null,', *_VALUES, _LAST),
    make_template(b'{"type":"trade","data":[', BEGIN, b"{", *_VALUES, b"]}"),
)


class _Trade(msgspec.Struct, gc=False):
    p: float
    s: str
    t: int
    v: float


class _Message(msgspec.Struct, gc=False):
    type: str
    data: list[_Trade] | None = None
    msg: str | None = None


class _Kind(msgspec.Struct, gc=False):
    type: str


_decode = msgspec.json.Decoder(_Message).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode
_KNOWN = frozenset({"trade", "history", "ping", "error"})
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Finnhub(TwoTierVenue):
    """One connection to Finnhub, or to anything that speaks its protocol."""

    name: ClassVar[str] = "finnhub"
    url: ClassVar[str] = "wss://ws.finnhub.io"
    token_env: ClassVar[str | None] = "FINNHUB_TOKEN"
    silence_s: ClassVar[float] = 150.0
    template = _TEMPLATE
    reference = FinnhubReference

    def endpoint(self, url: str, token: str | None) -> str:
        """`url` with the token in its query string."""
        if token is None:
            return url
        return f"{url}{'&' if '?' in url else '?'}token={quote(token, safe='')}"

    def subscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message per symbol."""
        return [dumps(type="subscribe", symbol=symbol) for symbol in symbols]

    def unsubscribe(self, symbols: Sequence[str]) -> list[str]:
        """One message per symbol."""
        return [dumps(type="unsubscribe", symbol=symbol) for symbol in symbols]

    def read_frame(
        self, payload: memoryview, i: int, ts_init_ns: int, columns: Columns, refusals: Refusals
    ) -> None:
        """The strict tier; see `TwoTierVenue`."""
        try:
            message = _decode(payload)
        except _UNREADABLE as error:
            if _is_other_channel(payload):
                self.counts.ignored += 1
            else:
                refusals.frame(i, payload, error)
            return
        kind = message.type
        if kind == "trade" or (kind == "history" and self.offers_history):
            if message.data is None:
                refusals.frame(
                    i, payload, ValueError("Object missing required field `data` - at `$`")
                )
            else:
                self._read_trades(
                    message.data, i, None if kind == "history" else ts_init_ns, columns, refusals
                )
        elif kind == "ping":
            self.counts.heartbeats += 1
        elif kind == "error":
            text = printable(message.msg or "") or "an error without a text"
            words = text.lower()
            fatal = "invalid" in words and ("key" in words or "token" in words)
            refusals.tell(Notice("error", text, fatal=fatal))
        else:
            self.counts.ignored += 1

    def _read_trades(
        self,
        trades: list[_Trade],
        i: int,
        ts_init_ns: int | None,
        columns: Columns,
        refusals: Refusals,
    ) -> None:
        self.counts.received += len(trades)
        for k, trade in enumerate(trades):
            asset = self._index.get(trade.s)
            if asset is None:
                refusals.unknown_symbol(i, trade.s)
            elif not trade.p > 0.0:  # the decoder lets neither NaN nor infinity through
                refusals.tick("price", i, f"data[{k}].p: {trade.p!r} is not a price")
            elif not trade.v >= 0.0:
                refusals.tick("size", i, f"data[{k}].v: {trade.v!r} is not a size")
            elif not FIRST_MS <= trade.t <= LAST_MS:
                what = f"{str(trade.t)[:24]} is not a time in milliseconds"
                refusals.tick("time", i, f"data[{k}].t: {what}")
            else:
                event_ns = trade.t * NS_PER_MS
                columns.append(
                    asset,
                    trade.p,
                    trade.v,
                    event_ns,
                    event_ns if ts_init_ns is None else ts_init_ns,
                )


def _is_other_channel(payload: memoryview) -> bool:
    try:
        return _decode_kind(payload).type not in _KNOWN
    except _UNREADABLE:
        return False


VENUE: type[Venue] = Finnhub
