"""`TlsStream` in memory, against `trio.SSLStream` and against a bare `SSLObject`."""

from __future__ import annotations

import random
import ssl
from contextlib import suppress

import pytest
import trio
import trio.testing
from tls_support import NAME, Choppy, client_context, connected, exactly, server_context

from rtre.feeds.tls import TlsStream


@pytest.mark.parametrize("seed", range(5))
async def test_all_bytes_arrive_in_order_both_ways_however_they_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    down, up = rng.randbytes(200_000), rng.randbytes(50_000)
    async with connected(rng) as (client, server, _), trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, down)
        nursery.start_soon(client.send_all, up)
        assert await exactly(client, len(down)) == down
        assert await exactly(server, len(up)) == up


async def test_one_call_gives_all_records_that_have_come() -> None:
    async with connected() as (client, server, _):
        await server.send_all(bytes(60_000))  # four records
        assert len(await client.receive_some(65536)) == 60_000


async def test_a_call_never_gives_more_than_asked_for_and_the_rest_follows() -> None:
    async with connected() as (client, server, _):
        await server.send_all(bytes(40_000))
        sizes = []
        while sum(sizes) < 40_000:
            with trio.testing.assert_checkpoints():
                sizes.append(len(await client.receive_some(7_000)))
        assert max(sizes) <= 7_000


async def test_the_peers_goodbye_is_the_end_after_everything_before_it() -> None:
    async with connected() as (client, server, _), trio.open_nursery() as nursery:
        await server.send_all(b"last words")
        nursery.start_soon(server.aclose)
        assert await exactly(client, 10) == b"last words"
        assert await client.receive_some() == b""
        assert await client.receive_some() == b""
        await client.aclose()


async def test_an_end_without_a_goodbye_is_an_end_as_well() -> None:
    async with connected() as (client, server, _):
        await server.send_all(b"last words")
        await trio.aclose_forcefully(server.transport_stream)
        assert await exactly(client, 10) == b"last words"
        assert await client.receive_some() == b""


async def test_a_changed_bit_breaks_the_connection() -> None:
    async with connected() as (client, server, under):
        await server.send_all(b"good")
        assert await client.receive_some() == b"good"
        under.spoil = True
        await server.send_all(b"bad")
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError):
                await client.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"no more")


async def test_what_came_whole_before_a_changed_bit_is_given_first() -> None:
    async with connected() as (client, server, under):
        await server.send_all(b"good")
        await server.send_all(b"bad")
        under.spoil = True  # the last byte of one read that holds both
        assert await client.receive_some() == b"good"
        with pytest.raises(trio.BrokenResourceError):
            await client.receive_some()


async def test_cancelling_a_receive_loses_nothing(autojump_clock: trio.abc.Clock) -> None:
    data = random.Random(1).randbytes(300_000)
    got = b""
    async with connected() as (client, server, _), trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, data)
        while len(got) < len(data):
            with trio.CancelScope() as scope:
                if len(got) % 3 == 0:
                    scope.cancel()
                got += await client.receive_some(1000)
            if scope.cancelled_caught:
                got += await client.receive_some(1001)
    assert got == data


@pytest.mark.parametrize(("trusts", "name"), [(False, NAME), (True, "other.test")])
async def test_a_certificate_that_is_not_trusted_is_refused_and_the_peer_told(
    trusts: bool, name: str
) -> None:
    near, far = trio.testing.memory_stream_pair()
    client = TlsStream(near, client_context(trusts=trusts), name)
    server = trio.SSLStream(far, server_context(), server_side=True)

    async def serve() -> None:
        with pytest.raises(trio.BrokenResourceError) as caught:
            await server.receive_some()  # shakes hands first; in TLS 1.3 that succeeds
        assert isinstance(caught.value.__cause__, ssl.SSLError)
        assert "ALERT" in str(caught.value.__cause__)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await client.do_handshake()
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_peer_without_tls_fails_the_handshake_at_once(answer: bytes) -> None:
    near, far = trio.testing.memory_stream_pair()
    if answer:
        await far.send_all(answer)
    else:
        await far.send_eof()
    client = TlsStream(near, client_context(), NAME)
    with pytest.raises(trio.BrokenResourceError) as caught:
        await client.do_handshake()
    assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_closing_says_goodbye_and_closes_the_transport() -> None:
    async with connected() as (client, server, under):
        await client.aclose()
        assert await server.receive_some() == b""  # without a goodbye Trio's stream raises
        with pytest.raises(trio.ClosedResourceError):
            await under.receive_some()
        for call in (client.receive_some(), client.send_all(b"x")):
            with pytest.raises(trio.ClosedResourceError):
                await call
        await client.aclose()


async def test_closing_releases_who_waits_for_data() -> None:
    async with connected() as (client, _, _), trio.open_nursery() as nursery:

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await client.receive_some()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()


async def test_what_tls_itself_is_asked_for_is_answered_without_a_send(
    autojump_clock: trio.abc.Clock,
) -> None:
    near, far = trio.testing.memory_stream_pair()
    context = client_context()
    context.post_handshake_auth = True
    asked = server_context()
    asked.verify_mode = ssl.CERT_OPTIONAL
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = asked.wrap_bio(inward, outward, server_side=True)
    client = TlsStream(near, context, NAME)

    async def pump() -> None:
        while True:
            try:
                server.do_handshake()
                break
            except ssl.SSLWantReadError:
                if outward.pending:
                    await far.send_all(outward.read())
                inward.write(await far.receive_some())
        await far.send_all(outward.read())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump)
        await client.do_handshake()
    server.verify_client_post_handshake()
    server.write(b"x")
    await far.send_all(outward.read())
    async with trio.open_nursery() as nursery:
        assert await client.receive_some() == b"x"
        nursery.start_soon(client.receive_some)
        with trio.fail_after(1):
            answer = await far.receive_some()
        inward.write(answer)
        with pytest.raises(ssl.SSLWantReadError):
            server.read(1)  # takes the answer in; garbage would be an error
        nursery.cancel_scope.cancel()
    assert answer


async def test_a_certificate_error_is_told_even_if_the_peer_cannot_be_told() -> None:
    near, far = trio.testing.memory_stream_pair()
    server = trio.SSLStream(far, server_context(), server_side=True)

    class Deaf(Choppy):
        sends = 0

        async def send_all(self, data: bytes | bytearray | memoryview) -> None:
            self.sends += 1
            if self.sends > 1:
                raise trio.BrokenResourceError("hung up")
            await super().send_all(data)

    async def serve() -> None:
        with suppress(trio.BrokenResourceError):
            await server.do_handshake()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve)
        with pytest.raises(trio.BrokenResourceError) as caught:
            await TlsStream(Deaf(near), client_context(trusts=False), NAME).do_handshake()
        nursery.cancel_scope.cancel()
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


@pytest.mark.parametrize("goodbye", [True, False])
async def test_it_is_known_whether_the_end_came_with_a_goodbye(goodbye: bool) -> None:
    async with connected() as (client, server, _), trio.open_nursery() as nursery:
        assert not client.truncated
        nursery.start_soon(server.aclose if goodbye else server.transport_stream.aclose)
        assert await client.receive_some() == b""
        assert client.truncated is not goodbye
        with trio.testing.assert_checkpoints():
            assert await client.receive_some() == b""


@pytest.mark.parametrize("size", [0, -1])
async def test_a_size_to_read_below_one_is_refused(size: int) -> None:
    async with connected() as (client, _, _):
        with trio.fail_after(2), pytest.raises(ValueError, match=str(size)):
            await client.receive_some(size)
