"""The live feed: reconnecting in virtual time with scripted links, and over real sockets."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NoReturn

import pytest
import trio
import trio.testing

from rtre.errors import ConnectFailedError, HandshakeFailedError, LinkClosedError
from rtre.feeds import websocket
from rtre.feeds.backoff import Backoff
from rtre.feeds.simulated import SimulatedVenue, serve_venue
from rtre.feeds.websocket import WebSocketFeed
from rtre.feeds.wire import LinkStatistics
from rtre.market import FeedItem, LinkChange, TickBatch, Universe
from rtre.venues.base import Venue
from rtre.venues.finnhub import VENUE as FINNHUB
from rtre.venues.frames import Frames
from rtre.venues.simulated import VENUE as SIMULATED

UNIVERSE = Universe(("AAPL", "MSFT"))
TRADE = b'{"data":[{"p":190.5,"s":"AAPL","t":1575526691134,"v":1}],"type":"trade"}'


class Collected:
    """A channel that keeps what a feed writes."""

    def __init__(self) -> None:
        self.items: list[FeedItem] = []

    def send_nowait(self, item: FeedItem) -> None:
        self.items.append(item)

    async def send(self, item: FeedItem) -> None:
        self.items.append(item)

    @property
    def ups(self) -> list[bool]:
        return [item.up for item in self.items if isinstance(item, LinkChange)]

    @property
    def ticks(self) -> int:
        return sum(len(item) for item in self.items if isinstance(item, TickBatch))


class ScriptedLink:
    """Stands where an open connection would; time is virtual, so no socket can be."""

    def __init__(self, script: list[Any]) -> None:
        self._script = script
        self.sent: list[str] = []
        self.deaf = False
        self._last_byte = trio.current_time()

    async def send(self, text: str) -> None:
        if self.deaf:
            raise LinkClosedError("gone")
        self.sent.append(text)

    async def receive(self) -> Frames:
        await trio.lowlevel.checkpoint()
        while self._script:
            step = self._script.pop(0)
            if isinstance(step, float):
                await trio.sleep(step)
            elif isinstance(step, Exception):
                raise step
            else:
                self._last_byte = trio.current_time()
                return Frames.of([step])
        await trio.sleep_forever()
        raise AssertionError

    async def deliver(self, take: Callable[[Frames], None]) -> NoReturn:
        while True:
            take(await self.receive())

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(
            bytes=0, reads=0, messages=0, control_frames=0, partial=0, pings_skipped=0, stalls=0,
            queued_bytes=0, last_byte=self._last_byte,
        )  # fmt: skip


class World:
    """Opens one scripted link after the other, and notes when."""

    deaf = False  #: its links are at their end by the time that something is sent

    def __init__(self, sessions: list[Any]) -> None:
        self._sessions = sessions
        self.opened: list[float] = []
        self.links: list[ScriptedLink] = []

    @asynccontextmanager
    async def open_link(self, url: str, **_: Any) -> AsyncIterator[ScriptedLink]:
        self.opened.append(trio.current_time())
        script = self._sessions.pop(0) if self._sessions else None
        if script is None:
            await trio.sleep_forever()
        if isinstance(script, Exception):
            raise script
        link = ScriptedLink(script)
        link.deaf = self.deaf
        self.links.append(link)
        yield link


async def run_for(
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
    sessions: list[Any],
    seed: int = 1,
    venue: type[Venue] = FINNHUB,
    history: tuple[int, int] | None = None,
) -> tuple[World, Collected, WebSocketFeed]:
    world, out = World(sessions), Collected()
    monkeypatch.setattr(websocket, "open_link", world.open_link)
    feed = WebSocketFeed(
        venue, UNIVERSE, UNIVERSE.symbols, url="ws://127.0.0.1:1", token="k3y", history=history,
        rng=random.Random(seed), clock_ns=lambda: int(trio.current_time() * 1e9),
    )  # fmt: skip
    with trio.move_on_after(seconds):
        await feed.run(out)
    return world, out, feed


def intervals_asked(link: ScriptedLink) -> int:
    """How much history a session wanted, of each symbol."""
    (found,) = {json.loads(text)["intervals"] for text in link.sent if "history" in text}
    return int(found)


async def test_after_a_loss_it_connects_again_and_subscribes_to_the_whole_wanted_set(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = LinkClosedError("closed by the venue", 1001)
    world, out, feed = await run_for(60, monkeypatch, [[TRADE, 1.0, lost], [TRADE]])
    assert len(world.links) == 2
    assert world.links[0].sent == world.links[1].sent
    assert [("AAPL" in text, "MSFT" in text) for text in world.links[1].sent] == [
        (True, False),
        (False, True),
    ]
    assert out.ups == [False, True, False, True]
    assert out.ticks == 2
    assert feed.statistics().connections == 2
    assert feed.statistics().received == 2


async def test_attempts_back_off_and_stay_under_the_cap_while_a_venue_is_away(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [ConnectFailedError("refused") for _ in range(1000)]
    world, _, _ = await run_for(3600, monkeypatch, list(away))
    gaps = [b - a for a, b in zip(world.opened, world.opened[1:], strict=False)]
    assert max(gaps) <= 30.0
    assert 3600 / 30 <= len(world.opened) < 3600 / 10  # full jitter: 15 s in the mean
    assert len(set(gaps)) == len(gaps)


async def test_a_link_that_dies_young_does_not_reset_the_delay(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    flapping = [[TRADE, 0.1, TRADE, LinkClosedError("reset")] for _ in range(500)]
    world, _, _ = await run_for(600, monkeypatch, list(flapping))
    assert len(world.opened) <= 3 + 10 * 10  # at most ten a minute after the first three


async def test_a_refused_token_is_not_tried_again_soon(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [HandshakeFailedError("refused: HTTP 401", 401) for _ in range(50)]
    world, _, feed = await run_for(300, monkeypatch, list(refused))
    assert len(world.opened) <= 5
    assert "401" in feed.statistics().notice


@pytest.mark.parametrize(
    ("status", "asked", "least"),
    [(429, None, 30.0), (429, 7.0, 30.0), (429, 120.0, 120.0), (503, 90.0, 90.0), (503, None, 0.0)],
)
async def test_a_peer_that_asks_to_be_left_alone_is_and_the_jitter_stays(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    asked: float | None,
    least: float,
) -> None:
    busy = [HandshakeFailedError("refused", status, asked) for _ in range(50)]
    world, _, _ = await run_for(1000, monkeypatch, list(busy))
    gaps = [b - a for a, b in zip(world.opened, world.opened[1:], strict=False)]
    assert least <= min(gaps)
    assert max(gaps) <= least + 30.0
    assert len(set(gaps)) == len(gaps)


async def test_a_silent_link_is_ended_after_the_venues_own_limit(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, out, _ = await run_for(FINNHUB.silence_s + 20, monkeypatch, [[TRADE], [TRADE]])
    assert len(world.links) == 2
    assert world.opened[1] - world.opened[0] >= FINNHUB.silence_s
    assert out.ups == [False, True, False, True]


async def test_garbage_is_counted_and_told_and_the_link_lives_on(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [b"{", b"\xff\xfe", b'{"data":[{"p":"x","s":"AAPL","t":1575526691134,"v":1}],'
           b'"type":"trade"}', b'{"data":[{"p":1.0,"s":"WRONG","t":1575526691134,"v":1}],'
           b'"type":"trade"}', b"[]", b"null", b'{"type":"error","msg":"no \x6b3y"}']  # fmt: skip
    world, out, feed = await run_for(60, monkeypatch, [[*bad, TRADE]])
    statistics = feed.statistics()
    assert len(world.links) == 1
    assert out.ticks == 1
    assert statistics.received == 1 + statistics.counts.rejected
    assert statistics.counts.rejected >= 4
    assert "k3y" not in statistics.notice


async def test_what_a_venue_says_before_it_hangs_up_is_read_even_if_we_had_more_to_say(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(World, "deaf", True)
    said = b'{"type":"error","msg":"API limit reached"}'
    _, out, feed = await run_for(10, monkeypatch, [[said, TRADE, LinkClosedError("gone")]])
    assert "error: API limit reached" in caplog.text
    assert out.ticks == feed.statistics().received == 1
    assert set(out.ups) == {False}


async def test_a_token_in_a_frame_that_is_refused_is_not_in_its_explanation(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = TRADE.replace(b"190.5", b'"k3y"')
    _, _, feed = await run_for(1, monkeypatch, [[bad]])
    assert feed.statistics().notice == ('rejected: frame 0: data[0].p: must be a number, got "***"')


async def test_the_token_is_in_no_repr_log_or_reason(
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = b'{"type":"error","msg":"token k3y is in use"}'
    lost = LinkClosedError("closed: k3y")
    _, out, feed = await run_for(60, monkeypatch, [[echo, lost]])
    reasons = [item.reason for item in out.items if isinstance(item, LinkChange)]
    for text in (repr(feed), caplog.text, feed.statistics().notice, *reasons):
        assert "k3y" not in text
    assert "is in use" in caplog.text


def test_a_thousand_clients_spread_their_attempts() -> None:
    delays = sorted(Backoff(random.Random(seed)).next_delay() for seed in range(1000))
    quarter = len(delays) // 4
    for part in range(4):  # uniform over the ceiling: a quarter of the clients in each quarter
        assert delays[part * quarter + quarter - 1] == pytest.approx((part + 1) / 4, abs=0.06)


def test_useful_data_for_half_a_minute_resets_the_ceiling() -> None:
    backoff = Backoff(random.Random(3))
    worn = [backoff.next_delay() for _ in range(12)]
    assert max(worn) > 5.0
    assert backoff.next_delay(useful_s=31.0) <= 1.0


Script = Callable[[SimulatedVenue, WebSocketFeed, Collected], Awaitable[None]]


async def with_venue(script: Script) -> None:
    out = Collected()
    async with trio.open_nursery() as nursery:
        venue = await nursery.start(partial(serve_venue, seed=3, rate=500.0))
        feed = WebSocketFeed(
            SIMULATED, UNIVERSE, UNIVERSE.symbols, url=venue.url, history=(10**9, 100),
            rng=random.Random(5),
        )  # fmt: skip
        nursery.start_soon(feed.run, out)
        with trio.fail_after(20):
            await script(venue, feed, out)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("silence", [False, True])
async def test_the_history_asked_for_covers_an_outage_through_all_its_failed_attempts(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch, silence: bool
) -> None:
    """A half-open link counts from its last tick, not from when its silence was noticed."""
    monkeypatch.setattr(Backoff, "next_delay", lambda self, useful_s: 60.0)
    away = ConnectFailedError("refused")
    first: list[Any] = [TRADE] if silence else [TRADE, LinkClosedError("reset")]
    world, _, _ = await run_for(
        600, monkeypatch, [first, away, away, []], venue=SIMULATED, history=(10**9, 5000)
    )
    asked = [intervals_asked(link) for link in world.links]
    outage = world.opened[3] - world.opened[0]
    assert outage >= 180 + (SIMULATED.silence_s if silence else 0)
    assert asked[0] == 5000, "the first connection wants all there is"
    assert outage <= asked[1] <= outage + 2


async def test_an_outage_is_not_over_before_a_tick_has_come(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link that dies right after it was subscribed brought none of the history it asked for."""
    lost = LinkClosedError("reset")
    world, _, _ = await run_for(
        400, monkeypatch, [[lost], [TRADE, lost], [100.0, lost], [50.0, lost], []],
        venue=SIMULATED, history=(10**9, 1000),
    )  # fmt: skip
    asked = [intervals_asked(link) for link in world.links]
    assert asked[:2] == [1000, 1000], "nothing came, so there is nothing to go on from"
    since = [opened - world.opened[1] for opened in world.opened[2 : len(world.links)]]
    assert all(s < a <= s + 3 for s, a in zip(since, asked[2:], strict=True))


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the feed under test has no event to wait for
        await trio.sleep(0.01)


