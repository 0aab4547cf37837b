"""The wire stream in virtual time, over in-memory streams, under the real WebSocket library."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from link_support import text
from trio.testing import memory_stream_pair
from wire_support import MESSAGES, SESSION, drain, opened

from rtre.errors import LinkClosedError
from rtre.feeds.wire import LinkLimits, WireStream
from rtre.venues.frames import Frames


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
