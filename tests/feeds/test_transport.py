"""Real sockets on 127.0.0.1: what `open_link` does when the other side does what it likes."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import re
import socket
import ssl
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import pytest
import trio
import trio_websocket
import trustme

from rtre.errors import ConnectFailedError, HandshakeFailedError, LinkClosedError, LinkError
from rtre.feeds import transport
from rtre.feeds.transport import Link, LinkLimits, check_url, open_link

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


async def read_request(stream: trio.SocketStream) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = await stream.receive_some()
        if not part:
            raise trio.BrokenResourceError("client hung up")
        data += part
    return data


async def accept(stream: trio.SocketStream, *, after: bytes = b"") -> None:
    """Shake hands as a server; `after` goes out in the same write."""
    request = await read_request(stream)
    key = re.search(rb"Sec-WebSocket-Key: (.*)\r\n", request)
    assert key is not None
    answer = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
    await stream.send_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + answer + b"\r\n\r\n" + after
    )


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


async def test_messages_come_in_order_and_ours_arrive() -> None:
    got: list[tuple[int, bytes]] = []

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream, after=text(b"zero"))
        await stream.send_all(text(b"one") + text(b"") + b"\x01\x02tw" + text(b"")[:0])
        await stream.send_all(b"\x80\x01o" + b"\x82\x02\xff\xfe")
        await stream.send_all(b"\x88\x02\x03\xe8")
        got.extend(await read_frames(stream))

    async with served(venue) as url, open_link(url, limits=QUICK) as link:
        await link.send("hello")
        messages, end = await drain(link)
    assert messages == [b"zero", b"one", b"", b"two", b"\xff\xfe"]
    assert end.code == 1000
    assert got == [(1, b"hello"), (8, b"\x03\xe8")]


async def test_the_stock_server_and_this_client_understand_each_other() -> None:
    ends = []

    async def echo(request: trio_websocket.WebSocketRequest) -> None:
        connection = await request.accept()
        try:
            while True:
                await connection.send_message(await connection.get_message())
        except trio_websocket.ConnectionClosed as error:
            ends.append(error.reason.code)

    async with trio.open_nursery() as nursery:
        server = await nursery.start(trio_websocket.serve_websocket, echo, "127.0.0.1", 0, None)
        async with open_link(f"ws://127.0.0.1:{server.port}/") as link:
            for message in ("a", "ü" * 300, "x" * 70000):
                await link.send(message)
                echoed = b""
                while len(echoed) < len(message.encode()):
                    echoed += b"".join(bytes(m) for m in await link.receive())
                assert echoed == message.encode()
            assert link.statistics().messages == 3
        nursery.cancel_scope.cancel()
    assert ends == [1000]


async def test_a_ping_is_answered_while_nobody_reads_messages() -> None:
    answered = trio.Event()
    frames: list[bytes] = []

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        for i in range(2000):
            await stream.send_all(text(b"%d" % i) * 20)
        await stream.send_all(b"\x89\x04ping")
        data = b""
        while len(data) < 10:
            data += await stream.receive_some()
        frames.append(data)
        answered.set()
        await trio.sleep_forever()

    async with served(venue) as url, open_link(url, limits=QUICK) as link:
        with trio.fail_after(5):
            await answered.wait()  # and `receive` was never called
        assert frames[0][:2] == b"\x8a\x84"
        key = frames[0][2:6]
        assert bytes(b ^ key[i] for i, b in enumerate(frames[0][6:])) == b"ping"
        assert len(await link.receive()) == 40000
        assert link.statistics().stalls == 0
        assert link.statistics().control_frames == 1


async def test_a_consumer_too_far_behind_stalls_the_reading_and_loses_nothing() -> None:
    limits = LinkLimits(queue_bytes=200_000, close_s=0.3)

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        for _ in range(600):
            await stream.send_all(text(b"x" * 100) * 100)
        await stream.send_all(b"\x88\x02\x03\xe8")
        await read_frames(stream)

    async with served(venue) as url, open_link(url, limits=limits) as link:
        while link.statistics().stalls == 0:  # noqa: ASYNC110 - a counter has no event
            await trio.sleep(0.01)
        assert link.statistics().queued_bytes < 2 * limits.queue_bytes
        messages, end = await drain(link)
    assert (len(messages), end.code) == (60_000, 1000)


@pytest.mark.parametrize(
    ("frames", "code", "words"),
    [
        (b"\xf1\x00", 1002, "reserved bit"),
        (b"\x83\x00", 1002, "opcode 3"),
        (b"\x81\x81\x00\x00\x00\x00a", 1002, "mask"),
        (b"\x80\x00", 1002, "opcode 0"),
        (b"\x81\x02\xc3\x28", 1007, "UTF-8"),
        (b"\x01\x01\xc3\x80\x01\x28", 1007, "UTF-8"),
        (b"\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x01", 1009, "1048576 bytes"),
        (b"\x02\x00" + b"\x00\x00" * 1024, 1009, "1024 fragments"),
        (b"\x88\x01a", 1002, "close frame"),
        (b"\x88\x02\x03\xed", 1002, "1005"),
    ],
)
async def test_a_violation_is_answered_with_its_close_code(
    frames: bytes, code: int, words: str
) -> None:
    got: list[tuple[int, bytes]] = []
    hung_up = trio.Event()

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        await stream.send_all(text(b"good") + frames + text(b"never seen"))
        got.extend(await read_frames(stream))
        hung_up.set()

    async with served(venue) as url:
        async with open_link(url, limits=QUICK) as link:
            messages, end = await drain(link)
            with pytest.raises(LinkClosedError):
                await link.send("too late")
        assert messages == [b"good"]
        assert end.code == code
        assert words in str(end)
        assert_no_secret(end)
        with trio.fail_after(2):
            await hung_up.wait()
    assert [opcode for opcode, _ in got] == [8]
    assert got[0][1][:2] == code.to_bytes(2, "big")


async def test_a_lost_connection_is_1006_and_the_partial_message_is_counted() -> None:
    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream, after=text(b"whole") + b"\x81\x05par")

    async with served(venue) as url, open_link(url, limits=QUICK) as link:
        messages, end = await drain(link)
        assert (messages, end.code) == ([b"whole"], 1006)
        assert link.statistics().partial == 1
        with pytest.raises(LinkClosedError):
            await link.receive()


async def test_a_reset_is_a_closed_link_too() -> None:
    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        await stream.receive_some()
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        stream.socket.close()

    async with served(venue) as url, open_link(url, limits=QUICK) as link:
        await link.send("now")
        with pytest.raises(LinkClosedError) as caught:
            await link.receive()
        assert caught.value.code == 1006


async def test_the_peers_reason_is_told_without_secret_and_control_characters() -> None:
    reason = f"bad\x1b[31m\n{CANARY} {QUERY}".encode()

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        await stream.send_all(bytes([0x88, len(reason) + 2]) + b"\x0f\xa1" + reason)
        await read_frames(stream)

    async with served(venue) as url, open_link(url, limits=QUICK) as link:
        _, end = await drain(link)
    assert end.code == 4001
    assert "bad[31m ***" in str(end)
    assert_no_secret(end)


HANDSHAKES = {
    "an early end": (b"", None),
    "half a head": (b"HTTP/1.1 101 Switching Pro", None),
    "another protocol": (b"220 mail.example ESMTP\r\n", None),
    "random bytes": (bytes(range(256)), None),
    "a head without end": (b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 4000, None),
    "no status": (b"HTTP/1.1 abc\r\n\r\n", None),
    "200": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200),
    "301": (b"HTTP/1.1 301 Moved\r\nLocation: ws://evil.example/\r\n\r\n", 301),
    "401": (b"HTTP/1.1 401 Unauthorized\r\nX: " + QUERY.encode() + b"\r\n\r\n", 401),
    "401 on HTTP/1.0": (b"HTTP/1.0 401 Unauthorized\r\n\r\n", 401),
    "429": (b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 9\r\n\r\n", 429),
    "503": (b"HTTP/1.1 503 \r\n\r\n", 503),
    "a bad accept key": (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: bm90IHRoaXMgb25lIGF0IGFsbA==\r\n\r\n",
        None,
    ),
    "no upgrade": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", None),
    "a header that is not ASCII": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: \xff\xfe\r\n\r\n",
        None,
    ),
    "broken headers": (b"HTTP/1.1 101 Switching Protocols\r\n: \x00\r\nfoo\r\n\r\n", None),
}


@pytest.mark.parametrize("name", HANDSHAKES)
async def test_a_handshake_that_fails_fails_at_once(name: str) -> None:
    answer, status = HANDSHAKES[name]
    ended = trio.Event()

    async def venue(stream: trio.SocketStream) -> None:
        await read_request(stream)
        if answer:
            await stream.send_all(answer)
        if name == "half a head" or not answer:
            await stream.aclose()
            ended.set()
            return
        while await stream.receive_some():
            pass
        ended.set()

    limits = LinkLimits(handshake_s=30.0)  # so "at once" can be told from a timeout
    async with served(venue) as url:
        with trio.fail_after(3):
            with pytest.raises(HandshakeFailedError) as caught:
                async with open_link(url, limits=limits):
                    pytest.fail("there is no link")
            await ended.wait()  # the socket is closed
    assert caught.value.status == status
    assert caught.value.retry_after_s == (9.0 if b"Retry-After: 9" in answer else None)
    assert "ws://127.0.0.1:" in str(caught.value)
    assert_no_secret(caught.value)


async def test_a_handshake_without_an_answer_is_given_up_in_time() -> None:
    hung_up = trio.Event()

    async def venue(stream: trio.SocketStream) -> None:
        await read_request(stream)
        await stream.receive_some()
        hung_up.set()

    async with served(venue) as url:
        with pytest.raises(HandshakeFailedError, match=r"0\.4 s"):
            async with open_link(url, limits=QUICK):
                pytest.fail("there is no link")
        with trio.fail_after(2):
            await hung_up.wait()


async def test_a_refused_connection_names_the_host_and_no_more() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectFailedError, match=f"ws://127.0.0.1:{port}: .*refused") as caught:
        async with open_link(f"ws://127.0.0.1:{port}/?{QUERY}"):
            pytest.fail("there is no link")
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1/?{QUERY}",
        f"ws://:80/?{QUERY}",
        f"ws://127.0.0.1:99999/?{QUERY}",
        f"ws://127.0.0.1:x/?{QUERY}",
        f"ws://192.0.2.1/?{QUERY}",
        f"ws://venue.example/?{QUERY}",
        f"ws://localhost.example/?{QUERY}",
        f"ws://{CANARY[:6]}:C4NARY@127.0.0.1/",
        f"ws://127.0.0.1/?{QUERY}#part",
        f"ws://127.0.0.1/a b?{QUERY}",
        f"ws://127.0.0.1/ü?{QUERY}",
        f"ws://[::1/?{QUERY}",
        f"wss://a..b/?{QUERY}",
        f"wss://.venue.example/?{QUERY}",
        f"wss://{'a' * 64}.example/?{QUERY}",
        f"wss://{'a.' * 127}example/?{QUERY}",
        f"wss://a b.example/?{QUERY}",
        f"wss://./?{QUERY}",
        "",
    ],
)
async def test_a_url_that_cannot_be_used_is_refused_without_a_connection(url: str) -> None:
    with pytest.raises(ConnectFailedError) as caught:
        async with open_link(url):
            pytest.fail("there is no link")
    assert_no_secret(caught.value)
    with pytest.raises(ConnectFailedError):
        check_url(url)


@pytest.mark.parametrize("host", ["a..b", ".venue.example", "a" * 64 + ".example"])
def test_a_host_name_that_cannot_be_is_quoted(host: str) -> None:
    with pytest.raises(ConnectFailedError, match=re.escape(repr(host))):
        check_url(f"wss://{host}/?{QUERY}")


@pytest.mark.parametrize(
    "host", ["venue.example.", "xn--bcher-kva.example", "a" * 63 + ".b", "[::1]", "1.2.3.4", "a_b"]
)
def test_a_host_name_that_can_be_is_taken(host: str) -> None:
    check_url(f"wss://{host}/?{QUERY}")


@pytest.mark.parametrize("when", ["connecting", "in the handshake", "receiving", "in the body"])
async def test_cancelling_leaves_no_socket_open(when: str) -> None:
    hung_up = trio.Event()
    reached = trio.Event()

    async def venue(stream: trio.SocketStream) -> None:
        if when == "in the handshake":
            await read_request(stream)
            reached.set()
        elif when != "connecting":
            await accept(stream)
        try:
            while await stream.receive_some():
                pass
        finally:
            hung_up.set()

    async with served(venue) as url:
        with trio.move_on_after(5) as scope:
            if when == "connecting":
                scope.cancel()
            async with trio.open_nursery() as nursery:

                async def client() -> None:
                    async with open_link(url) as link:
                        reached.set()
                        if when == "receiving":
                            await link.receive()
                        await trio.sleep_forever()

                nursery.start_soon(client)
                await reached.wait()
                begun = time.perf_counter()
                scope.cancel()
        if when != "connecting":
            assert time.perf_counter() - begun < 1.0
            with trio.fail_after(2):
                await hung_up.wait()
        assert scope.cancelled_caught


async def test_an_unanswered_close_is_cut_short() -> None:
    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        await trio.sleep_forever()

    async with served(venue) as url:
        begun = time.perf_counter()
        async with open_link(url, limits=QUICK):
            pass
        assert 0.25 < time.perf_counter() - begun < 1.5


async def test_a_close_is_polite_when_the_peer_is() -> None:
    got: list[tuple[int, bytes]] = []
    done = trio.Event()

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        data = await stream.receive_some()
        await stream.send_all(text(b"late") * 50 + b"\x88\x02\x03\xe8")
        got.append((data[0], b""))
        done.set()

    async with served(venue) as url:
        begun = time.perf_counter()
        async with open_link(url, limits=LinkLimits(close_s=10.0)):
            pass
        assert time.perf_counter() - begun < 2.0
        await done.wait()
    assert got == [(0x88, b"")]


async def test_a_peer_that_never_reads_cannot_hold_a_send() -> None:
    async def venue(stream: trio.SocketStream) -> None:
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await accept(stream)
        await trio.sleep_forever()

    async with served(venue) as url, open_link(url, limits=QUICK) as link:
        with trio.fail_after(5), pytest.raises(LinkClosedError) as caught:  # noqa: PT012
            while True:
                await link.send("x" * 1_000_000)
        assert_no_secret(caught.value)
        with pytest.raises(LinkClosedError):
            await link.receive()


class BodyError(Exception):
    pass


@pytest.mark.parametrize(
    "raised", [BodyError("mine"), KeyboardInterrupt(), ExceptionGroup("two", [BodyError("a")])]
)
async def test_what_the_body_raises_comes_out_unchanged(raised: BaseException) -> None:
    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        await read_frames(stream)

    async with served(venue) as url:
        try:
            async with open_link(url, limits=QUICK):
                raise raised
        except BaseException as caught:  # noqa: BLE001 - any of them, and it is looked at
            outcome = caught
    assert outcome is raised
    assert outcome.__cause__ is None
    assert outcome.__context__ is None


@pytest.mark.parametrize("raised", [BodyError("mine"), KeyboardInterrupt()])
async def test_a_bug_in_the_body_survives_a_cancel_during_the_close(raised: BaseException) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        await cancelled_in_the_close(raised)
    assert caught.group_contains(type(raised))


async def test_that_the_link_ended_is_no_bug_when_the_close_is_cancelled() -> None:
    assert (await cancelled_in_the_close(LinkClosedError("ended"))).cancelled_caught


async def cancelled_in_the_close(raised: BaseException) -> trio.CancelScope:
    """Raise in the body of a link, and cancel it when the peer has our close frame."""
    closing = trio.Event()

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream)
        await stream.receive_some()
        closing.set()
        await trio.sleep_forever()

    async def client(url: str, scope: trio.CancelScope) -> None:
        with scope:
            async with open_link(url, limits=LinkLimits(close_s=30.0)):
                raise raised

    async with served(venue) as url, trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(client, url, scope)
        await closing.wait()
        scope.cancel()
    return scope


async def test_the_token_is_in_no_log_record() -> None:
    stream_ = io.StringIO()
    handler = logging.StreamHandler(stream_)
    root, library = logging.getLogger(), logging.getLogger("trio-websocket")
    before = root.level, library.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    library.setLevel(logging.DEBUG)

    async def venue(stream: trio.SocketStream) -> None:
        await accept(stream, after=b"\x89\x00" + text(b"x"))
        await read_frames(stream)

    try:
        async with served(venue) as url, open_link(url, limits=QUICK) as link:
            assert repr(link) == f"<Link {url.split('/stream')[0]}>"
            await link.receive()
            library.debug("Connecting to %s", url)  # what the library says in its other entry
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        library.setLevel(before[1])
    log = stream_.getvalue()
    assert "sending" in log, "the library did log"
    assert "?***" in log
    assert "C4NARY" not in log


def test_the_librarys_log_is_quiet_by_default() -> None:
    library = logging.getLogger("trio-websocket")
    library.setLevel(logging.NOTSET)

    async def attempt() -> None:
        with pytest.raises(LinkError):
            async with open_link("ws://127.0.0.1:1/"):
                pytest.fail("there is no link")

    trio.run(attempt)
    assert library.level == logging.WARNING


@asynccontextmanager
async def served_tls(authority: trustme.CA, name: str) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)

    async def venue(stream: trio.SocketStream) -> None:
        secure = trio.SSLStream(stream, context, server_side=True)
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await accept(secure)  # type: ignore[arg-type]
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
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)

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
    authority = trustme.CA()
    context = ssl.create_default_context()
    authority.configure_trust(context)
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)

    async def venue(stream: trio.SocketStream) -> None:
        await accept(trio.SSLStream(stream, theirs, server_side=True))  # type: ignore[arg-type]
        await stream.send_eof()
        await trio.sleep_forever()

    async with served(venue) as url:
        secure = url.replace("ws://", "wss://")
        async with open_link(secure, limits=QUICK, ssl_context=context) as link:
            _, end = await drain(link)
    assert "without TLS's goodbye" in str(end)
