"""The simulated venue over real sockets, in virtual time: the protocol, and faults on demand."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
import trio_websocket
from trio.testing import MockClock, wait_all_tasks_blocked

from rtre.feeds import simulated
from rtre.feeds.simulated import SimulatedVenue, serve_venue

START_NS = 1_750_000_000_123_456_789
START_MS = START_NS // 1_000_000
TOO_MANY = '{"msg":"Subscribing to too many symbols","type":"error"}'
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n\r\n"
)


@attrs.define
class Client:
    """A client that keeps every frame it gets."""

    link: trio_websocket.WebSocketConnection
    frames: list[str] = attrs.Factory(list)
    closed: int = 0  #: the close code, once closed

    async def listen(self) -> None:
        try:
            while True:
                self.frames.append(await self.link.get_message())
        except trio_websocket.ConnectionClosed as error:
            self.closed = error.reason.code

    async def ask(self, kind: str, *symbols: str, **fields: int) -> None:
        for symbol in symbols:
            await self.link.send_message(json.dumps({"type": kind, "symbol": symbol, **fields}))
        await wait_all_tasks_blocked(0.005)

    def take(self, kind: str = "trade") -> list[dict]:
        """The trades of all frames of a kind so far; those frames are forgotten."""
        frames = [json.loads(f) for f in self.frames if json.loads(f)["type"] == kind]
        self.frames[:] = [f for f in self.frames if json.loads(f)["type"] != kind]
        return [trade for frame in frames for trade in frame["data"]]

    def symbols(self) -> set[str]:
        return {trade["s"] for trade in self.take()}


@asynccontextmanager
async def running(**options) -> AsyncIterator[SimulatedVenue]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(
            partial(
                serve_venue, **{"seed": 3, "rate": 500.0, "clock_ns": lambda: START_NS} | options
            )
        )
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def connected(venue: SimulatedVenue, token: str = "") -> AsyncIterator[Client]:
    query = f"?token={token}" if token else ""
    async with trio.open_nursery() as nursery:
        async with trio_websocket.open_websocket_url(venue.url + query) as link:
            client = Client(link)
            nursery.start_soon(client.listen)
            await wait_all_tasks_blocked(0.005)
            yield client
        nursery.cancel_scope.cancel()


async def elapse(clock: MockClock, seconds: float) -> None:
    """Let virtual time go on in steps of the venue's own, each until all is said."""
    for _ in range(round(seconds / simulated.PUMP_S)):
        clock.jump(simulated.PUMP_S * 1.001)  # past the deadline, whatever the rounding
        await wait_all_tasks_blocked(0.001)


async def test_trades_of_subscribed_symbols_come_in_the_venues_own_form(mock_clock):
    async with running() as venue, connected(venue) as client:
        await client.ask("subscribe", "AAPL", "BINANCE:BTCUSDT")
        await elapse(mock_clock, 1.0)
        form = (
            r'\{"data":\[(\{"p":[\d.]+,"s":"[A-Z:]+","t":\d{13},"v":[\d.]+\},?)+\],"type":"trade"\}'
        )
        assert all(re.fullmatch(form, f) for f in client.frames)
        assert '"s":"AAPL"' in "".join(client.frames)
        assert max(f.count('"p"') for f in client.frames) > 1  # several trades a message
        assert max(f.count('"p"') for f in client.frames) <= 8
        trades = client.take()
        times = [t["t"] for t in trades]
        assert times == sorted(times)
        assert START_MS <= times[0] < times[-1] <= START_MS + 1010
        # 450 orders of two prints until the first whole step has passed: sd 37.
        assert len(trades) == pytest.approx(450, abs=120)
        assert {type(t["v"]) for t in trades if t["s"] == "AAPL"} == {int}
        assert venue.statistics().trades == len(trades)
        assert venue.statistics().dropped == 0


