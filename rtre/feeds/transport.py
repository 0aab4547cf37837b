"""Open a WebSocket connection to a venue: the only client of trio-websocket.

Foreign exceptions end here. What comes out is `ConnectFailedError`, `HandshakeFailedError` or
`LinkClosedError`, and their texts name ``scheme://host:port`` and no more: the rest of the URL
holds the token. They are raised outside of `except` blocks, so that no foreign exception hangs on
them as a context either: those quote headers and addresses.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn
from urllib.parse import parse_qsl, urlsplit

import attrs
import trio
import trio_websocket

from rtre.errors import (
    ConnectFailedError,
    HandshakeFailedError,
    LinkClosedError,
    LinkError,
    RtreError,
)
from rtre.feeds.limits import LinkLimits, LinkStatistics
from rtre.feeds.tls import TlsStream
from rtre.feeds.wire import WireStream
from rtre.venues.frames import Frames

__all__ = ["Link", "LinkLimits", "LinkStatistics", "check_url", "open_link"]

_SECRET = re.compile(r"\?\S*")
_TARGET = re.compile(r"/[!-~]*")
_HOST_NAME = re.compile(r"(?=.{1,253}\.?\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")  # RFC 1035
_DEFAULT_PORT = {"ws": 80, "wss": 443}

log = logging.getLogger("rtre.feed")


class _Redact(logging.Filter):
    """Takes query strings out of the library's log records: they hold the token."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _SECRET.sub("?***", record.getMessage()), ()
        return True


_REDACT = _Redact()


def _guard_logger() -> None:
    """Redact the library's log, and keep it to warnings unless the user has set a level."""
    logger = logging.getLogger("trio-websocket")
    logger.addFilter(_REDACT)  # adding it again does nothing
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


class Link:
    """An open connection to a venue. Made by `open_link`."""

    def __init__(self, socket: trio_websocket.WebSocketConnection, wire: WireStream) -> None:
        self._socket = socket
        self._wire = wire

    def __repr__(self) -> str:
        return f"<Link {self._wire.name}>"

    async def receive(self) -> Frames:
        """All messages completed since the last call; waits for the first.

        Raises
        ------
        LinkClosedError
            When the connection has ended and everything received before was handed out.
        """
        return await self._wire.receive()

    async def deliver(self, take: Callable[[Frames], None]) -> NoReturn:
        """Have `take` called with the messages of each read, until the connection ends.

        Saves the wake of a task per read. `take` runs in the task that reads the socket: it should
        return soon. What it raises comes out of here.

        Raises
        ------
        LinkClosedError
            When the connection has ended and everything received before was handed out.
        """
        await self._wire.deliver(take)

    async def send(self, text: str) -> None:
        """Send one text message.

        A call that is cancelled may have sent a part of it: the connection is then ended.

        Raises
        ------
        LinkClosedError
            The connection has ended, or the peer took nothing for `LinkLimits.send_s`.
        """
        try:
            await self._socket.send_message(text)
        except trio_websocket.ConnectionClosed:
            pass
        else:
            return
        raise self._wire.closed_error()

    def statistics(self) -> LinkStatistics:
        """A snapshot of the connection's counters."""
        return self._wire.statistics()


