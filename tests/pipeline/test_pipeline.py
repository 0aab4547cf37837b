"""The pipeline in virtual time: natural batching, the balance, and an orderly end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
import trio
import trio.testing

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.feeds.base import FeedStatistics, TickChannel
from rtre.figures import TickCounts
from rtre.market import LinkChange, Quality, TickBatch, Universe
from rtre.pipeline.pipeline import Pipeline
from rtre.report import RiskReport

SECOND = 10**9
UNIVERSE = Universe(("A", "B"))


class ScriptedFeed:
    """A feed that does what a test tells it."""

    name = "scripted"

    def __init__(self, script: Callable[[TickChannel], Awaitable[None]], rejected: int = 0) -> None:
        self._script = script
        self.sent = 0
        self._rejected = rejected

    async def run(self, out: TickChannel) -> None:
        await self._script(out)

    def refused(self) -> tuple[int, int]:
        return self._rejected, 0

    def statistics(self) -> FeedStatistics:
        return FeedStatistics(self.name, counts=TickCounts(rejected=self._rejected))


def engine() -> RiskEngine:
    return RiskEngine(UNIVERSE, {"book": {"A": 1, "B": -2}}, RiskConfig(window=50, min_obs=5))


def ticks(first: int, count: int, asset: int = 0) -> TickBatch:
    times = (first + np.arange(count)) * SECOND
    return TickBatch.of(asset, 100 + np.sin(np.arange(first, first + count)), times)


@asynccontextmanager
async def running(pipeline: Pipeline) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        yield


def now_ns() -> int:
    return int(trio.current_time() * 1e9)


async def test_it_ends_when_its_feeds_do_with_a_last_report(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(1, 30))
        out.send_nowait(ticks(1, 30, asset=1))

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns)
    seen: list[RiskReport] = []
    with pipeline.subscribe() as reports:
        async with running(pipeline):
            seen = [report async for report in reports]
    assert seen[-1] is pipeline.last_report
    assert seen[-1]["A"].n_obs == 29
    assert seen[-1]["book"].estimates
    assert seen[-1].counts.received == 60


async def test_batches_that_pile_up_are_taken_in_one_and_reports_stay_few(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        for second in range(1, 41):
            out.send_nowait(ticks(second, 1))

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns)
    async with running(pipeline):
        await pipeline.wait_ended()
    statistics = pipeline.statistics()
    assert statistics.counts.applied == 40
    assert statistics.reports == 2  # one for all forty, and the last


async def test_every_tick_gives_a_report_when_asked(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(1, 25))

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns, every_tick=True)
    with pipeline.subscribe(every=True) as reports:
        async with running(pipeline):
            seen = [report.counts.applied async for report in reports]
    assert seen == [*range(1, 26), 25]


async def test_ticks_that_end_in_a_feed_are_in_the_balance(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(1, 10))
        out.send_nowait(TickBatch.of(0, [-1.0, 0.0, np.nan], [20 * SECOND] * 3))

    pipeline = Pipeline(engine(), [ScriptedFeed(script, rejected=4)], clock_ns=now_ns)
    async with running(pipeline):
        await pipeline.wait_ended()
    counts = pipeline.statistics().counts
    assert (counts.applied, counts.rejected, counts.received) == (10, 7, 17)


async def test_max_ticks_ends_it_after_exactly_so_many(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        for second in range(1, 1000, 7):
            out.send_nowait(ticks(second, 7))
            await trio.sleep(0.1)

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns, max_ticks=100)
    async with running(pipeline):
        await pipeline.wait_ended()
    statistics = pipeline.statistics()
    assert statistics.counts.applied == 100
    assert statistics.waiting == 5  # the rest of the batch that held the hundredth


async def test_without_news_a_heartbeat_report_still_shows_the_data_growing_stale(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(int(trio.current_time()), 30))
        await trio.sleep(120)

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns)
    with pipeline.subscribe() as reports:
        async with running(pipeline):
            labels = [report["A"].quality async for report in reports]
    assert Quality.STALE not in labels[0]
    assert Quality.STALE in labels[-1]
    assert 100 < len(labels) < 130


async def test_a_lost_link_shows_in_the_next_report_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(1, 30))
        await trio.sleep(0.1)
        out.send_nowait(LinkChange((0, 1), False, now_ns(), "reset"))
        await trio.sleep(0.1)
        out.send_nowait(LinkChange((0, 1), True, now_ns(), "subscribed"))
        await trio.sleep(0.1)

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns)
    with pipeline.subscribe(every=True) as reports:
        async with running(pipeline):
            seen = [report["A"].quality async for report in reports]
    assert Quality.DISCONNECTED not in seen[0]
    assert Quality.DISCONNECTED in seen[1]
    assert Quality.DISCONNECTED not in seen[2]
    assert Quality.GAP in seen[2]


async def test_stop_works_off_what_was_received(autojump_clock: trio.testing.MockClock) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(1, 30))
        await trio.sleep_forever()

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns)
    with pipeline.subscribe() as reports:
        async with running(pipeline):
            await reports.receive()
            pipeline.stop()
            assert [report async for report in reports][-1].counts.applied == 30


async def test_a_bug_in_a_feed_is_loud() -> None:
    async def script(out: TickChannel) -> None:
        raise ZeroDivisionError

    pipeline = Pipeline(engine(), [ScriptedFeed(script)])
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        await pipeline.run()


async def test_cancelled_from_outside_it_closes_its_subscriptions() -> None:
    async def script(out: TickChannel) -> None:
        await trio.sleep_forever()

    pipeline = Pipeline(engine(), [ScriptedFeed(script)])
    with pipeline.subscribe() as reports:
        async with trio.open_nursery() as nursery:
            await nursery.start(pipeline.run)
            nursery.cancel_scope.cancel()
        assert [report async for report in reports][1:] == []  # at most one was left


async def test_a_slow_subscriber_to_every_report_does_not_break_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        for second in range(1, 4):
            out.send_nowait(ticks(second, 1))
            await trio.sleep(0.01)
        await trio.sleep(3)  # the feed ends while a heartbeat is waiting to be handed out

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns)
    with pipeline.subscribe(every=True) as reports:
        seen = []
        async with running(pipeline):
            async for report in reports:
                seen.append(report)
                await trio.sleep(2.5)
    sequences = [report.sequence for report in seen]
    assert sequences == sorted(sequences)
    assert seen[-1] is pipeline.last_report  # nothing comes after the last
    assert seen[-1].sequence == pipeline.statistics().reports
    assert seen[-1].counts.applied == 3


async def test_a_history_is_not_in_the_rate(autojump_clock: trio.testing.MockClock) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(0, 50))
        for i in range(10):
            await trio.sleep(1.0)
            out.send_nowait(ticks(50 + i, 1))

    feed = ScriptedFeed(script)
    feed.statistics = lambda: FeedStatistics("scripted", history=50)  # type: ignore[method-assign]
    pipeline = Pipeline(engine(), [feed])
    async with running(pipeline):
        await pipeline.wait_ended()
    statistics = pipeline.statistics()
    assert (statistics.counts.received, statistics.history) == (60, 50)
    assert statistics.ticks_per_s == pytest.approx(1.0)


async def test_the_span_of_a_recording_does_not_contain_the_history_before_it() -> None:
    async def script(out: TickChannel) -> None:
        await out.send(LinkChange((0, 1), True, 500 * SECOND, "subscribed"))
        await out.send(ticks(0, 500))
        await out.send(TickBatch.of(0, 100.0, 503 * SECOND))

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=None)
    async with running(pipeline):
        await pipeline.wait_ended()
    assert pipeline.data_span_s == 3.0


async def test_latency_does_not_contain_the_wait_for_a_slow_subscriber(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def script(out: TickChannel) -> None:
        for _ in range(3):  # one is read, one lies there, and one waits to be handed out
            at = now_ns()
            out.send_nowait(TickBatch.of(0, 100.0, at - 1, ts_init_ns=at))
            await trio.sleep(1)
        await trio.sleep(1000)

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=now_ns, heartbeat_s=1e4)
    with pipeline.subscribe(every=True) as reports:
        async with running(pipeline):
            async for _ in reports:
                await trio.sleep(70)
    assert pipeline.statistics().latency_us["max"] == 0.0  # work takes no time in virtual time


class Laborious(RiskEngine):
    """An engine for which each tick takes 10 us of virtual time, and that counts its turns."""

    clock: trio.testing.MockClock
    sizes: list[int]

    def update(self, batch: TickBatch) -> None:
        self.clock.jump(1e-5 * len(batch))
        self.sizes.append(len(batch))
        super().update(batch)


async def turns(pipeline: Pipeline) -> tuple[int, list[int]]:
    """Turns that another task got, and ticks applied between two of them."""
    seen = [0]
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            await nursery.start(pipeline.run)
            while not pipeline._ended.is_set():
                await trio.lowlevel.checkpoint()
                if (applied := pipeline.statistics().counts.applied) != seen[-1]:
                    seen.append(applied)
            scope.cancel()
    return len(seen), np.diff(seen).tolist()


@pytest.mark.parametrize(
    ("every_tick", "most"), [(True, 502), (False, 2048)]
)  # 5 ms at 10 us a tick; a part
async def test_a_large_batch_does_not_hold_the_loop_for_its_whole_length(
    every_tick: bool, most: int, autojump_clock: trio.testing.MockClock
) -> None:
    async def script(out: TickChannel) -> None:
        out.send_nowait(ticks(1, 20_000))

    slow = Laborious(UNIVERSE, {"book": {"A": 1, "B": -2}}, RiskConfig(window=50, min_obs=5))
    slow.clock, slow.sizes = autojump_clock, []
    pipeline = Pipeline(slow, [ScriptedFeed(script)], clock_ns=now_ns, every_tick=every_tick)
    with pipeline.subscribe():
        got, between = await turns(pipeline)
    assert sum(between) == 20_000
    assert max(between) <= 2 * most  # trio shuffles tasks: one may run twice in a row
    assert got >= 20_000 // (2 * most)
    assert max(slow.sizes) <= most
    assert pipeline.statistics().reports == (20_001 if every_tick else 2)


async def test_parts_of_a_large_batch_give_the_bits_of_the_whole() -> None:
    async def script(out: TickChannel) -> None:
        await out.send(ticks(1, 5000))
        await out.send(ticks(1, 5000, asset=1))

    whole = engine()
    whole.update(ticks(1, 5000))
    whole.report(5000 * SECOND)
    whole.update(ticks(1, 5000, asset=1))
    expected = whole.report(5000 * SECOND)
    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=None)
    with pipeline.subscribe(every=True) as reports:
        async with running(pipeline):
            seen = [report async for report in reports]
    assert len(seen) == 3  # one for each batch of a replay, and the last
    assert seen[1].values.tobytes() == expected.values.tobytes()
    assert seen[1].peaks is not None
    assert expected.peaks is not None
    assert seen[1].peaks.tobytes() == expected.peaks.tobytes()


async def test_a_breach_in_a_replaced_report_is_seen_in_the_next() -> None:
    async def script(out: TickChannel) -> None:
        await out.send(ticks(1, 30))
        await trio.testing.wait_all_tasks_blocked()
        for price in (95.0, 99.0, 99.0):  # there and back again, within one interval
            await out.send(TickBatch.of(0, price, 31 * SECOND))
            await trio.testing.wait_all_tasks_blocked()

    pipeline = Pipeline(engine(), [ScriptedFeed(script)], clock_ns=None)
    with pipeline.subscribe() as newest, pipeline.subscribe(every=True) as every:
        async with running(pipeline):
            all_of_them = [report async for report in every]
        (seen,) = [report async for report in newest]
    peaks = [report["A"].estimates[-1].var_peak for report in all_of_them]
    assert seen["A"].estimates[-1].var_peak == max(peak for peak in peaks if peak is not None)
    last = all_of_them[-1]["A"].estimates[-1]
    assert last.var_peak == last.var < max(peak for peak in peaks if peak is not None)
