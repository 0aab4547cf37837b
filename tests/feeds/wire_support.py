"""A wire stream over memory, the WebSocket library on it, and the peer's end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing
import trio_websocket
from link_support import answer, text
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from rtre.errors import LinkClosedError
from rtre.feeds.wire import LinkLimits, WireStream

Memory = trio.StapledStream[MemorySendStream, MemoryReceiveStream]

SESSION = (
    text(b"one")
    + b"\x89\x01p"
    + text("zwölf €".encode())
    + b"\x01\x02fr\x8a\x00\x00\x01a\x80\x01g"
    + b"\x82\x7e\x00\x80"
    + b"\xff" * 128
    + text(b"")
)
MESSAGES = [b"one", "zwölf €".encode(), b"frag", b"\xff" * 128, b""]


@asynccontextmanager
async def opened(
    limits: LinkLimits | None = None, cuts: tuple[int, ...] = (), after: bytes = b""
) -> AsyncIterator[tuple[WireStream, trio_websocket.WebSocketConnection, Memory]]:
    """A wire stream through its handshake, the library on it, and the peer's end."""
    ours, peer = memory_stream_pair()
    wire = WireStream(ours, limits or LinkLimits(), "ws://peer.test")
    shaken = trio.Event()
    async with trio.open_nursery() as nursery:

        async def shake() -> None:
            data = await answer(peer) + after
            for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True):
                await peer.send_all(data[a:b])
                await trio.testing.wait_all_tasks_blocked()
            shaken.set()

        nursery.start_soon(shake)
        library = await trio_websocket.wrap_client_stream(nursery, wire, "peer.test", "/")
        await shaken.wait()
        yield wire, library, peer
        nursery.cancel_scope.cancel()


async def drain(wire: WireStream) -> tuple[list[bytes], int]:
    messages: list[bytes] = []
    while True:
        try:
            messages += [bytes(m) for m in await wire.receive()]
        except LinkClosedError as error:
            return messages, error.code
