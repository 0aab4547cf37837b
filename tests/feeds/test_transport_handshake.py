"""What `open_link` refuses, and what it says of it: no secret, in error or log."""

from __future__ import annotations

import io
import logging
import re
import socket

import pytest
import trio
from link_support import (
    CANARY,
    QUERY,
    QUICK,
    accept,
    assert_no_secret,
    read_frames,
    read_request,
    served,
    text,
)

from rtre.errors import ConnectFailedError, HandshakeFailedError, LinkError
from rtre.feeds.transport import LinkLimits, check_url, open_link

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
