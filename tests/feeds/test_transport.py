"""Real sockets on 127.0.0.1: what a link gives when the other side sends what it likes."""

from __future__ import annotations

import socket

import pytest
import trio
import trio_websocket
from link_support import (
    CANARY,
    QUERY,
    QUICK,
    accept,
    assert_no_secret,
    drain,
    read_frames,
    served,
    text,
)

from rtre.errors import LinkClosedError
from rtre.feeds.transport import LinkLimits, open_link


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
