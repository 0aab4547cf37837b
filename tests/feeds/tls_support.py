"""`TlsStream` in memory against Trio's server, over a transport that can be spoiled."""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing
import trustme

from rtre.feeds.tls import TlsStream

AUTHORITY = trustme.CA()
NAME = "venue.test"


def client_context(*, trusts: bool = True) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if trusts:
        AUTHORITY.configure_trust(context)
    return context


def server_context(name: str = NAME) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


class Choppy(trio.abc.Stream):
    """Gives what comes in random pieces; can cut a send short, or turn a bit over."""

    def __init__(self, inner: trio.abc.Stream, rng: random.Random | None = None) -> None:
        self.inner = inner
        self.rng = rng
        self.spoil = self.stuck = False
        self.sender: trio.lowlevel.Task | None = None  # whose send is stuck

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self.rng is not None:
            max_bytes = min(max_bytes or 9999, self.rng.choice((1, 3, 100, 5000)))
        data = bytearray(await self.inner.receive_some(max_bytes))
        if self.spoil and data:
            data[-1] ^= 1
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.stuck:
            self.sender = trio.lowlevel.current_task()
            await self.inner.send_all(data[: len(data) // 2])
            await trio.sleep_forever()
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.inner.aclose()


@asynccontextmanager
async def connected(
    rng: random.Random | None = None,
) -> AsyncIterator[tuple[TlsStream, trio.SSLStream[trio.abc.Stream], Choppy]]:
    """Our client and Trio's server after the handshake, and what lies under the client."""
    near, far = trio.testing.memory_stream_pair()
    under = Choppy(near, rng)
    client = TlsStream(under, client_context(), NAME)
    server = trio.SSLStream(far, server_context(), server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        await client.do_handshake()
    yield client, server, under
    await trio.aclose_forcefully(near)
    await trio.aclose_forcefully(far)


async def exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await stream.receive_some(65536)
        assert part
        data += part
    return data
