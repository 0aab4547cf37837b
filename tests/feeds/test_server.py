"""The server's shield: whatever one connection does, the server and the others go on."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import struct
from functools import partial

import attrs
import pytest
import trio
import trio_websocket
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.errors import LinkClosedError
from rtre.feeds.guarded import MAX_FRAGMENTS, MAX_HEAD_BYTES, FragmentGuard
from rtre.feeds.server import Connection, Server, serve_connections

REQUEST = (
    b"GET /chat?token=secret HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n"
)
# Requests that a server must refuse or survive; the first four have ended servers.
MALFORMED = {
    "a host that is not ASCII": REQUEST.replace(b"localhost", b"loc\xe4lhost"),
    "a connection header that is not ASCII": REQUEST.replace(b": Upgrade", b": Upgr\xe4de"),
    "a subprotocol that is not ASCII": REQUEST[:-2] + b"Sec-WebSocket-Protocol: \xff\r\n\r\n",
    "an extension that is not ASCII": REQUEST[:-2] + b"Sec-WebSocket-Extensions: \xff\r\n\r\n",
    "no upgrade": REQUEST.replace(b"Connection: Upgrade\r\n", b""),
    "an old version": REQUEST.replace(b"Version: 13", b"Version: 8"),
    "no key": REQUEST.replace(b"Sec-WebSocket-Key", b"X"),
    "a post": REQUEST.replace(b"GET", b"POST"),
    "no request at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "zeros": bytes(100),
    "an endless head": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000,
    "half a request": REQUEST[:60],
    "nothing": b"",
}


async def echo(connection: Connection) -> None:
    await connection.accept()
    while True:
        message = await connection.receive()
        assert isinstance(message, str)
        if message == "bug":
            raise KeyError("a text that must not be logged")
        await connection.send(message, "and " + message)


async def start(nursery: trio.Nursery, handler=echo, **options) -> Server:
    return await nursery.start(partial(serve_connections, handler, **options))


def connect(server: Server):
    return trio_websocket.open_websocket(
        "127.0.0.1", server.port, "/chat?token=secret", use_ssl=False, disconnect_timeout=1
    )


async def check_echo(server: Server) -> None:
    with trio.fail_after(5):
        async with connect(server) as client:
            await client.send_message("hello")
            assert [await client.get_message() for _ in range(2)] == ["hello", "and hello"]


async def read_all(stream: trio.SocketStream) -> bytes:
    """What the server says until it closes or resets the connection."""
    said = b""
    with contextlib.suppress(trio.BrokenResourceError), trio.fail_after(10):
        async for data in stream:
            said += data
    return said


async def settled(server: Server, **expected: int) -> None:
    """Wait until the counts are these, and check that they add up."""
    with trio.fail_after(5):
        while not expected.items() <= attrs.asdict(server.statistics()).items():  # noqa: ASYNC110
            await trio.sleep(0.001)
    counts = attrs.asdict(server.statistics())
    assert counts.pop("accepted") == sum(counts.values())


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_malformed_handshake_ends_only_its_own_connection(kind):
    async with trio.open_nursery() as nursery:
        server = await start(nursery)
        async with connect(server) as bystander:
            raw = await trio.open_tcp_stream("127.0.0.1", server.port)
            await raw.send_all(MALFORMED[kind])
            await raw.send_eof()
            with trio.fail_after(2):  # at once, and not after the five seconds of a handshake
                said = await read_all(raw)
            assert not said.startswith(b"HTTP/1.1 101")
            await settled(server, malformed=1)
            await bystander.send_message("still here")
            assert await bystander.get_message() == "still here"
        await check_echo(server)
        nursery.cancel_scope.cancel()


async def test_two_hundred_hostile_handshakes_do_not_keep_a_good_client_out():
    rng = random.Random(5)
    kinds = list(MALFORMED.values())

    async def attack(port: int) -> None:
        data = bytearray(rng.choice(kinds))
        if data and rng.random() < 0.5:
            data[rng.randrange(len(data))] = rng.randrange(256)
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        try:
            await stream.send_all(data)
            if rng.random() < 0.5:  # leaves, half of them with a reset
                linger = struct.pack("ii", rng.randrange(2), 0)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                with trio.move_on_after(0.05):
                    await read_all(stream)
        except trio.BrokenResourceError:
            pass
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        server = await start(nursery, limit=300)
        async with trio.open_nursery() as attackers:
            for _ in range(200):
                attackers.start_soon(attack, server.port)
            await check_echo(server)
        await check_echo(server)
        await settled(server, accepted=202, open=0, failed=0)
        assert server.statistics().malformed > 150
        nursery.cancel_scope.cancel()


async def test_a_handshake_that_is_not_finished_in_time_is_cut_off(autojump_clock):
    autojump_clock.autojump_threshold = 0.01  # leaves the loopback time to deliver
    async with trio.open_nursery() as nursery:
        server = await start(nursery, handshake_s=5.0)
        raw = await trio.open_tcp_stream("127.0.0.1", server.port)
        await raw.send_all(REQUEST[:-2])
        begin = trio.current_time()
        assert await read_all(raw) == b""
        assert trio.current_time() - begin == pytest.approx(5.0, abs=0.5)
        await settled(server, timeout=1, open=0)
        nursery.cancel_scope.cancel()


async def test_a_handler_bug_ends_its_connection_and_is_logged_in_one_line_without_data(caplog):
    caplog.set_level(logging.INFO, "rtre")
    async with trio.open_nursery() as nursery:
        server = await start(nursery)
        async with connect(server) as bystander:
            async with connect(server) as client:
                await client.send_message("bug")
                with pytest.raises(trio_websocket.ConnectionClosed):
                    await client.get_message()
            await settled(server, failed=1, open=1)
            await bystander.send_message("still here")
            assert await bystander.get_message() == "still here"
        nursery.cancel_scope.cancel()
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "KeyError at " in record.getMessage()
    assert "\n" not in record.getMessage()
    assert "must not be logged" not in caplog.text
    assert "secret" not in caplog.text


async def test_a_group_of_errors_from_a_handler_is_one_failure():
    async def fail(connection: Connection) -> None:
        await connection.accept()

        async def raise_it(error: Exception) -> None:
            raise error

        async with trio.open_nursery() as nursery:
            nursery.start_soon(raise_it, ZeroDivisionError())
            nursery.start_soon(raise_it, LinkClosedError("gone"))

    async with trio.open_nursery() as nursery:
        server = await start(nursery, fail)
        async with connect(server) as client:
            with pytest.raises(trio_websocket.ConnectionClosed):
                await client.get_message()
        await settled(server, failed=1, open=0)
        nursery.cancel_scope.cancel()


async def test_a_client_that_vanishes_is_no_failure():
    async def talk(connection: Connection) -> None:
        await connection.accept()
        while True:
            await connection.send("x" * 1000)

    async with trio.open_nursery() as nursery:
        server = await start(nursery, talk)
        for reset in (0, 1):
            raw = await trio.open_tcp_stream("127.0.0.1", server.port)
            await raw.send_all(REQUEST)
            await raw.receive_some(10)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", reset, 0))
            await raw.aclose()
        await settled(server, done=2, open=0)
        nursery.cancel_scope.cancel()


async def test_connections_beyond_the_limit_get_a_503_until_there_is_room():
    async with trio.open_nursery() as nursery:
        server = await start(nursery, limit=2)
        async with connect(server):
            async with connect(server):
                raw = await trio.open_tcp_stream("127.0.0.1", server.port)
                assert (await read_all(raw)).startswith(b"HTTP/1.1 503 ")
                await settled(server, full=1, open=2)
            await settled(server, open=1)
            await check_echo(server)
        nursery.cancel_scope.cancel()


async def test_a_client_that_does_not_read_is_cut_off_and_holds_up_nobody():
    async def talk(connection: Connection) -> None:
        if connection.path == "/chat?token=secret":
            await connection.accept()
            while True:
                await connection.send("x" * 60_000)
        await echo(connection)

    async with trio.open_nursery() as nursery:
        server = await start(nursery, talk, write_timeout_s=0.1)
        raw = await trio.open_tcp_stream("127.0.0.1", server.port)
        await raw.send_all(REQUEST)
        async with trio_websocket.open_websocket(
            "127.0.0.1", server.port, "/other", use_ssl=False
        ) as bystander:
            await settled(server, slow=1, open=1)
            await bystander.send_message("still here")
            assert await bystander.get_message() == "still here"
        await raw.aclose()
        nursery.cancel_scope.cancel()


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """One masked frame, with a mask of zeros."""
    first = opcode | (0x80 if fin else 0)
    if len(payload) < 126:
        length = struct.pack("!B", 0x80 | len(payload))
    elif len(payload) < 65_536:
        length = struct.pack("!BH", 0x80 | 126, len(payload))
    else:
        length = struct.pack("!BQ", 0x80 | 127, len(payload))
    return bytes([first]) + length + bytes(4) + payload


async def test_a_message_in_endless_empty_fragments_is_cut_off():
    async with trio.open_nursery() as nursery:
        server = await start(nursery)
        raw = await trio.open_tcp_stream("127.0.0.1", server.port)
        await raw.send_all(REQUEST)
        await raw.receive_some(4096)
        await raw.send_all(frame(1, fin=False) + frame(0, fin=False) * (MAX_FRAGMENTS - 1))
        await check_echo(server)
        await settled(server, open=1)  # as many fragments as are allowed
        await raw.send_all(frame(0, fin=False))
        assert await read_all(raw) == b""
        await settled(server, flood=1, open=0)
        nursery.cancel_scope.cancel()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 9, 10]), st.booleans(), st.sampled_from([0, 5, 126, 300])
        ),
        max_size=12,
    ),
    st.lists(st.integers(1, 5000), min_size=1, max_size=8),
)
def test_the_fragment_guard_sees_the_same_frames_however_bytes_are_split(frames, sizes):
    stream = REQUEST + b"".join(frame(o, b"\xff" * n, fin=fin) for o, fin, n in frames)
    stream += frame(2, bytes(66_000 if min(sizes) > 50 else 0))  # ends what may be open
    stream += frame(1, fin=False) + frame(0, fin=False) * (MAX_FRAGMENTS - 1)
    guard, at, turn = FragmentGuard(), 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        assert not guard.exceeds(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert not guard.in_head
    assert not guard.exceeds(frame(9, b"ping"))  # control frames do not count
    assert guard.exceeds(frame(0, fin=False))


@given(st.integers(1, 3000))
def test_the_head_of_a_request_is_bounded_however_bytes_are_split(size):
    def bounded(stream: bytes) -> bool:
        guard = FragmentGuard()
        return any(guard.exceeds(stream[i : i + size]) for i in range(0, len(stream), size))

    fitting = REQUEST[:-2] + b"X: " + b"y" * (MAX_HEAD_BYTES - len(REQUEST) - 5) + b"\r\n\r\n"
    assert len(fitting) == MAX_HEAD_BYTES
    assert not bounded(fitting)
    assert bounded(fitting.replace(b"X: ", b"X: z"))
    assert bounded(b"y" * (MAX_HEAD_BYTES + 4))


async def test_a_handler_may_refuse_a_request_by_its_path():
    async def refuse(connection: Connection) -> None:
        assert connection.path == "/chat?token=secret"
        await connection.reject(401)

    async with trio.open_nursery() as nursery:
        server = await start(nursery, refuse)
        with pytest.raises(trio_websocket.ConnectionRejected, match="401"):
            async with connect(server):
                pass
        await settled(server, done=1, open=0)
        nursery.cancel_scope.cancel()


async def test_close_sends_its_code_and_abort_says_nothing():
    async def leave(connection: Connection) -> None:
        await connection.accept()
        if await connection.receive() == "close":
            await connection.close(4001, "enough")
        connection.abort()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        server = await start(nursery, leave)
        for word, code in (("close", 4001), ("abort", 1006)):
            async with connect(server) as client:
                await client.send_message(word)
                with pytest.raises(trio_websocket.ConnectionClosed) as caught:
                    await client.get_message()
                assert caught.value.reason.code == code
        await settled(server, done=2, open=0)
        nursery.cancel_scope.cancel()


async def test_cancelling_the_server_closes_every_socket_and_raises_nothing():
    kept = []  # or a socket that nobody closes would be closed when it is forgotten

    async def keep(connection: Connection) -> None:
        kept.append(connection)
        await echo(connection)

    async with trio.open_nursery() as outside:
        async with trio.open_nursery() as nursery:
            server = await start(nursery, keep)
            opened = await trio.open_tcp_stream("127.0.0.1", server.port)
            await opened.send_all(REQUEST)
            assert (await opened.receive_some(4096)).startswith(b"HTTP/1.1 101")
            waiting = await trio.open_tcp_stream("127.0.0.1", server.port)
            await settled(server, open=2)
            nursery.cancel_scope.cancel()
        with trio.fail_after(2):
            assert await read_all(opened) == b""
            assert await read_all(waiting) == b""
        with pytest.raises(OSError, match="connect"):
            await trio.open_tcp_stream("127.0.0.1", server.port)
        assert server.statistics().open == 0
        outside.cancel_scope.cancel()


async def test_an_address_in_use_is_told_to_whoever_starts_the_server():
    async with trio.open_nursery() as nursery:
        server = await start(nursery)
        with pytest.raises(ExceptionGroup) as caught:
            async with trio.open_nursery() as second:
                await start(second, port=server.port)
        assert caught.group_contains(OSError)
        await check_echo(server)
        nursery.cancel_scope.cancel()
