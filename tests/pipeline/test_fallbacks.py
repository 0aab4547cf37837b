"""A book that stays in the slow state is told of once, live and in a replay."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest
import trio
import trio.testing

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.feeds.base import FeedStatistics, TickChannel
from rtre.figures import BookWork
from rtre.market import TickBatch, Universe
from rtre.pipeline.fallbacks import FallbackWatch
from rtre.pipeline.pipeline import Pipeline

SECOND = 10**9


def told(caplog: pytest.LogCaptureFixture, falls: str) -> list[str]:
    """What is logged of a book that falls back in the intervals marked with an x."""
    watch, total = FallbackWatch(), 0
    for interval, fell in enumerate(falls):
        if watch.is_due(interval):
            total += fell == "x"
            watch.look(
                [BookWork("wild", 8, 0, total, False, 0.0), BookWork("calm", 8, 0, 0, True, 0)]
            )
    assert all(record.levelno == logging.WARNING for record in caplog.records)
    return ["follows" if "again" in text else "touches" for text in caplog.messages]


@pytest.mark.parametrize(
    ("falls", "wanted"),
    [
        (".....", []),
        (".x..x.xx.", []),
        (".xxx", ["touches"]),
        (".xxxxxxxxxxxx", ["touches"]),
        (".xxx..x..xx.x", ["touches"]),
        (".xxx...", ["touches", "follows"]),
        (".xxx......xxxxxx....", ["touches", "follows"] * 2),
    ],
)
def test_each_transition_is_told_once_and_a_fall_back_in_passing_is_not(
    falls: str, wanted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert told(caplog, falls) == wanted
    assert "calm" not in caplog.text, "a book that never had candidates has not fallen back"


def test_an_interval_is_looked_at_once() -> None:
    watch = FallbackWatch()
    assert [watch.is_due(i) for i in (5, 5, 6, 6, 9)] == [False, False, True, False, True]


class OneTickASecond:
    """A feed, and time that goes with it."""

    name = "steady"
    now_ns = 0

    async def run(self, out: TickChannel) -> None:
        for second in range(1, 31):
            self.now_ns = second * SECOND
            await out.send(TickBatch.of(0, 100 + np.sin(second), second * SECOND))
            await trio.testing.wait_all_tasks_blocked()

    def refused(self) -> tuple[int, int]:
        return 0, 0

    def statistics(self) -> FeedStatistics:
        return FeedStatistics(self.name)


@pytest.mark.parametrize("live", [True, False])
async def test_a_pipeline_tells_of_it_live_and_in_a_replay(
    live: bool,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = RiskEngine(Universe(("A",)), {"book": {"A": 1}}, RiskConfig(window=50, min_obs=5))
    feed = OneTickASecond()
    work = lambda: (BookWork("book", 0, 0, feed.now_ns // SECOND, True, 0.0),)  # noqa: E731
    monkeypatch.setattr(engine.lines, "work", work)
    clock: Callable[[], int] | None = (lambda: feed.now_ns) if live else None
    pipeline = Pipeline(engine, [feed], clock_ns=clock)
    caplog.set_level(logging.WARNING)
    await pipeline.run()
    assert [r.message for r in caplog.records if "touches every scenario" in r.message] == [
        "book book touches every scenario with each tick: its worst scenarios change too fast to "
        "follow a few (the numbers stay exact, ticks cost more; 4 fall-backs so far)"
    ]
