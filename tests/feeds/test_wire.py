"""The wire stream in virtual time, over in-memory streams, under the real WebSocket library."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
import trio_websocket
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from rtre.errors import LinkClosedError
from rtre.feeds.wire import LinkLimits, WireStream
from rtre.venues.frames import Frames

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Memory = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


def text(payload: bytes) -> bytes:
    assert len(payload) < 126
    return bytes([0x81, len(payload)]) + payload


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


async def answer(peer: trio.abc.Stream) -> bytes:
    """The response head to the request that `peer` reads."""
    request = b""
    while b"\r\n\r\n" not in request:
        request += await peer.receive_some()
    key = re.search(rb"Sec-WebSocket-Key: (.*)\r\n", request)
    assert key is not None
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: "
        + base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
        + b"\r\n\r\n"
    )


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


async def test_messages_of_several_reads_come_as_one(autojump_clock: trio.abc.Clock) -> None:
    async with opened() as (wire, _, peer):
        for _ in range(3):
            await peer.send_all(SESSION)
            await trio.testing.wait_all_tasks_blocked()
        assert wire.statistics().queued_bytes > 0
        assert [bytes(m) for m in await wire.receive()] == MESSAGES * 3
        assert wire.statistics().queued_bytes == 0
        assert wire.statistics().reads == 3
        assert wire.statistics().messages == 15
        assert wire.statistics().control_frames == 6
        assert wire.statistics().bytes == 3 * len(SESSION)


async def test_every_cut_of_the_head_and_the_first_frames_gives_the_same(
    autojump_clock: trio.abc.Clock,
) -> None:
    for cut in range(1, 129 + len(SESSION)):
        async with opened(cuts=(cut,), after=SESSION) as (wire, _, peer):
            await peer.send_stream.aclose()
            assert await drain(wire) == (MESSAGES, 1006)
            assert wire.statistics().partial == 0


async def test_an_end_at_every_byte_gives_what_was_complete(
    autojump_clock: trio.abc.Clock,
) -> None:
    partials = 0
    for cut in range(len(SESSION)):
        async with opened(after=SESSION[:cut]) as (wire, _, peer):
            await peer.send_stream.aclose()
            messages, code = await drain(wire)
            assert (messages, code) == (MESSAGES[: len(messages)], 1006)
            partials += wire.statistics().partial
    between_messages = {0, 5, 8, 20, SESSION.index(b"\x82"), len(SESSION) - 2}
    assert partials == len(SESSION) - len(between_messages)


async def test_reading_stops_at_the_bound_and_goes_on_when_there_is_room(
    autojump_clock: trio.abc.Clock,
) -> None:
    limits = LinkLimits(queue_bytes=10_000, read_bytes=1000)
    async with opened(limits) as (wire, _, peer):
        await peer.send_all(text(b"x" * 98) * 1000)
        await trio.testing.wait_all_tasks_blocked()
        assert wire.statistics().stalls == 1
        held = wire.statistics().queued_bytes
        assert 10_000 <= held < 13_000
        got = 0
        while got < 1000:
            got += len(await wire.receive())
            await trio.testing.wait_all_tasks_blocked()
        assert got == 1000
        assert wire.statistics().messages == 1000
        assert wire.statistics().stalls > 1


async def test_many_tiny_reads_are_bounded_as_well(autojump_clock: trio.abc.Clock) -> None:
    async with opened(LinkLimits(queue_bytes=50_000, read_bytes=3)) as (wire, _, peer):
        await peer.send_all(text(b"x") * 5000)
        await trio.testing.wait_all_tasks_blocked()
        assert wire.statistics().messages < 60, "each read costs more than its bytes"


async def test_pings_before_the_bound_are_answered_although_nobody_reads(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with opened(LinkLimits(queue_bytes=1 << 20)) as (wire, _, peer):
        for i in range(50):
            await peer.send_all(text(b"x" * 100) * 100 + b"\x89\x01" + bytes([i]))
            pong = await peer.receive_some()
            assert (pong[:2], pong[6] ^ pong[2]) == (b"\x8a\x81", i)
        assert wire.statistics().stalls == 0


async def test_after_a_violation_the_peer_gets_the_code_and_time_to_hang_up(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with opened(LinkLimits(close_s=2.0)) as (wire, library, peer):
        await peer.send_all(text(b"good") + b"\xf1\x00")
        begun = trio.current_time()
        assert await drain(wire) == ([b"good"], 1002)
        assert trio.current_time() == begun, "the consumer need not wait"
        close = await peer.receive_some()
        key, payload = close[2:6], close[6:]
        plain = bytes(b ^ key[i % 4] for i, b in enumerate(payload))
        assert close[0] == 0x88
        assert plain[:2] == (1002).to_bytes(2, "big")
        with pytest.raises(trio_websocket.ConnectionClosed):
            await library.send_message("nothing may follow a close frame")
        await peer.send_all(b"garbage that nobody looks at")
        await wire.wait_over()
        assert trio.current_time() - begun == pytest.approx(2.0)


async def test_a_polite_peer_ends_the_farewell_early(autojump_clock: trio.abc.Clock) -> None:
    async with opened(LinkLimits(close_s=60.0)) as (wire, _, peer):
        await peer.send_all(b"\x81\x01\xff")
        await peer.receive_some()
        await peer.send_stream.aclose()
        begun = trio.current_time()
        await wire.wait_over()
        assert trio.current_time() == begun


async def test_the_peers_close_is_answered_and_given_to_the_consumer(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with opened() as (wire, _, peer):
        await peer.send_all(text(b"last") + b"\x88\x05\x03\xe9bye" + text(b"late"))
        assert await drain(wire) == ([b"last"], 1001)
        reply = await peer.receive_some()
        assert reply[0] == 0x88
        await wire.wait_over()
        with pytest.raises(LinkClosedError, match=r"ws://peer\.test ended .*bye.*1001"):
            await wire.receive()


async def test_a_partial_message_is_counted_when_the_peer_closes(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with opened(after=b"\x01\x03par\x88\x02\x03\xe8") as (wire, _, _):
        assert await drain(wire) == ([], 1000)
        assert wire.statistics().partial == 1


class Stuck(trio.abc.Stream):
    """A stream whose sends never end, once `stuck` is set."""

    def __init__(self, inner: Memory) -> None:
        self.inner = inner
        self.stuck = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if self.stuck:
            await trio.sleep_forever()
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


@pytest.mark.parametrize("what", ["a message of ours", "a pong"])
async def test_a_send_that_does_not_end_ends_the_link(
    autojump_clock: trio.abc.Clock, what: str
) -> None:
    ours, peer = memory_stream_pair()
    stuck = Stuck(ours)
    wire = WireStream(stuck, LinkLimits(send_s=5.0), "ws://peer.test")
    async with trio.open_nursery() as nursery:

        async def shake() -> None:
            await peer.send_all(await answer(peer))

        nursery.start_soon(shake)
        library = await trio_websocket.wrap_client_stream(nursery, wire, "peer.test", "/")
        stuck.stuck = True
        begun = trio.current_time()
        if what == "a pong":
            await peer.send_all(b"\x89\x00")
        else:
            with pytest.raises(trio_websocket.ConnectionClosed):
                await library.send_message("x")
        with pytest.raises(LinkClosedError) as caught:
            await wire.receive()
        assert caught.value.code == 1006
        assert trio.current_time() - begun == pytest.approx(5.0)
        nursery.cancel_scope.cancel()


async def test_a_send_that_is_cancelled_half_way_ends_the_link(
    autojump_clock: trio.abc.Clock,
) -> None:
    ours, peer = memory_stream_pair()
    stuck = Stuck(ours)
    wire = WireStream(stuck, LinkLimits(), "ws://peer.test")
    stuck.stuck = True
    with trio.move_on_after(1) as scope:
        await wire.send_all(b"half of this may be out")
    assert scope.cancelled_caught
    stuck.stuck = False
    with pytest.raises(trio.BrokenResourceError):
        await wire.send_all(b"and this would be read as its other half")
    with pytest.raises(LinkClosedError):
        await wire.receive()
    await peer.aclose()


async def test_cancelling_a_receive_loses_nothing(autojump_clock: trio.abc.Clock) -> None:
    async with opened() as (wire, _, peer):
        got: list[bytes] = []
        for i in range(40):
            with trio.move_on_after(0.5):
                got += [bytes(m) for m in await wire.receive()]
            if i % 3 == 0:
                await peer.send_all(text(b"%d" % i))
            with trio.CancelScope() as scope:
                scope.cancel()
                got += [bytes(m) for m in await wire.receive()]
        with trio.move_on_after(1):
            got += [bytes(m) for m in await wire.receive()]
        assert got == [b"%d" % i for i in range(0, 40, 3)]


async def test_delivery_gives_each_read_at_once_and_ends_with_the_link(
    autojump_clock: trio.abc.Clock,
) -> None:
    got: list[list[bytes]] = []
    codes: list[int] = []

    async def consume(wire: WireStream) -> None:
        try:
            await wire.deliver(lambda frames: got.append([bytes(m) for m in frames]))
        except LinkClosedError as error:
            codes.append(error.code)

    async with opened() as (wire, _, peer), trio.open_nursery() as nursery:
        await peer.send_all(SESSION)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(consume, wire)
        await trio.testing.wait_all_tasks_blocked()
        assert got == [MESSAGES], "what waited comes first"
        for count in (2, 3):
            await peer.send_all(SESSION)
            await trio.testing.wait_all_tasks_blocked()
            assert got == [MESSAGES] * count
        assert wire.statistics().queued_bytes == 0
        await peer.send_all(text(b"last") + b"\x88\x02\x03\xe8")
    assert got[3:] == [[b"last"]]
    assert codes == [1000]


async def test_cancelling_a_delivery_loses_nothing(autojump_clock: trio.abc.Clock) -> None:
    got: list[bytes] = []

    def take(frames: Frames) -> None:
        got.extend(bytes(m) for m in frames)

    async with opened() as (wire, _, peer):
        for i in range(6):
            with trio.move_on_after(1):
                await wire.deliver(take)
            await peer.send_all(text(b"%d" % i))
            await trio.testing.wait_all_tasks_blocked()
            if i % 2:
                got += [bytes(m) for m in await wire.receive()]
    assert got == [b"%d" % i for i in range(6)]


async def test_what_a_taker_raises_comes_out_of_the_delivery_and_the_link_lives_on(
    autojump_clock: trio.abc.Clock,
) -> None:
    def fail(frames: Frames) -> None:
        raise ZeroDivisionError("a bug")

    async with opened() as (wire, _, peer):
        await peer.send_all(text(b"a"))
        await trio.testing.wait_all_tasks_blocked()
        assert len(await wire.receive()) == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.send_all, text(b"b"))
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await wire.deliver(fail)
        await peer.send_all(text(b"c"))
        assert [bytes(m) for m in await wire.receive()] == [b"c"]
        got: list[bytes] = []
        with trio.move_on_after(1):  # what came out once does not come out again
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wire.deliver, lambda frames: got.extend(map(bytes, frames)))
                await peer.send_all(text(b"d"))
        assert got == [b"d"]


async def test_nothing_is_kept_once_nobody_listens(autojump_clock: trio.abc.Clock) -> None:
    async with opened(LinkLimits(queue_bytes=1000)) as (wire, _, peer):
        await peer.send_all(text(b"x" * 100) * 100)
        await trio.testing.wait_all_tasks_blocked()
        assert wire.statistics().stalls == 1
        wire.stop_listening()
        await peer.send_all(text(b"x" * 100) * 100)
        await trio.testing.wait_all_tasks_blocked()
        assert wire.statistics().messages == 200
        assert wire.statistics().queued_bytes == 0


async def test_the_last_byte_is_stamped_with_trios_clock(autojump_clock: trio.abc.Clock) -> None:
    async with opened() as (wire, _, peer):
        await trio.sleep(100)
        assert trio.current_time() - wire.statistics().last_byte == pytest.approx(100)
        await peer.send_all(b"\x8a\x00")  # a pong is a sign of life too
        await trio.testing.wait_all_tasks_blocked()
        assert wire.statistics().last_byte == trio.current_time()


async def test_a_library_that_reads_in_small_steps_gets_all_of_it(
    autojump_clock: trio.abc.Clock,
) -> None:
    ours, peer = memory_stream_pair()
    wire = WireStream(ours, LinkLimits(), "ws://peer.test")
    head = b"HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n"
    await peer.send_all(head + b"\x89\x03abc" + text(b"m"))
    got = b"".join([await wire.receive_some(1) for _ in range(len(head) + 5)])
    assert got == head + b"\x89\x03abc"
    assert [bytes(m) for m in await wire.receive()] == [b"m"]


@pytest.mark.parametrize("name", ["connect_s", "close_s", "message_bytes", "queue_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_a_limit_that_is_not_positive_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        LinkLimits(**{name: value})