async def test_over_a_real_socket_history_comes_first_and_fills_the_window() -> None:
    async def script(venue: SimulatedVenue, feed: WebSocketFeed, out: Collected) -> None:
        await until(lambda: out.ticks > 250)
        batch = TickBatch.concat([i for i in out.items if isinstance(i, TickBatch)])
        for asset in range(2):
            times = batch.ts_event_ns[batch.asset == asset]
            assert (times[1:] >= times[:-1]).all()
            assert len(set((times // 10**9).tolist())) >= 100
        assert feed.statistics().history == 200
        assert feed.statistics().received > 250

    await with_venue(script)


async def test_over_a_real_socket_an_aborted_connection_is_made_anew() -> None:
    async def script(venue: SimulatedVenue, feed: WebSocketFeed, out: Collected) -> None:
        await until(lambda: out.ticks > 210)
        venue.drop_all()
        before = out.ticks
        await until(lambda: feed.statistics().connections == 2 and out.ticks > before + 20)
        assert out.ups == [False, True, False, True]

    await with_venue(script)


async def test_over_a_real_socket_nonsense_between_trades_changes_no_price() -> None:
    async def script(venue: SimulatedVenue, feed: WebSocketFeed, out: Collected) -> None:
        await until(lambda: out.ticks > 210)
        for text in ("{", '{"data":[{"p":-1,"s":"AAPL","t":1575526691134,"v":1}],"type":"trade"}'):
            venue.inject(text)
        await until(lambda: feed.statistics().counts.rejected == 2)
        before = out.ticks
        await until(lambda: out.ticks > before + 20)
        assert feed.statistics().connections == 1
        prices = TickBatch.concat([i for i in out.items if isinstance(i, TickBatch)]).price
        assert (prices > 100).all()

    await with_venue(script)
