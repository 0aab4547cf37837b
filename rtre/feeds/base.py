"""What a feed is, seen from the pipeline: a task that writes ticks to a channel."""

from __future__ import annotations

from typing import Protocol

import attrs

from rtre.figures import TickCounts
from rtre.market import FeedItem


class TickChannel(Protocol):
    """The writing end of a pipeline's inbox."""

    def send_nowait(self, item: FeedItem) -> None:
        """Hand an item on, at once. Never blocks: under pressure ticks are merged, and counted."""

    async def send(self, item: FeedItem) -> None:
        """Hand an item on, waiting for room. For sources that can wait, such as a file."""


@attrs.frozen
class FeedStatistics:
    """A feed at one moment.

    Attributes
    ----------
    connections, attempts : int
        Connections made, and tried.
    messages, heartbeats, partial : int
        WebSocket messages, heartbeats among them, and messages lost half-way.
    received : int
        Ticks that arrived, whatever became of them.
    history : int
        Those of them that are the venue's history, asked for to fill the window.
    counts : TickCounts
        Those that ended in the feed: `rejected` and `duplicate`.
    missing : int
        Trades that the venue's ids show we never received.
    notice : str
        The latest thing that people should know; empty if there is none.
    """

    name: str
    connected: bool = False
    connections: int = 0
    attempts: int = 0
    messages: int = 0
    heartbeats: int = 0
    partial: int = 0
    received: int = 0
    history: int = 0
    counts: TickCounts = attrs.field(factory=TickCounts)
    missing: int = 0
    notice: str = ""


class Feed(Protocol):
    """A source of ticks."""

    name: str

    async def run(self, out: TickChannel) -> None:
        """Write to `out` until the source ends or the task is cancelled."""

    def refused(self) -> tuple[int, int]:
        """Ticks rejected and duplicates dropped so far; cheap, asked for with every report."""

    def statistics(self) -> FeedStatistics:
        """Return what happened so far."""