async def test_each_client_gets_what_it_asked_for_until_it_unsubscribes(mock_clock):
    async with running() as venue, connected(venue) as first, connected(venue) as second:
        await first.ask("subscribe", "AAPL", "MSFT")
        await second.ask("subscribe", "MSFT", "JPM", "MSFT")
        await elapse(mock_clock, 0.6)
        assert [c for c in first.take() if c["s"] == "MSFT"] == [
            c for c in second.frames and second.take() if c["s"] == "MSFT"
        ]
        await elapse(mock_clock, 0.4)
        assert first.symbols() == {"AAPL", "MSFT"}
        assert second.symbols() == {"MSFT", "JPM"}
        await first.ask("unsubscribe", "MSFT", "NEVER.SUBSCRIBED")
        await elapse(mock_clock, 0.4)
        assert first.symbols() == {"AAPL"}
        assert second.symbols() == {"MSFT", "JPM"}
        await second.ask("unsubscribe", "MSFT", "JPM")
        await elapse(mock_clock, 0.2)
        assert second.frames == []
        assert venue.statistics().errors == 0


async def test_the_same_seed_and_clock_give_the_same_trades(mock_clock):
    runs = []
    for seed in (1, 1, 2):
        async with running(seed=seed) as venue, connected(venue) as client:
            await client.ask("subscribe", "AAPL", "MSFT")
            await elapse(mock_clock, 0.5)
            runs.append(client.take())
    assert len(runs[0]) > 50
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_the_fifty_first_symbol_is_refused_and_a_freed_slot_is_good_again(mock_clock):
    names = [f"S{i}" for i in range(51)]
    async with running(rate=5000.0) as venue, connected(venue) as client:
        await client.ask("subscribe", *names)
        assert client.frames == [TOO_MANY]
        await elapse(mock_clock, 0.6)
        client.frames.remove(TOO_MANY)
        assert client.symbols() == set(names[:50])
        await client.ask("unsubscribe", "S0")
        await client.ask("subscribe", "S50", "S1")
        await elapse(mock_clock, 0.6)
        client.take()
        await elapse(mock_clock, 0.4)
        assert client.symbols() == set(names[1:])
        assert venue.statistics().errors == 1


async def test_a_second_connection_with_the_same_token_closes_both():
    async with running() as venue, connected(venue, "other") as bystander:
        async with connected(venue, "k") as first, connected(venue, "k") as second:
            await wait_all_tasks_blocked(0.01)
            assert (first.closed, second.closed) == (1008, 1008)
        assert venue.statistics().evicted == 2
        async with connected(venue, "k") as third:
            assert third.closed == bystander.closed == 0


async def test_connections_without_a_token_do_not_share_one_nor_do_any_where_it_is_allowed():
    async with running() as venue, connected(venue) as first, connected(venue) as second:
        assert first.closed == second.closed == 0
    async with (
        running(one_per_token=False) as venue,
        connected(venue, "k") as first,
        connected(venue, "k") as second,
    ):
        assert first.closed == second.closed == 0


@pytest.mark.parametrize("token", ["wrong", "", "a&" * 20])
async def test_a_wrong_token_gets_a_401(token):
    async with running(tokens=frozenset({"right"})) as venue:
        with pytest.raises(trio_websocket.ConnectionRejected, match="401"):
            async with trio_websocket.open_websocket_url(f"{venue.url}?token={token}"):
                pass
        async with connected(venue, "right") as client:
            assert client.closed == 0
        assert venue.statistics().refused == 1


