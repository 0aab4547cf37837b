"""rtre's own simulated venue: Finnhub's protocol, without a token, and with history.

The extension: ``{"type":"history","symbol":"AAPL","interval_ms":1000,"intervals":500}`` asks for
past trades, one per interval. They come in chunks, ``{"type":"history","data":[...]}``, oldest
first, as the same objects that trades are made of. Their time of receipt is their event time,
since they would have been received then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rtre.kernels.scan import NS_PER_MS
from rtre.venues._codec import dumps
from rtre.venues.base import Venue
from rtre.venues.finnhub import Finnhub
from rtre.venues.reference import SimulatedReference


class Simulated(Finnhub):
    """One connection to a simulated venue."""

    name: ClassVar[str] = "simulated"
    url: ClassVar[str] = "ws://127.0.0.1:8765"
    token_env: ClassVar[str | None] = None
    offers_history: ClassVar[bool] = True
    reference = SimulatedReference

    def request_history(
        self, symbols: Sequence[str], *, interval_ns: int, intervals: int
    ) -> list[str]:
        """One message per symbol."""
        interval_ms = max(1, interval_ns // NS_PER_MS)
        return [
            dumps(type="history", symbol=symbol, interval_ms=interval_ms, intervals=intervals)
            for symbol in symbols
        ]


VENUE: type[Venue] = Simulated
