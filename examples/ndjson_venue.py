"""A venue of your own in one file: a server that sends one small JSON array a trade.

The messages are ``["AAPL", 190.5, 100, 1700000000.25]``: symbol, price, size, seconds.

    python -m rtre --feed examples.ndjson_venue:Ndjson --url ws://127.0.0.1:9000 -s AAPL
    python examples/ndjson_venue.py
"""

from typing import ClassVar

import msgspec

from rtre import Universe
from rtre.market import TickBuffer
from rtre.venues.base import Notice, Venue
from rtre.venues.frames import Frames


class Ndjson(Venue):
    """No I/O and no clock in here: payloads in, ticks and notices out."""

    name: ClassVar[str] = "ndjson"
    url: ClassVar[str] = "wss://ndjson.example"
    _decoder = msgspec.json.Decoder(tuple[str, float, float, float])

    def subscribe(self, symbols):
        return [f'{{"subscribe":"{symbol}"}}' for symbol in symbols]

    def unsubscribe(self, symbols):
        return [f'{{"unsubscribe":"{symbol}"}}' for symbol in symbols]

    def decode(self, frames: Frames, ts_init_ns: int, out: TickBuffer) -> list[Notice]:
        notices = []
        for payload in frames:
            self.counts.frames += 1
            self.counts.received += 1
            try:
                symbol, price, size, seconds = self._decoder.decode(payload)
                asset = self.universe.index[symbol]
                out.append(asset, price, size, int(seconds * 1e9), ts_init_ns)
                self.counts.decoded += 1
            except (msgspec.DecodeError, UnicodeDecodeError, KeyError, OverflowError) as error:
                self.counts.rejected += 1
                notices.append(Notice("rejected", f"not a trade: {type(error).__name__}"))
        return notices


if __name__ == "__main__":
    venue, buffer = Ndjson(Universe(("AAPL",))), TickBuffer()
    frames = Frames.of([b'["AAPL", 190.5, 100, 1700000000.25]', b'["AAPL", "cheap"]'])
    for notice in venue.decode(frames, 1_700_000_000_300_000_000, buffer):
        print(notice.kind, notice.text)
    print(buffer.take())