@asynccontextmanager
async def open_link(
    url: str, *, limits: LinkLimits | None = None, ssl_context: ssl.SSLContext | None = None
) -> AsyncIterator[Link]:
    """Connect, shake hands, and close in the end.

    Parameters
    ----------
    url : str
        ``wss://...``, or ``ws://...`` to this machine. A secret: it is never logged or quoted.
    ssl_context : ssl.SSLContext, optional
        For a private certificate authority; it must verify the peer and its name.

    Raises
    ------
    ConnectFailedError
        The URL cannot be used, or there is no connection, or the certificate is not trusted.
    HandshakeFailedError
        The peer does not speak WebSocket, or refuses us.

    Notes
    -----
    What the body raises comes out unchanged. On leaving, the close handshake gets `close_s`; a
    cancelled body skips it. No socket stays open in either case. Where the body raises a bug and
    the close is then cancelled, both come out, as a group.
    """
    limits = limits or LinkLimits()
    target = _parse(url)
    _guard_logger()
    stream = await _connect(target, limits, ssl_context)
    caught: BaseException | None = None
    crash: BaseExceptionGroup[BaseException] | None = None
    cancelled: BaseException | None = None
    opened = body_group = False
    wire = WireStream(stream, limits, target.name, redact=target.redact)
    try:
        async with trio.open_nursery() as nursery:
            socket = await _shake_hands(nursery, wire, target, limits)
            opened = socket is not None
            if socket is not None:
                try:
                    yield Link(socket, wire)
                except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - raised below
                    # Kept out of the nursery, which would wrap it. Cancelled goes through it.
                    caught = error
                except BaseExceptionGroup:
                    body_group = True
                    raise
                await _close(socket, wire, limits)
            nursery.cancel_scope.cancel()
    except trio.Cancelled as error:  # bare, where a nursery has nothing else to raise
        cancelled = error
    except BaseExceptionGroup as group:
        cancelled, crash = group.split(trio.Cancelled)
        if cancelled is not None and body_group:
            raise group from None
    finally:
        with trio.CancelScope(shield=True):  # or its Cancelled would take the place of what failed
            await trio.aclose_forcefully(stream)
    if cancelled is not None:
        raise _with_bugs(cancelled, caught, crash, target)
    if caught is not None:
        raise caught
    if wire.refusal is not None:
        raise wire.refusal
    if crash is not None:
        raise _map_crash(crash, target, opened=opened)


def check_url(url: str) -> None:
    """Raise ConnectFailedError where `open_link` could never open `url`; connects to nothing."""
    _parse(url)


@attrs.frozen
class _Target:
    scheme: str
    host: str
    port: int
    resource: str = attrs.field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.scheme}://{self.host_header}"

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    def redact(self, text: str) -> str:
        """Take every value of the query string out of `text`."""
        query = self.resource.partition("?")[2]
        values = {query, *(value for _, value in parse_qsl(query))}
        values |= {pair.partition("=")[2] for pair in query.split("&")}
        for value in sorted(values, key=len, reverse=True):
            if value:
                text = text.replace(value, "***")
        return text


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _parse(url: str) -> _Target:
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or scheme not in _DEFAULT_PORT:
        raise ConnectFailedError(
            "a venue's URL must be wss://host[:port]/path, or ws:// to localhost"
        )
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = _Target(scheme, host, port or _DEFAULT_PORT[scheme], resource)
    if "@" in parts.netloc or parts.fragment:
        raise ConnectFailedError(
            f"{target.name}: user names and fragments do not belong into the URL"
        )
    if not (host.isascii() and _TARGET.fullmatch(resource)):
        raise ConnectFailedError(f"{target.name}: the URL must be plain ASCII without spaces")
    if not (_address(host) or _HOST_NAME.fullmatch(host)):
        raise ConnectFailedError(
            f"{host[:300]!r} is no host name: labels of 1 to 63 letters, digits and hyphens"
        )
    if scheme == "ws" and not _is_loopback(host):
        raise ConnectFailedError(
            f"{target.name}: ws:// is not encrypted and allowed to this machine only; use wss://"
        )
    return target


@functools.cache
def _default_context() -> ssl.SSLContext:
    """The system's authorities: 50 to 100 ms to load, so once a process, and in a thread."""
    return ssl.create_default_context()


async def _connect(
    target: _Target, limits: LinkLimits, ssl_context: ssl.SSLContext | None
) -> trio.abc.Stream:
    if target.scheme == "wss":
        if ssl_context is None:
            ssl_context = await trio.to_thread.run_sync(_default_context)
        if ssl_context.verify_mode != ssl.CERT_REQUIRED or not ssl_context.check_hostname:
            raise ConnectFailedError(
                f"{target.name}: the TLS context must verify certificate and name"
            )
    why = f"no answer within {limits.connect_s:g} s"
    with trio.move_on_after(limits.connect_s):
        try:
            stream = await trio.open_tcp_stream(target.host, target.port)
        except OSError as error:
            why = _explain(error)
        else:
            if target.scheme == "wss":
                assert ssl_context is not None
                return await _start_tls(stream, target, ssl_context)
            if _is_loopback(stream.socket.getpeername()[0]):
                return stream
            await trio.aclose_forcefully(stream)
            why = "its name does not lead to this machine, and ws:// is not encrypted"
    raise ConnectFailedError(f"cannot connect to {target.name}: {why}")


