"""`TlsStream` when sends and receives run at once, and when a send is stuck or cut off."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
import trio.testing
from tls_support import NAME, client_context, connected, exactly, server_context

from rtre.feeds.tls import TlsStream


async def test_after_a_send_that_was_cut_off_nothing_can_be_sent(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with connected() as (client, server, under):
        under.stuck = True
        with trio.move_on_after(1):
            await client.send_all(b"x" * 1000)
        under.stuck = False
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"y")
        with trio.move_on_after(1) as waited:
            await server.receive_some()
        assert waited.cancelled_caught, "half a record must not be followed by another"


async def test_over_loopback_receiving_and_sending_do_not_disturb_each_other() -> None:
    """200 sends by two tasks while a third receives the echo of each."""
    message = b"subscribe" * 11

    async def echo(stream: trio.SocketStream) -> None:
        server = trio.SSLStream(stream, server_context(), server_side=True)
        with suppress(trio.BrokenResourceError):
            while data := await server.receive_some(65536):
                await server.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, echo, 0)
        stream = await trio.testing.open_stream_to_socket_listener(listeners[0])
        client = TlsStream(stream, client_context(), NAME)
        await client.do_handshake()

        async def send() -> None:
            for _ in range(100):
                await client.send_all(message)

        with trio.fail_after(20):
            async with trio.open_nursery() as senders:
                senders.start_soon(send)
                senders.start_soon(send)
                assert await exactly(client, 200 * len(message)) == message * 200
        await client.aclose()
        nursery.cancel_scope.cancel()


async def test_receiving_goes_on_while_a_send_waits_for_a_peer_that_takes_nothing(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with connected() as (client, server, under), trio.open_nursery() as nursery:
        under.stuck = True
        nursery.start_soon(client.send_all, b"x" * 1000)
        nursery.start_soon(client.send_all, b"y" * 1000)  # its record waits in the buffer
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(1):
            for word in (b"one", b"two"):
                await server.send_all(word)
                assert await client.receive_some() == word
        nursery.cancel_scope.cancel()


async def test_receiving_goes_on_after_a_send_was_cut_off(autojump_clock: trio.abc.Clock) -> None:
    async with connected() as (client, server, under):
        under.stuck = True
        with trio.move_on_after(1):
            await client.send_all(b"x" * 1000)
        await server.send_all(b"still here")
        assert await client.receive_some() == b"still here"


async def test_a_send_whose_bytes_went_down_with_another_does_not_succeed(
    autojump_clock: trio.abc.Clock,
) -> None:
    outcomes: dict[str, str] = {}
    tasks: dict[str, trio.lowlevel.Task] = {}

    async with connected() as (client, _, under), trio.open_nursery() as nursery:

        async def send(name: str, scope: trio.CancelScope) -> None:
            tasks[name] = trio.lowlevel.current_task()
            with scope:
                try:
                    await client.send_all(name.encode())
                    outcomes[name] = "sent"
                except trio.BrokenResourceError:
                    outcomes[name] = "broken"

        under.stuck = True
        scopes = {name: trio.CancelScope() for name in "ab"}
        for name, scope in scopes.items():  # both encrypt before the first of them sends for both
            nursery.start_soon(send, name, scope)
        await trio.testing.wait_all_tasks_blocked()
        under.stuck = False
        for name, scope in scopes.items():
            if tasks[name] is under.sender:
                scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
    assert list(outcomes.values()) == ["broken"]


async def test_closing_does_not_wait_for_a_send_that_is_stuck(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with connected() as (client, _, under), trio.open_nursery() as nursery:
        under.stuck = True
        nursery.start_soon(client.send_all, b"x" * 1000)
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(1):
            await client.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await client.send_all(b"y")
        nursery.cancel_scope.cancel()
