"""A venue on this machine that speaks Finnhub's protocol, with made-up trades.

For a first look without a key, for load, and for tests: a real WebSocket server on 127.0.0.1, fed
by a `SyntheticMarket`. What a client may send:

    {"type": "subscribe", "symbol": "AAPL"}      no answer, as on the real venue
    {"type": "unsubscribe", "symbol": "AAPL"}    no answer
    {"type": "history", "symbol": "AAPL", "interval_ms": 1000, "intervals": 500}

The last is ours: one past trade for each interval, oldest first, in frames of type ``history``
that look like trade frames otherwise. They come before every live trade of that symbol that is
later than they are. Anything else gets an error and the tenth error the end of the connection.

One task advances the market and puts frames into a bounded queue for each client. A client whose
queue is full loses trades, counted in `VenueStatistics.dropped`, and nobody else does; if it takes
nothing for five seconds it is cut off.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import attrs
import numpy as np
import trio

from rtre.errors import DataError, LinkClosedError
from rtre.feeds.server import Connection, Server, ServerStatistics, serve_connections
from rtre.feeds.simulated_frames import (
    PING,
    TOO_MANY,
    error_frame,
    frame_cuts,
    read_request,
    token_of,
    trade_frames,
)
from rtre.feeds.synthetic import SyntheticMarket, Trades
from rtre.market import check_symbol

PUMP_S = 0.02
PING_AFTER_S = 60.0
MAX_BEHIND_S = 2.0
MAX_ERRORS = 10
MAX_QUEUED = 256  # a client: what one pass of the pump has for it counts as one
MAX_SYMBOLS = 5000  # over all clients and all time
HISTORY_CHUNK = 500


@attrs.frozen
class VenueStatistics:
    """Counts since the venue started.

    Attributes
    ----------
    server : ServerStatistics
        What became of the connections.
    trades, frames : int
        Trades and frames put into the queues of clients, history included.
    dropped : int
        Trades that a client lost because its queue was full, or the venue silent.
    errors : int
        Error messages sent.
    refused : int
        Connections refused for their token.
    evicted : int
        Connections closed because a second one came with the same token.
    skipped_ns : int
        Time without trades because the venue could not keep up.
    """

    server: ServerStatistics
    trades: int
    frames: int
    dropped: int
    errors: int
    refused: int
    evicted: int
    skipped_ns: int


@attrs.frozen
class _History:
    """A request for history, in its place among the frames of a client."""

    symbol: str
    interval_ns: int
    intervals: int
    until_ns: int


@attrs.define(eq=False)
class _Client:
    connection: Connection
    token: str
    outbox: trio.MemorySendChannel[list[str] | _History]
    last_sent: float
    symbols: dict[int, str] = attrs.Factory(dict)
    errors: int = 0
    close_code: int = 1000
    closing: bool = False

    def close(self, code: int) -> None:
        if not self.closing:
            self.closing, self.close_code = True, code
            self.outbox.close()  # wakes the writer, which ends after the frame it is sending


class SimulatedVenue:
    """A running venue: where it is, what it has done, and the faults that can be put into it.

    `serve_venue` makes one. All methods return at once.
    """

    def __init__(
        self,
        *,
        seed: int,
        rate: float,
        symbol_limit: int | None,
        tokens: frozenset[str] | None,
        one_per_token: bool,
        host: str,
        clock_ns: Callable[[], int],
    ) -> None:
        self._started = trio.current_time()
        self._start_ns = clock_ns()
        self._market = SyntheticMarket(seed, self._start_ns, rate)
        self._rng = np.random.default_rng(seed)
        self._symbol_limit = symbol_limit
        self._tokens = tokens
        self._one_per_token = one_per_token
        self._host = host
        self._clients: list[_Client] = []
        self._silent = False
        self._count: Counter[str] = Counter()
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """Where the venue listens."""
        return 0 if self._server is None else self._server.port

    @property
    def url(self) -> str:
        """Where to connect; add ``?token=...`` to it, or nothing."""
        return f"ws://{self._host}:{self.port}/"

    @property
    def now_ns(self) -> int:
        """The venue's time: `clock_ns` at the start, carried on by Trio's clock."""
        return self._start_ns + round((trio.current_time() - self._started) * 1e9)

    def statistics(self) -> VenueStatistics:
        """Counts since the start."""
        server = ServerStatistics() if self._server is None else self._server.statistics()
        names = [a.name for a in attrs.fields(VenueStatistics) if a.name != "server"]
        return VenueStatistics(server, **{name: self._count[name] for name in names})

    def drop_all(self) -> None:
        """Lose every connection, without a close frame."""
        for client in self._clients:
            client.connection.abort()

    def close_all(self, code: int = 1001) -> None:
        """Close every connection with a close frame that carries `code`."""
        for client in self._clients:
            client.close(code)

    def silence(self, silent: bool) -> None:
        """Send nothing while `silent`; connections stay, and what would be sent is lost."""
        self._silent = silent

    def inject(self, text: str) -> None:
        """Send `text` to every client as one text frame, whatever it is."""
        for client in self._clients:
            self._offer(client, [text])

    async def _run(self) -> None:
        """Advance the market and send its trades, until cancelled."""
        while True:
            await trio.sleep(PUMP_S)
            self._advance()

    def _advance(self) -> None:
        now_ns, market = self.now_ns, self._market
        behind_ns = now_ns - market.now_ns
        if behind_ns > MAX_BEHIND_S * 1e9:
            market.skip(now_ns)
            self._count["skipped_ns"] += behind_ns
        trades = market.advance(now_ns)
        encoded: dict[frozenset[int], tuple[list[str], int]] = {}
        for client in self._clients:
            wanted = frozenset(client.symbols)
            if wanted and wanted not in encoded:
                encoded[wanted] = self._frames(trades, wanted)
            if wanted:
                self._offer(client, *encoded[wanted])
            if trio.current_time() - client.last_sent >= PING_AFTER_S:
                self._offer(client, [PING])

    def _frames(self, trades: Trades, wanted: frozenset[int]) -> tuple[list[str], int]:
        """The frames that a client with these subscriptions gets, and the trades in them."""
        mine = trades[np.isin(trades.asset, list(wanted))]
        cuts = frame_cuts(len(mine), self._rng)
        return trade_frames(mine, self._market.symbols, cuts), len(mine)

    def _offer(self, client: _Client, frames: list[str], trades: int = 0) -> None:
        """Put frames into a client's queue, or lose them and count their trades."""
        if not frames or client.closing:
            return
        if self._silent:
            self._count["dropped"] += trades
            return
        try:
            client.outbox.send_nowait(frames)
        except trio.WouldBlock:
            self._count["dropped"] += trades
            return
        client.last_sent = trio.current_time()
        self._count["frames"] += len(frames)
        self._count["trades"] += trades

    async def _serve(self, connection: Connection) -> None:
        """Serve one client, from its handshake to its end."""
        token = token_of(connection.path)
        if token is None or (self._tokens is not None and token not in self._tokens):
            self._count["refused"] += 1
            await connection.reject(401)
            return
        await connection.accept()
        outbox, inbox = trio.open_memory_channel[list[str] | _History](MAX_QUEUED)
        client = _Client(connection, token, outbox, trio.current_time())
        self._clients.append(client)
        try:
            self._evict(token)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._read, client)
                await self._write(client, inbox)
                await connection.close(client.close_code)
                nursery.cancel_scope.cancel()
        finally:
            self._clients.remove(client)
            self._set_active()

    def _evict(self, token: str) -> None:
        """Close every connection of a token that is used twice, the new one too."""
        same = [c for c in self._clients if c.token == token and not c.closing]
        if token and self._one_per_token and len(same) > 1:
            for client in same:
                client.close(1008)
                self._count["evicted"] += 1

    async def _write(
        self, client: _Client, inbox: trio.MemoryReceiveChannel[list[str] | _History]
    ) -> None:
        async for item in inbox:
            if client.closing:
                return
            if isinstance(item, _History):
                await self._write_history(client, item)
            else:
                await client.connection.send(*item)

    async def _write_history(self, client: _Client, wanted: _History) -> None:
        try:
            trades = self._market.history(**attrs.asdict(wanted))
        except DataError as error:
            self._complain(client, str(error))
            return
        for start in range(0, len(trades), HISTORY_CHUNK):
            if client.closing:
                return
            chunk = trades[start : start + HISTORY_CHUNK]
            if self._silent:
                self._count["dropped"] += len(chunk)
                continue
            (frame,) = trade_frames(chunk, self._market.symbols, [0, len(chunk)], "history")
            await client.connection.send(frame)
            client.last_sent = trio.current_time()
            self._count["frames"] += 1
            self._count["trades"] += len(chunk)

    async def _read(self, client: _Client) -> None:
        # ClosedResourceError: the connection was told to close while a request waited for room.
        with contextlib.suppress(LinkClosedError, trio.ClosedResourceError):
            while client.errors < MAX_ERRORS:
                await self._obey(client, await client.connection.receive())
        client.close(1008)

    async def _obey(self, client: _Client, message: str | bytes) -> None:
        problem, listed = "", self._market.symbols
        try:
            request = read_request(message)
            if request.type not in {"subscribe", "unsubscribe", "history"}:
                problem = f"Unknown message type {request.type[:64]!r}"
            else:
                check_symbol(request.symbol)
        except (ValueError, RecursionError) as error:
            problem = f"Invalid message: {error}"
        if problem:
            client.errors += 1
            self._complain(client, problem)
        elif request.type == "unsubscribe":
            self._unsubscribe(client, request.symbol)
        elif len(listed) >= MAX_SYMBOLS and request.symbol not in listed:
            self._complain(client, TOO_MANY)
        elif request.type == "subscribe":
            self._subscribe(client, request.symbol)
        else:
            interval_ns, until_ns = request.interval_ms * 1_000_000, self._market.now_ns
            # Waits while the queue is full, so that a client cannot ask faster than it reads.
            await client.outbox.send(
                _History(request.symbol, interval_ns, request.intervals, until_ns)
            )

    def _subscribe(self, client: _Client, symbol: str) -> None:
        limit = self._symbol_limit
        known = symbol in client.symbols.values()
        if not known and limit is not None and len(client.symbols) >= limit:
            self._complain(client, TOO_MANY)
        elif not known:
            client.symbols[self._market.add(symbol)] = symbol
            self._set_active()

    def _unsubscribe(self, client: _Client, symbol: str) -> None:
        client.symbols = {a: s for a, s in client.symbols.items() if s != symbol}
        self._set_active()

    def _set_active(self) -> None:
        """Spread the trades over the symbols that somebody listens to."""
        self._market.set_active(asset for client in self._clients for asset in client.symbols)

    def _complain(self, client: _Client, problem: str) -> None:
        self._count["errors"] += 1
        self._offer(client, [error_frame(problem)])