async def _start_tls(
    stream: trio.SocketStream, target: _Target, ssl_context: ssl.SSLContext
) -> trio.abc.Stream:
    """TLS over `stream`, which is closed if that fails or is cancelled."""
    try:
        secure = TlsStream(stream, ssl_context, target.host)
        await secure.do_handshake()
    except trio.BrokenResourceError as error:
        why = _explain(error.__cause__)
    except (ssl.SSLError, ValueError) as error:  # `ssl` refuses the context or the name
        why = _explain(error)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    else:
        return secure
    await trio.aclose_forcefully(stream)
    raise ConnectFailedError(f"cannot connect to {target.name}: TLS failed: {why}")


async def _shake_hands(
    nursery: trio.Nursery, wire: WireStream, target: _Target, limits: LinkLimits
) -> trio_websocket.WebSocketConnection | None:
    """Shake hands; None if that failed, and `wire.refusal` says why.

    The library waits for the end of a handshake that cannot succeed any more, so the wire stream
    ends the wait.
    """
    with trio.move_on_after(limits.handshake_s) as scope:
        wire.on_refused(scope.cancel)
        return await trio_websocket.wrap_client_stream(
            nursery,
            wire,  # type: ignore[arg-type]  # its documentation says: any stream
            target.host_header,
            target.resource,
            max_message_size=limits.message_bytes,
            receive_buffer_size=limits.read_bytes,
        )
    wire.refuse(f"did not answer the handshake within {limits.handshake_s:g} s")
    return None


async def _close(
    socket: trio_websocket.WebSocketConnection, wire: WireStream, limits: LinkLimits
) -> None:
    wire.stop_listening()
    with trio.move_on_after(limits.close_s):
        if wire.end is None:
            await socket.aclose()
        await wire.wait_over()


def _explain(error: BaseException | None) -> str:
    """A foreign error in words that cannot hold the URL or anything the peer said."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "protocol error").replace("_", " ").lower()
    if isinstance(error, OSError):
        causes = [e for e in _leaves(error.__cause__) if isinstance(e, OSError)] or [error]
        texts = dict.fromkeys(e.strerror or type(e).__name__ for e in causes)
        return "; ".join(t.lower() for t in texts)
    return "the connection broke" if error is None else type(error).__name__


def _leaves(error: BaseException | None) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [] if error is None else [error]


def _map_crash(
    crash: BaseExceptionGroup[BaseException], target: _Target, *, opened: bool
) -> BaseException:
    """The one error that stands for what came out of the library's tasks."""
    for leaf in _leaves(crash):
        if isinstance(leaf, RtreError) or not isinstance(leaf, Exception):
            return leaf
    kinds = ", ".join(sorted({type(leaf).__name__ for leaf in _leaves(crash)}))
    if opened:
        return LinkClosedError(f"{target.name}: the WebSocket library failed: {kinds}")
    return HandshakeFailedError(f"{target.name} answered the handshake wrongly ({kinds})")


def _with_bugs(
    cancelled: BaseException,
    caught: BaseException | None,
    crash: BaseExceptionGroup[BaseException] | None,
    target: _Target,
) -> BaseException:
    """`cancelled`, with the bugs that came before it: no scope that ends may swallow those.

    That the link ended as well is no bug: nobody waits for it any more.
    """
    failed = crash and _map_crash(crash, target, opened=True)
    if isinstance(failed, LinkError):
        log.warning("%s, while the link was being cancelled", failed)
    bugs = [e for e in (caught, failed) if e is not None and not isinstance(e, LinkError)]
    return BaseExceptionGroup("failed, then cancelled", [cancelled, *bugs]) if bugs else cancelled
