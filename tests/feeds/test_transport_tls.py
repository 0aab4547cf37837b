"""`open_link` over TLS: whom it trusts, and what ends it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trio_websocket
import trustme
from link_support import QUERY, QUICK, accept, assert_no_secret, drain, served, text
from tls_support import client_context, server_context

from rtre.errors import ConnectFailedError
from rtre.feeds import transport
from rtre.feeds.transport import open_link


@asynccontextmanager
async def served_tls(authority: trustme.CA, name: str) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)

    async def venue(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, context, server_side=True)
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await accept(secure)
            await secure.send_all(text(b"over TLS") * 1000 + b"\x88\x02\x03\xe8")
            while await secure.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), venue, 0)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_tls_with_a_private_authority() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with (
        served_tls(authority, "127.0.0.1") as port,
        open_link(f"wss://127.0.0.1:{port}/?{QUERY}", ssl_context=context) as link,
    ):
        messages, end = await drain(link)
    assert messages == [b"over TLS"] * 1000
    assert end.code == 1000


@pytest.mark.parametrize("wrong", ["authority", "name"])
async def test_a_certificate_that_is_not_trusted_is_refused(wrong: str) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context()
    if wrong == "name":
        authority.configure_trust(context)
    async with served_tls(authority, "127.0.0.1" if wrong == "authority" else "b.test") as port:
        with pytest.raises(ConnectFailedError, match="not trusted") as caught:
            async with open_link(f"wss://127.0.0.1:{port}/?{QUERY}", ssl_context=context):
                pytest.fail("there is no link")
    assert_no_secret(caught.value)


async def test_a_context_that_does_not_verify_is_refused() -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ConnectFailedError, match="must verify"):
        async with open_link("wss://127.0.0.1:1/", ssl_context=context):
            pytest.fail("there is no link")


async def test_a_server_without_tls_is_a_failed_connection() -> None:
    async def venue(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await stream.receive_some()

    async with served(venue) as url:
        with pytest.raises(ConnectFailedError, match="TLS failed"):
            async with open_link(url.replace("ws://", "wss://")):
                pytest.fail("there is no link")


async def test_sending_over_tls_while_receiving_keeps_the_link() -> None:
    context, theirs = client_context(), server_context("127.0.0.1")

    async def echo(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                await connection.send_message(await connection.get_message())

    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, echo, "127.0.0.1", 0, theirs)
        url = f"wss://127.0.0.1:{server.port}/"
        async with open_link(url, ssl_context=context) as link, trio.open_nursery() as senders:

            async def send() -> None:
                for i in range(200):
                    await link.send(f"subscribe {i}")

            senders.start_soon(send)
            got: list[bytes] = []
            with trio.fail_after(20):
                while len(got) < 200:
                    got += [bytes(m) for m in await link.receive()]
        nursery.cancel_scope.cancel()
    assert got == [b"subscribe %d" % i for i in range(200)]


async def test_the_systems_authorities_are_loaded_once_and_not_in_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load, threads = ssl.create_default_context, []

    def count() -> ssl.SSLContext:
        threads.append(threading.current_thread())
        return load()

    forget = getattr(getattr(transport, "_default_context", None), "cache_clear", lambda: None)
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(ssl, "create_default_context", count)
        for _ in range(3):
            with pytest.raises(ConnectFailedError):
                async with open_link("wss://127.0.0.1:1/"):
                    pytest.fail("there is no link")
    forget()
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError("embedded null"), ssl.SSLError("no"), MemoryError()])
async def test_a_tls_object_that_cannot_be_made_leaves_no_socket_open(error: Exception) -> None:
    hung_up = trio.Event()

    async def venue(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass
        hung_up.set()

    if isinstance(error, ssl.SSLError):
        error.reason = "BAD_NAME"  # as OpenSSL's own have it

    class Picky(ssl.SSLContext):
        def wrap_bio(self, *_: object, **__: object) -> ssl.SSLObject:
            raise error

    expected = MemoryError if isinstance(error, MemoryError) else ConnectFailedError
    async with served(venue) as url:
        with pytest.raises(expected) as caught:
            async with open_link(
                url.replace("ws://", "wss://"), ssl_context=Picky(ssl.PROTOCOL_TLS_CLIENT)
            ):
                pytest.fail("there is no link")
        with trio.fail_after(2):
            await hung_up.wait()
    assert_no_secret(caught.value)


async def test_an_end_without_tlss_goodbye_is_told() -> None:
    context, theirs = client_context(), server_context("127.0.0.1")

    async def venue(stream: trio.SocketStream) -> None:
        await accept(trio.SSLStream(stream, theirs, server_side=True))
        await stream.send_eof()
        await trio.sleep_forever()

    async with served(venue) as url:
        secure = url.replace("ws://", "wss://")
        async with open_link(secure, limits=QUICK, ssl_context=context) as link:
            _, end = await drain(link)
    assert "without TLS's goodbye" in str(end)
