"""A WebSocket server on which no connection can harm the server or another connection.

Theory of operation
-------------------
trio-websocket does the handshake and the framing. It leaves to its caller what follows here, and
a plain server built on it can be ended by one packet. So each connection runs in a shield:

- whatever a connection raises (a header that is not ASCII, a protocol error, a bug in the handler,
  a group of these) ends that connection, is counted by kind and told in one log line;
- the handshake has a time limit, and ends at once when the client goes away or is refused;
- bytes pass through `GuardedStream` on their way: a write that a client does not take in time, a
  request head or a fragment count out of bounds cut the connection off;
- the socket is closed by force in the end, whatever state the WebSocket is in.

Handlers see `Connection` and the exceptions of `rtre.errors`, never the library.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Awaitable, Callable, Iterator

import attrs
import trio
import trio_websocket

from rtre.errors import LinkClosedError
from rtre.feeds.guarded import End, GuardedStream

logger = logging.getLogger(__name__)

MAX_MESSAGE_CHARS = 16_384
WRITE_TIMEOUT_S = 5.0
CLOSE_TIMEOUT_S = 1.0

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@attrs.frozen
class ServerStatistics:
    """What became of every connection: ``accepted`` is the sum of all the other counts.

    Attributes
    ----------
    accepted : int
        TCP connections taken.
    open : int
        Of these, still there, handshakes included.
    done : int
        Ended by the handler or by the client, at any time after the handshake.
    full : int
        Refused because `limit` connections were open.
    malformed : int
        Gone, or refused, before there was a valid WebSocket request.
    timeout : int
        No complete request within the time for it.
    slow : int
        Cut off because the client did not read.
    flood : int
        Cut off for a message in too many fragments.
    failed : int
        Ended by a bug in the handler.
    """

    accepted: int = 0
    open: int = 0
    done: int = 0
    full: int = 0
    malformed: int = 0
    timeout: int = 0
    slow: int = 0
    flood: int = 0
    failed: int = 0


class Connection:
    """One client, from its request on. Either `accept` or `reject` comes first.

    Attributes
    ----------
    path : str
        Path and query of the request. May hold a token: never log it.
    remote : str
        Address and port of the client.
    """

    def __init__(
        self,
        request: trio_websocket.WebSocketRequest,
        stream: GuardedStream,
        remote: str,
        scope: trio.CancelScope,
    ) -> None:
        self.path: str = request.path
        self.remote = remote
        self._stream = stream
        self._request = request
        self._scope = scope
        self._socket: trio_websocket.WebSocketConnection | None = None

    async def accept(self) -> None:
        """Complete the handshake."""
        with _mapped():
            self._socket = await self._request.accept()

    async def reject(self, status: int) -> None:
        """Refuse the handshake with an HTTP status."""
        with _mapped():
            await self._request.reject(status, body=b"")

    async def receive(self) -> str | bytes:
        """Wait for the next message.

        Raises
        ------
        LinkClosedError
            When there will be none.
        """
        with _mapped():
            message: str | bytes = await self._accepted.get_message()
        return message

    async def send(self, *messages: str) -> None:
        """Send text messages, in one write however many they are: that is what sending costs.

        One task at a time may call this.

        Raises
        ------
        LinkClosedError
            The connection has ended, or the client did not take them in time.
        """
        with _mapped():
            self._stream.hold()
            try:
                for message in messages:
                    await self._accepted.send_message(message)
            finally:
                held = self._stream.take()
            await self._stream.send_all(held)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Send a close frame and wait, for a second at most, until the client has answered."""
        with trio.move_on_after(CLOSE_TIMEOUT_S), _mapped():
            await self._accepted.aclose(code, reason or None)

    def abort(self) -> None:
        """End the connection without a word, as a lost network would. The handler is cancelled."""
        self._scope.cancel()

    @property
    def _accepted(self) -> trio_websocket.WebSocketConnection:
        if self._socket is None:
            raise LinkClosedError("the connection has not been accepted")
        return self._socket


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Turn the exceptions of library and stream into ours; a reason may be missing."""
    try:
        yield
    except trio_websocket.ConnectionClosed as error:
        code = 1006 if error.reason is None else error.reason.code
        raise LinkClosedError(f"the client has left, code {code}", code) from None
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise LinkClosedError("the client has left, or does not read") from None


Handler = Callable[[Connection], Awaitable[None]]


class Server:
    """A running server, as `serve_connections` hands it to whoever started it.

    Attributes
    ----------
    port : int
        Where it listens.
    """

    def __init__(
        self, handler: Handler, *, limit: int, handshake_s: float, write_timeout_s: float
    ) -> None:
        self.port = 0
        self._handler = handler
        self._limit = limit
        self._handshake_s = handshake_s
        self._write_timeout_s = write_timeout_s
        self._counts = dict.fromkeys((a.name for a in attrs.fields(ServerStatistics)), 0)

    def statistics(self) -> ServerStatistics:
        """What became of every connection so far."""
        return ServerStatistics(**self._counts)

    async def _shield(self, stream: trio.SocketStream) -> None:
        """Run one connection; nothing but cancellation from outside gets out of here.

        `trio.serve_listeners` closes the stream by force afterwards.
        """
        guarded = GuardedStream(stream, self._write_timeout_s)
        self._counts["accepted"] += 1
        self._counts["open"] += 1
        end: End = "done"
        remote = "an address that is gone"
        try:
            remote = "{}:{}".format(*stream.socket.getpeername()[:2])
            if self._counts["open"] > self._limit:
                end = "full"
                await guarded.send_all(_FULL)
            else:
                end = await self._converse(guarded, remote)
        except* Exception as group:  # noqa: BLE001 - the supervisor's boundary
            end = guarded.verdict or _classify(group, guarded.requested)
            if end == "failed":
                logger.error("the handler of %s failed: %s", remote, _where(group))
        finally:
            self._counts["open"] -= 1
            self._counts[end] += 1
            if end not in {"done", "failed"}:
                logger.info("connection of %s ended: %s", remote, end)

    async def _converse(self, stream: GuardedStream, remote: str) -> End:
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(self._handshake_s) as patience:
                stream.on_end = patience.cancel
                request = await trio_websocket.wrap_server_stream(
                    nursery, stream, message_queue_size=1, max_message_size=MAX_MESSAGE_CHARS
                )
                stream.requested = True
            if not stream.requested:
                nursery.cancel_scope.cancel()
                return stream.verdict or ("malformed" if stream.ended else "timeout")
            await self._handler(Connection(request, stream, remote, nursery.cancel_scope))
            nursery.cancel_scope.cancel()
        return stream.verdict or "done"


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _classify(group: ExceptionGroup[Exception], requested: bool) -> End:
    if not requested:
        return "malformed"
    # A client that leaves is no failure of the handler.
    rest = group.split(LinkClosedError)[1]
    return "done" if rest is None else "failed"


def _where(group: ExceptionGroup[Exception]) -> str:
    """Type and place of the first error. Not its text, which may quote what a client sent."""
    error = _first(group)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place


async def serve_connections(
    handler: Handler,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    limit: int = 64,
    handshake_s: float = 5.0,
    write_timeout_s: float = WRITE_TIMEOUT_S,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve WebSocket connections until cancelled; start it with ``await nursery.start(...)``.

    Parameters
    ----------
    handler : async callable
        Called with a `Connection` for each valid request. Its end ends the connection; a close
        frame is sent only by `Connection.close`.
    host, port
        Where to listen: the first address of a name, as each would get a port of its own. Port 0
        lets the system choose one.
    limit : int
        Connections at a time, unfinished handshakes included; more get HTTP 503.
    handshake_s, write_timeout_s : float
        Seconds that a client has for its request, and to take what is sent to it.

    Raises
    ------
    OSError
        When the address cannot be listened at.
    """
    server = Server(handler, limit=limit, handshake_s=handshake_s, write_timeout_s=write_timeout_s)
    listener, *others = await trio.open_tcp_listeners(port, host=host)
    for other in others:
        await other.aclose()
    server.port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, server._shield, [listener])
        task_status.started(server)
