"""A venue on 127.0.0.1 that does what a test likes, and what it takes to look at a link to it."""

from __future__ import annotations

import base64
import hashlib
import re
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from rtre.errors import LinkClosedError
from rtre.feeds.transport import Link, LinkLimits

CANARY = "s3cr3t-C4NARY/tok+en"
QUERY = "token=s3cr3t-C4NARY%2Ftok%2Ben"
QUICK = LinkLimits(connect_s=1.0, handshake_s=0.4, close_s=0.3, send_s=0.4)
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Handler = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """A raw TCP server; gives the URL of a venue there, secret included."""
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, host="127.0.0.1")
        listeners = await nursery.start(serve, shielded(handler), 0)
        port = listeners[0].socket.getsockname()[1]
        yield f"ws://127.0.0.1:{port}/stream?{QUERY}"
        nursery.cancel_scope.cancel()


def shielded(handler: Handler) -> Handler:
    async def run(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            await handler(stream)

    return run


async def read_request(stream: trio.abc.Stream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = await stream.receive_some()
        if not part:
            raise trio.BrokenResourceError("client hung up")
        data += part
    return data


async def answer(stream: trio.abc.Stream) -> bytes:
    """The response head to the request that `stream` reads."""
    key = re.search(rb"Sec-WebSocket-Key: (.*)\r\n", await read_request(stream))
    assert key is not None
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: "
        + base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
        + b"\r\n\r\n"
    )


async def accept(stream: trio.abc.Stream, *, after: bytes = b"") -> None:
    """Shake hands as a server; `after` goes out in the same write."""
    await stream.send_all(await answer(stream) + after)


async def read_frames(stream: trio.SocketStream) -> list[tuple[int, bytes]]:
    """Everything the client sends until it hangs up, as (opcode, payload), unmasked."""
    data = b""
    with suppress(trio.BrokenResourceError):
        while part := await stream.receive_some():
            data += part
    frames = []
    while data:
        assert data[1] & 0x80, "a client must mask"
        length = data[1] & 0x7F
        assert length < 126
        key, body = data[2:6], data[6 : 6 + length]
        frames.append((data[0] & 0x0F, bytes(b ^ key[i % 4] for i, b in enumerate(body))))
        data = data[6 + length :]
    return frames


def text(payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes([0x81, len(payload)]) + payload


async def drain(link: Link) -> tuple[list[bytes], LinkClosedError]:
    """All messages up to the end, and the end."""
    messages: list[bytes] = []
    while True:
        try:
            messages += [bytes(m) for m in await link.receive()]
        except LinkClosedError as error:
            return messages, error


def assert_no_secret(error: BaseException) -> None:
    """Neither the printed exception, chain included, nor any text on it holds the token."""
    seen: list[BaseException | None] = [error]
    while seen:
        one = seen.pop()
        if one is None:
            continue
        shown = "".join(traceback.format_exception(one, chain=False)) + repr(one) + str(one.args)
        assert CANARY not in shown
        assert "C4NARY" not in shown
        seen += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            seen += one.exceptions
