"""A feed of a loopback sender, and a sink that only reads: what the live benchmarks share."""

from __future__ import annotations

from rtre.engine import RiskEngine
from rtre.feeds.websocket import WebSocketFeed
from rtre.pipeline.pipeline import Pipeline
from rtre.venues.finnhub import Finnhub


def loopback_feed(engine: RiskEngine, port: int) -> WebSocketFeed:
    """A feed of all of an engine's symbols from a sender on this machine."""
    universe = engine.universe
    return WebSocketFeed(Finnhub, universe, universe.symbols, url=f"ws://127.0.0.1:{port}/")


async def read_all(pipeline: Pipeline) -> None:
    """Take reports as they come, until they end."""
    with pipeline.subscribe() as reports:
        async for _ in reports:
            pass
