"""Every tick is accounted for at every moment, under load, over a real socket."""

from __future__ import annotations

import contextlib
import json
import random

import pytest
import trio

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.errors import LinkClosedError
from rtre.feeds.server import Connection, serve_connections
from rtre.feeds.websocket import WebSocketFeed
from rtre.market import Universe
from rtre.pipeline.inbox import Inbox
from rtre.pipeline.pipeline import Pipeline
from rtre.venues.binance import Binance

UNIVERSE = Universe(("BTCUSDT", "ETHUSDT"))
START_MS = 1_700_000_000_000
BURSTS, PER_BURST, CONNECTIONS = 8, 150, 3


class Eager(random.Random):
    """Jitter that never waits."""

    def uniform(self, a: float, b: float) -> float:
        return a


class Venue:
    """Sends bursts of trades, good and bad ones, and hangs up; after some connections it rests."""

    def __init__(self) -> None:
        self.sent = 0
        self._ids = {"BTCUSDT": 0, "ETHUSDT": 0}
        self._rng = random.Random(5)
        self._left = CONNECTIONS

    @property
    def done(self) -> bool:
        return self._left == 0

    async def handle(self, client: Connection) -> None:
        await client.accept()
        await client.receive()
        if self._left == 0:
            await trio.sleep_forever()
        for _ in range(BURSTS):
            await client.send(*(self._trade() for _ in range(PER_BURST)))
        self._left -= 1
        with contextlib.suppress(LinkClosedError):
            await client.close(1012)

    def _trade(self) -> str:
        self.sent += 1
        symbol = self._rng.choice(UNIVERSE.symbols)
        self._ids[symbol] += 1
        trade = {
            "e": "trade", "E": 1, "s": symbol, "t": self._ids[symbol],
            "p": f"{100 + self._rng.random():.4f}", "q": "1", "T": START_MS + 40 * self.sent,
            "m": True, "M": True,
        }  # fmt: skip
        kind = self._rng.choice(["repeat", "zero", "outlier", "old", *(["good"] * 6)])
        if kind == "repeat":
            trade["t"] = max(1, self._ids[symbol] - 1)
            self._ids[symbol] = int(str(trade["t"]))
        elif kind == "zero":
            trade["p"] = "0.0000"
        elif kind == "outlier":
            trade["p"] = f"{self._rng.choice([1, 10_000])}.5"
        elif kind == "old":
            trade["T"] = START_MS - 1000
        return json.dumps(trade, separators=(",", ":"))


@pytest.mark.parametrize(("every_tick", "turns"), [(False, 1500), (True, 40)])
async def test_received_is_the_sum_of_all_fates_at_every_moment(
    every_tick: bool, turns: int
) -> None:
    venue = Venue()
    engine = RiskEngine(
        UNIVERSE, {"book": {"BTCUSDT": 1, "ETHUSDT": -2}}, RiskConfig(window=50, min_obs=5)
    )
    samples = 0
    seen: set[str] = set()

    async def slow_sink(pipeline: Pipeline) -> None:
        with pipeline.subscribe(every=True) as reports:
            async for _ in reports:
                for _ in range(turns):
                    await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_connections, venue.handle)
        url = f"ws://127.0.0.1:{server.port}/"
        feed = WebSocketFeed(Binance, UNIVERSE, UNIVERSE.symbols, url=url, rng=Eager())
        pipeline = Pipeline(engine, [feed], every_tick=every_tick)
        pipeline._inbox = Inbox(engine.config.interval, max_items=2, max_ticks=64)
        await nursery.start(pipeline.run)
        nursery.start_soon(slow_sink, pipeline)
        with trio.fail_after(60):
            while True:
                await trio.lowlevel.checkpoint()
                state = pipeline.statistics()
                received, counts = state.feeds[0].received, state.counts
                assert received == counts.received + state.waiting, state
                samples += 1
                seen.update(n for n in ("applied", "waiting") if getattr(state, n, 0))
                if venue.done and received == venue.sent and state.waiting == 0:
                    break
        nursery.cancel_scope.cancel()
    assert samples > 100
    assert "waiting" in seen, "the engine was never behind: this was no load"
    assert counts.received == venue.sent == BURSTS * PER_BURST * CONNECTIONS
    fates = ("applied", "duplicate", "conflated", "rejected", "quarantined", "late")
    assert all(getattr(counts, fate) > 0 for fate in fates), counts
    assert sum(getattr(counts, fate) for fate in fates) == venue.sent
