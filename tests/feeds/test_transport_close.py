"""A link's end from our side: cancelled, closed, held up, or by what its body raises."""

from __future__ import annotations

import socket
import time

import pytest
import trio
from link_support import QUICK, accept, assert_no_secret, read_frames, read_request, served, text

from rtre.errors import LinkClosedError
from rtre.feeds.transport import LinkLimits, open_link


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
