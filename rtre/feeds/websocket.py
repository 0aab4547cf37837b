"""A live feed: one venue over one WebSocket, connected again for as long as it takes.

Each session is the same short story: connect, subscribe from the wanted set, read. Whatever ends
it is a `LinkError`; the assets are told to be DISCONNECTED, and after a jittered delay the next
session begins. Everything else that is raised here is a bug, and stops the program.
"""

from __future__ import annotations

import functools
import logging
import random
import ssl
import time
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import trio

from rtre.errors import HandshakeFailedError, LinkClosedError, LinkError
from rtre.feeds.backoff import Backoff
from rtre.feeds.base import FeedStatistics, TickChannel
from rtre.feeds.recording import Recorder
from rtre.feeds.transport import Link, LinkLimits, open_link
from rtre.figures import TickCounts
from rtre.market import LinkChange, TickBuffer, Universe, as_assets
from rtre.venues.base import DecodeCounts, Venue
from rtre.venues.frames import Frames

log = logging.getLogger("rtre.feed")

_REFUSED = frozenset({401, 403})
_REFUSED_DELAY_S = 60.0  #: a token does not become right by trying again soon
_BUSY_DELAY_S = 30.0  #: after HTTP 429, at least; longer where a Retry-After says so


class WebSocketFeed:
    """Ticks of some symbols from one venue.

    Parameters
    ----------
    venue : type of Venue
        A new one is made for each connection.
    universe : Universe
    symbols : sequence of str
        The wanted set: subscribed to on each connection.
    url : str, optional
        Instead of the venue's own.
    token : str, optional
        A secret: it goes into the URL and nowhere else.
    history : (interval_ns, intervals), optional
        Ask for this much of the past on the first connection, and for what an outage swallowed on
        later ones, where the venue offers history.
    rng : random.Random, optional
        For the jitter.
    recorder : Recorder, optional
        Gets all that is received.
    """

    def __init__(
        self,
        venue: type[Venue],
        universe: Universe,
        symbols: Sequence[str],
        *,
        url: str | None = None,
        token: str | None = None,
        history: tuple[int, int] | None = None,
        limits: LinkLimits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        rng: random.Random | None = None,
        recorder: Recorder | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.name = venue.name
        self.symbols = tuple(symbols)
        self._kind = venue
        self._universe = universe
        self._assets = as_assets(universe, symbols)
        self._endpoint = venue(universe).endpoint(url or venue.url, token)
        self._token = token
        self._history = history
        self._limits = limits or LinkLimits()
        self._ssl_context = ssl_context
        self._backoff = Backoff(rng or random.Random())
        self._recorder = recorder
        self._clock_ns = clock_ns
        self._venue = venue(universe)
        self._past = DecodeCounts()  # of the connections before this one
        self._link: Link | None = None
        self._partial = self._of_history = 0
        self._connections = self._attempts = 0
        self._first_data = self._last_data = 0.0
        self._data_ns: int | None = None  # receipt of the last ticks, of whichever connection
        self._notice = ""

    def __repr__(self) -> str:
        return f"<WebSocketFeed {self.name} {','.join(self.symbols)}>"

    def refused(self) -> tuple[int, int]:
        """Ticks rejected and duplicates dropped so far."""
        past, now = self._past, self._venue.counts
        return past.rejected + now.rejected, past.duplicate + now.duplicate

    def statistics(self) -> FeedStatistics:
        """Return what happened so far, over all connections."""
        now, past = attrs.asdict(self._venue.counts), attrs.asdict(self._past)
        total = {name: now[name] + past[name] for name in now}
        partial = self._link.statistics().partial if self._link else 0
        return FeedStatistics(
            name=self.name,
            connected=self._link is not None,
            connections=self._connections,
            attempts=self._attempts,
            messages=total["frames"],
            heartbeats=total["heartbeats"],
            partial=self._partial + partial,
            received=total["received"],
            history=self._of_history,
            counts=TickCounts(rejected=total["rejected"], duplicate=total["duplicate"]),
            missing=total["missing"],
            notice=self._notice,
        )

    async def run(self, out: TickChannel) -> None:
        """Connect, read, and connect again, until cancelled."""
        self._tell(out, up=False, reason="connecting")
        while True:
            self._attempts += 1
            self._first_data = self._last_data = 0.0
            try:
                await self._session(out)
            except LinkError as error:
                failure = error
            self._tell(out, up=False, reason=str(failure))
            delay = self._delay_after(failure)
            self._note(f"{failure}; next attempt in {delay:.1f} s")
            await trio.sleep(delay)

    def _delay_after(self, failure: LinkError) -> float:
        delay = self._backoff.next_delay(self._last_data - self._first_data)
        if not isinstance(failure, HandshakeFailedError):
            return delay
        floor = failure.retry_after_s or 0.0
        if failure.status in _REFUSED:
            floor = max(floor, _REFUSED_DELAY_S)
        elif failure.status == 429:
            floor = max(floor, _BUSY_DELAY_S)
        return floor + delay  # the jitter stays, or all who were sent away come back together

    async def _session(self, out: TickChannel) -> None:
        """One connection, from the handshake to the `LinkError` that ends it."""
        async with open_link(
            self._endpoint, limits=self._limits, ssl_context=self._ssl_context
        ) as link:
            self._keep_counts()
            self._venue = self._kind(self._universe)
            self._link = link
            self._connections += 1
            try:
                await self._subscribe(link, out)
                await self._read(link, out)
            finally:
                self._link = None
                self._partial += link.statistics().partial

    async def _subscribe(self, link: Link, out: TickChannel) -> None:
        try:
            for text in (*self._wanted_history(), *self._venue.subscribe(self.symbols)):
                await link.send(text)
        except LinkClosedError:
            return  # reading says so too, after what came before: the venue's own reason, often
        self._tell(out, up=True, reason="subscribed")

    def _keep_counts(self) -> None:
        for name, value in attrs.asdict(self._venue.counts).items():
            setattr(self._past, name, getattr(self._past, name) + value)

    def _wanted_history(self) -> list[str]:
        if self._history is None:
            return []
        interval_ns, intervals = self._history
        if self._data_ns is not None:
            # Not since the last attempt failed, nor since silence was noticed: since there was data
            outage = (self._clock_ns() - self._data_ns) // interval_ns + 2
            intervals = min(intervals, outage)
        return self._venue.request_history(
            self.symbols, interval_ns=interval_ns, intervals=intervals
        )

    async def _read(self, link: Link, out: TickChannel) -> None:
        """Read until the link ends, or is silent for longer than this venue ever is."""
        ended = LinkClosedError(f"{self.name}: not a byte for {self._kind.silence_s:g} s")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, link, nursery.cancel_scope)
            buffer = TickBuffer()
            try:
                await link.deliver(functools.partial(self._take, buffer, out))
            except LinkClosedError as error:  # caught here: a nursery would wrap it in a group
                ended = error
            nursery.cancel_scope.cancel()
        raise ended

    def _take(self, buffer: TickBuffer, out: TickChannel, frames: Frames) -> None:
        """Record, decode and hand on the messages of one read."""
        now = self._clock_ns()
        if self._recorder is not None:
            self._recorder.write(now, frames)
        for notice in self._venue.decode(frames, now, buffer):
            self._note(f"{notice.kind}: {notice.text}")
        if buffer.count:
            self._data_ns = now
            self._last_data = trio.current_time()
            self._first_data = self._first_data or self._last_data
            batch = buffer.take()
            if self._history is not None:  # a past trade is stamped with its own time
                self._of_history += int(np.count_nonzero(batch.ts_init_ns != now))
            out.send_nowait(batch)

    async def _watch(self, link: Link, session: trio.CancelScope) -> None:
        """End the session when not a byte has come for `silence_s`."""
        while True:
            # A time, not a length: the rest of a length can round to a sleep that takes no time
            dead = link.statistics().last_byte + self._kind.silence_s
            if trio.current_time() >= dead:
                session.cancel()
                return
            await trio.sleep_until(dead)

    def _tell(self, out: TickChannel, *, up: bool, reason: str) -> None:
        now, reason = self._clock_ns(), self._without_token(reason)
        if self._recorder is not None:
            self._recorder.mark(now, up=up, reason=reason)
        out.send_nowait(LinkChange(self._assets, up, now, reason))

    def _note(self, text: str) -> None:
        """Keep and log what people should know."""
        self._notice = self._without_token(text)
        log.warning("%s: %s", self.name, self._notice)

    def _without_token(self, text: str) -> str:
        """Return `text` without the token, which a venue may repeat in what it says."""
        return text.replace(self._token, "***") if self._token else text