async def test_a_ping_comes_after_a_minute_without_data(mock_clock):
    async with running() as venue, connected(venue) as client, connected(venue) as busy:
        await busy.ask("subscribe", "AAPL")
        for _ in range(59):
            mock_clock.jump(1.0)
            await wait_all_tasks_blocked(0.001)
        assert client.frames == []
        for _ in range(2):
            mock_clock.jump(1.0)
            await wait_all_tasks_blocked(0.001)
        assert client.frames == ['{"type":"ping"}']
        assert '{"type":"ping"}' not in busy.frames
        mock_clock.jump(58.0)
        await wait_all_tasks_blocked(0.001)
        assert len(client.frames) == 1


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("{", "Invalid message"),
        ("[]", "Invalid message"),
        ('{"type":5}', "Invalid message"),
        ("[" * 16_000, "Invalid message"),
        (b"\xff\xfe", "Invalid message"),
        ('{"type":"dance"}', "Unknown message type 'dance'"),
        ('{"type":"subscribe"}', "'' is not a symbol"),
        ('{"type":"subscribe","symbol":"<b>"}', "'<b>' is not a symbol"),
        ('{"type":"subscribe","symbol":"A\\nB"}', "is not a symbol"),
        ('{"type":"history","symbol":"A","interval_ms":9}', "at least 10 ms, got 9000000"),
        ('{"type":"history","symbol":"A","intervals":0}', "got 0"),
        ('{"type":"history","symbol":"A","intervals":100001}', "got 100001"),
        ('{"type":"history","symbol":"A","interval_ms":99999999999999999999}', "intervals"),
    ],
)
async def test_what_makes_no_sense_is_told_and_the_connection_goes_on(message, told, mock_clock):
    async with running() as venue, connected(venue) as client:
        await client.link.send_message(message)
        await wait_all_tasks_blocked(0.005)
        (frame,) = map(json.loads, client.frames)
        assert set(frame) == {"msg", "type"}
        assert frame["type"] == "error"
        assert told in frame["msg"]
        assert len(frame["msg"]) <= 200
        client.frames.clear()
        await client.ask("subscribe", "AAPL")
        await elapse(mock_clock, 0.3)
        assert client.symbols() == {"AAPL"}


async def test_the_tenth_senseless_message_ends_the_connection():
    async with running() as venue, connected(venue) as client:
        for _ in range(9):
            await client.link.send_message("?")
        await wait_all_tasks_blocked(0.01)
        assert client.closed == 0
        assert len(client.frames) == 9
        await client.link.send_message("?")
        await wait_all_tasks_blocked(0.01)
        assert client.closed == 1008