async def serve_venue(
    *,
    seed: int = 0,
    rate: float = 20.0,
    host: str = "127.0.0.1",
    port: int = 0,
    symbol_limit: int | None = 50,
    tokens: frozenset[str] | None = None,
    one_per_token: bool = True,
    connections: int = 64,
    clock_ns: Callable[[], int] = time.time_ns,
    task_status: trio.TaskStatus[SimulatedVenue] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run a simulated venue until cancelled; start it with ``await nursery.start(serve_venue)``.

    Parameters
    ----------
    seed : int
        Of the market: prices, times and sizes.
    rate : float
        Trades a second, in total over the symbols that anybody is subscribed to.
    host, port
        Where to listen; port 0 lets the system choose one, see `SimulatedVenue.url`.
    symbol_limit : int or None
        Subscriptions of one connection; 50 as with the real venue's free key, None for no limit.
    tokens : frozenset of str or None
        Tokens that are good; others get HTTP 401. None: any token is, and none at all.
    one_per_token : bool
        A second connection with the same token closes both, as on the real venue. The close
        code, 1008, is a guess.
    connections : int
        At a time.
    clock_ns : callable
        Read once, for the venue's time at the start; Trio's clock carries it on. With a virtual
        clock the venue lives in virtual time.

    Raises
    ------
    OSError
        When the address cannot be listened at.
    DataError
        For a `rate` out of range.
    """
    venue = SimulatedVenue(
        seed=seed,
        rate=rate,
        symbol_limit=symbol_limit,
        tokens=tokens,
        one_per_token=one_per_token,
        host=host,
        clock_ns=clock_ns,
    )
    serve = partial(serve_connections, venue._serve, host=host, port=port, limit=connections)
    async with trio.open_nursery() as nursery:
        venue._server = await nursery.start(serve)
        nursery.start_soon(venue._run)
        task_status.started(venue)
