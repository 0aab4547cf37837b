"""How a wire stream ends: a violation, the peer's close, or a send that does not get through."""

from __future__ import annotations

import pytest
import trio
import trio.testing
import trio_websocket
from link_support import answer, text
from trio.testing import memory_stream_pair
from wire_support import Memory, drain, opened

from rtre.errors import LinkClosedError
from rtre.feeds.wire import LinkLimits, WireStream


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