async def test_history_comes_oldest_first_in_bounded_frames_and_before_later_trades(mock_clock):
    async with running() as venue, connected(venue) as client:
        await client.ask("subscribe", "AAPL")
        await elapse(mock_clock, 0.5)
        await client.ask("history", "AAPL", interval_ms=100, intervals=1100)
        await elapse(mock_clock, 0.3)
        kinds = [json.loads(f)["type"] for f in client.frames]
        first = kinds.index("history")
        assert kinds[first : first + 4] == ["history", "history", "history", "trade"]
        assert "history" not in kinds[first + 3 :]
        late = [t for f in client.frames[first + 3 :] for t in json.loads(f)["data"]]
        assert [len(json.loads(f)["data"]) for f in client.frames[first:][:3]] == [500, 500, 100]
        past = client.take("history")
        client.take()
        await client.ask("history", "MSFT", interval_ms=60_000, intervals=20)
        await elapse(mock_clock, 0.3)
        assert len(client.take("history")) == 20
        assert client.symbols() == {"AAPL"}  # history needs no subscription and makes none
        assert {t["s"] for t in past} == {"AAPL"}
        end = (START_MS + 500) // 100
        assert [t["t"] // 100 for t in past] == list(range(end - 1100, end))
        assert past[-1]["t"] < late[0]["t"]
        # A tenth of a second: a cent or two, of 230.
        assert past[-1]["p"] == pytest.approx(late[0]["p"], abs=0.1)


async def test_dropped_connections_end_without_a_close_frame_and_may_come_back(mock_clock):
    async with running() as venue, connected(venue, "k") as first:
        await first.ask("subscribe", "AAPL")
        venue.drop_all()
        await wait_all_tasks_blocked(0.01)
        assert first.closed == 1006
        async with connected(venue, "k") as again:
            await elapse(mock_clock, 0.3)
            assert again.frames == []  # subscriptions belong to a connection
            await again.ask("subscribe", "AAPL")
            await elapse(mock_clock, 0.3)
            assert again.symbols() == {"AAPL"}


async def test_close_all_closes_with_the_code():
    async with running() as venue, connected(venue) as first, connected(venue) as second:
        venue.inject("still queued, and a close does not wait for it")
        venue.close_all(1012)
        venue.inject("too late")
        await wait_all_tasks_blocked(0.01)
        assert (first.closed, second.closed) == (1012, 1012)
        assert first.frames == second.frames == []
        assert venue.statistics().server.open == 0


async def test_a_silent_venue_keeps_connections_and_counts_what_it_does_not_send(mock_clock):
    async with running() as venue, connected(venue) as client:
        await client.ask("subscribe", "AAPL")
        venue.silence(True)
        await elapse(mock_clock, 0.5)
        for _ in range(70):  # no ping either
            mock_clock.jump(1.0)
            await wait_all_tasks_blocked(0.001)
        await client.ask("history", "AAPL", intervals=3)
        assert client.frames == []
        assert client.closed == 0
        assert venue.statistics().dropped > 100
        venue.silence(False)
        await elapse(mock_clock, 0.3)
        assert client.symbols() == {"AAPL"}


async def test_injected_text_reaches_every_client_as_it_is():
    async with running() as venue, connected(venue) as first, connected(venue) as second:
        venue.inject('{"type":"trade","data":[{"p":NaN')
        await wait_all_tasks_blocked(0.01)
        assert first.frames == second.frames == ['{"type":"trade","data":[{"p":NaN']


async def test_a_client_that_does_not_read_loses_its_own_trades_only(mock_clock, monkeypatch):
    monkeypatch.setattr(simulated, "MAX_QUEUED", 2)
    async with running(rate=100_000.0) as venue:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow = trio.SocketStream(trio.socket.from_stdlib_socket(raw))
        await slow.socket.connect(("127.0.0.1", venue.port))
        await slow.send_all(HANDSHAKE)
        await slow.receive_some(4096)
        request = b'{"type":"subscribe","symbol":"AAPL"}'
        await slow.send_all(bytes([0x81, 0x80 | len(request)]) + bytes(4) + request)
        async with connected(venue) as client:
            await client.ask("subscribe", "MSFT")
            with trio.fail_after(60):
                while not venue.statistics().dropped:
                    await elapse(mock_clock, 0.2)
                    client.take()
            dropped = venue.statistics().dropped
            client.take()
            await elapse(mock_clock, 0.2)
            assert len(client.take()) > 5000  # a half of 100,000 a second
            assert venue.statistics().dropped > dropped
            for _ in range(6):
                mock_clock.jump(1.0)
                await wait_all_tasks_blocked(0.001)
            assert venue.statistics().server.slow == 1
            assert venue.statistics().server.open == 1
        await slow.aclose()


async def test_a_venue_that_falls_behind_skips_time_and_says_how_much(mock_clock):
    async with running() as venue, connected(venue) as client:
        await client.ask("subscribe", "AAPL")
        mock_clock.jump(3600.0)
        await wait_all_tasks_blocked(0.005)
        await elapse(mock_clock, 0.3)
        assert venue.statistics().skipped_ns == pytest.approx(3600e9, rel=1e-3)
        trades = client.take()
        assert len(trades) < 400
        assert trades[-1]["t"] == pytest.approx(START_MS + 3_600_300, abs=100)


async def test_symbols_are_bounded_over_all_clients(mock_clock, monkeypatch):
    monkeypatch.setattr(simulated, "MAX_SYMBOLS", 3)
    async with running(symbol_limit=None) as venue, connected(venue) as client:
        await client.ask("subscribe", "A", "B")
        await client.ask("history", "C", intervals=1)
        assert len(client.take("history")) == 1
        await client.ask("history", "D", intervals=1)
        await client.ask("subscribe", "D", "A", "C")
        assert client.frames == [TOO_MANY, TOO_MANY]


async def test_under_load_frames_hold_up_to_fifty_trades_of_any_number_of_symbols(mock_clock):
    names = [f"S{i}" for i in range(120)]
    async with (
        running(rate=200_000.0, symbol_limit=None) as venue,
        connected(venue) as client,
    ):
        await client.ask("subscribe", *names)
        await elapse(mock_clock, 0.4)
        sizes = [f.count('"p"') for f in client.frames]
        assert max(sizes) == 50
        assert sum(sizes) > 50_000
        assert venue.statistics().dropped == 0
        assert venue.statistics().frames == len(sizes)
        assert client.symbols() == set(names)
