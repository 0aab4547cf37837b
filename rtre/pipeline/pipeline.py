"""The pipeline: feeds write ticks, one risk task turns them into reports, the fan-out spreads them.

    feeds ==[inbox]==> risk task ==[fan-out: one channel a subscriber]==> sinks

Shutdown is the same picture read from left to right. `stop` cancels the feeds; each closes its end
of the inbox; the risk task takes what is left, publishes a last report and closes the fan-out; the
sinks read it and end. Nothing is told to stop twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import attrs
import numpy as np
import trio

from rtre.engine import RiskEngine
from rtre.feeds.base import Feed, FeedStatistics
from rtre.figures import BookWork, TickCounts
from rtre.market import FeedItem, LinkChange, TickBatch
from rtre.pipeline.fallbacks import FallbackWatch
from rtre.pipeline.fanout import Fanout, Subscription
from rtre.pipeline.inbox import Inbox
from rtre.report import RiskReport

_FIT_POLL_S = 0.1  #: how often to look for fits that are due
_LATENCIES = 8192  #: most recent batches whose latency is kept
_CHUNK = 2048  #: most ticks that the engine gets at once
_HOLD_S = 0.005  #: work of about this length, and the other tasks get a turn


@attrs.frozen
class PipelineStatistics:
    """A pipeline at one moment.

    Attributes
    ----------
    counts : TickCounts
        Every tick by what became of it.
    waiting : int
        Ticks received and not yet applied, or left over when `max_ticks` were done. What the feeds
        received is always ``counts.received + waiting``.
    reports, conflated_reports : int
        Reports made, and reports that a newer one replaced before a subscriber read them.
    ticks_per_s : float
        Mean rate since the start, without a venue's history.
    latency_us : dict
        ``p50``, ``p90``, ``p99``, ``max`` of the time from the receipt of the oldest tick of a
        batch to its report, over the last 8,192 batches, in microseconds. Handing the report out,
        with any wait for subscribers to every report, is not in it. Empty in a replay.
    feeds : tuple of FeedStatistics
    books : tuple of BookWork
        How the tail of each book is kept, with a count of the times that it fell back to touching
        every scenario.
    """

    uptime_s: float
    counts: TickCounts
    waiting: int
    batches: int
    reports: int
    conflated_reports: int
    ticks_per_s: float
    latency_us: dict[str, float]
    feeds: tuple[FeedStatistics, ...]
    books: tuple[BookWork, ...] = ()

    @property
    def history(self) -> int:
        """Ticks of the venues' history, which are in `counts` like all others."""
        return sum(feed.history for feed in self.feeds)


class Pipeline:
    """Feeds, an engine and subscribers, joined by memory channels.

    Parameters
    ----------
    engine : RiskEngine
    feeds : sequence of Feed
        The pipeline ends when all of them have ended.
    clock_ns : callable or None
        Wall clock in nanoseconds since the epoch. None: time is what the data say (a replay);
        then every batch gives exactly one report and nothing is conflated.
    every_tick : bool
        Make a report after each tick instead of each batch.
    max_ticks : int or None
        End after this many ticks.
    heartbeat_s : float
        Without news, a report this often still tells how old everything is. Not in a replay.
    """

    def __init__(
        self,
        engine: RiskEngine,
        feeds: Sequence[Feed],
        *,
        clock_ns: Callable[[], int] | None = time.time_ns,
        every_tick: bool = False,
        max_ticks: int | None = None,
        heartbeat_s: float = 1.0,
    ) -> None:
        self.engine = engine
        self.feeds = tuple(feeds)
        self.last_report: RiskReport | None = None
        self._clock_ns = clock_ns
        self._every_tick = every_tick
        self._left = max_ticks
        self._heartbeat_s = heartbeat_s
        self._inbox = Inbox(engine.config.interval, lead_ns=int(engine.config.clock_lead))
        self._fanout = Fanout()
        self._feed_scope = trio.CancelScope()
        self._heartbeat_scope = trio.CancelScope()
        self._ended = trio.Event()
        self._started: float | None = None
        self._stopped: float | None = None
        self._first_ns = self._data_ns = 0
        self._batches = self._reports = self._beaten = self._timed = 0
        self._in_hand = self._unread = 0  # ticks taken from the inbox: not yet, or never applied
        self._last_outside = TickCounts()
        self._fallbacks = FallbackWatch()
        self._latencies = np.zeros(_LATENCIES, np.int64)

    def subscribe(self, *, every: bool = False) -> Subscription:
        """Open a subscription to reports: the newest by default, or each and `every` one."""
        return self._fanout.subscribe(every=every)

    def stop(self) -> None:
        """End the feeds; what was received is still worked off, reported and handed out."""
        self._feed_scope.cancel()

    @property
    def data_span_s(self) -> float:
        """Seconds from the first connection, or receipt of a tick, to the latest.

        A recorded connection comes before the venue's history, whose times lie before it.
        """
        return (self._data_ns - self._first_ns) / 1e9 if self._first_ns else 0.0

    async def wait_ended(self) -> None:
        """Wait until the last report is out and the fan-out is closed."""
        await self._ended.wait()

    def statistics(self) -> PipelineStatistics:
        """Return counts, rates and latencies as of now."""
        uptime = self._uptime_s()
        counts = self.engine.counts(self._outside())
        feeds = tuple(feed.statistics() for feed in self.feeds)
        live = counts.received - sum(feed.history for feed in feeds)
        recent = self._latencies[: min(self._timed, _LATENCIES)]
        latency = {}
        if len(recent) and self._clock_ns is not None:
            p50, p90, p99 = np.percentile(recent, (50, 90, 99)) / 1e3
            latency = {"p50": p50, "p90": p90, "p99": p99, "max": recent.max() / 1e3}
        return PipelineStatistics(
            uptime_s=uptime,
            counts=counts,
            waiting=self._inbox.waiting + self._in_hand + self._unread,
            batches=self._batches,
            reports=self._reports,
            conflated_reports=self._fanout.conflated,
            ticks_per_s=max(live, 0) / uptime if uptime > 0 else 0.0,
            latency_us={name: round(float(value), 1) for name, value in latency.items()},
            feeds=feeds,
            books=self.engine.lines.work(),
        )

    def _uptime_s(self) -> float:
        if self._started is None:
            return 0.0
        stopped = self._stopped
        return (trio.current_time() if stopped is None else stopped) - self._started

    async def run(
        self, *, task_status: trio.TaskStatus[Pipeline] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run until all feeds have ended or `stop` is called, and all is worked off."""
        self._started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._risk_task, nursery.cancel_scope)
            if self._clock_ns is not None:
                nursery.start_soon(self._heartbeat_task)
                nursery.start_soon(self._fit_task)
            task_status.started(self)
            try:
                with self._feed_scope:
                    async with trio.open_nursery() as feed_nursery:
                        for feed in self.feeds:
                            feed_nursery.start_soon(self._feed_task, feed)
            finally:
                self._inbox.no_more_writers()

    async def _feed_task(self, feed: Feed) -> None:
        with self._inbox.writer() as out:
            await feed.run(out)

    async def _risk_task(self, whole: trio.CancelScope) -> None:
        receive = self._inbox.receive_one if self._clock_ns is None else self._inbox.receive
        try:
            while True:
                items = await receive()
                self._in_hand = sum(len(item) for item in items if isinstance(item, TickBatch))
                for item in items:
                    await self._take(item)
        except trio.EndOfChannel:
            # It may be waiting to hand out a report. That one is lost, and tells of no tick that
            # the last one does not: every report made since would have had to wait behind it.
            self._heartbeat_scope.cancel()
            await self._publish()
        finally:
            self._heartbeat_scope.cancel()
            self._fanout.close()
            self._stopped = trio.current_time()
            self._ended.set()
        whole.cancel()  # only fits are left

    async def _take(self, item: FeedItem) -> None:
        if isinstance(item, LinkChange):
            self.engine.link_changed(item)
            self._first_ns = self._first_ns or item.ts_ns
            self._data_ns = max(self._data_ns, item.ts_ns)
            await self._publish()
            return
        if self._left is not None:
            over = max(len(item) - self._left, 0)
            self._unread += over
            self._in_hand -= over
            item = item[: self._left]
            self._left -= len(item)
        if not len(item):
            return
        if not self._every_tick and len(item) <= _CHUNK:
            self._apply(item)
            await self._publish(item)
        else:
            await self._take_in_turns(item)
        if self._left == 0:
            self.stop()

    async def _take_in_turns(self, item: TickBatch) -> None:
        """Apply ticks in parts that let the loop turn in between; the engine's bits are the same.

        A report after each tick does not do that where nobody subscribes to every one.
        """
        step = 1 if self._every_tick else _CHUNK
        turn = trio.current_time()
        for start in range(0, len(item), step):
            part = item[start : start + step]
            self._apply(part)
            if self._every_tick:
                await self._publish(part)
            if trio.current_time() - turn > _HOLD_S:
                await trio.lowlevel.checkpoint()
                turn = trio.current_time()
        if not self._every_tick:
            await self._publish(item)

    def _apply(self, batch: TickBatch) -> None:
        self.engine.update(batch)
        self._in_hand -= len(batch)
        self._first_ns = self._first_ns or int(batch.ts_init_ns[0])
        self._data_ns = max(self._data_ns, int(batch.ts_init_ns[-1]))
        if self._fallbacks.is_due(self._data_ns // self.engine.config.interval):
            self._fallbacks.look(self.engine.lines.work())

    def _note_latency(self, batch: TickBatch) -> None:
        self._batches += 1
        if self._clock_ns is None:
            return
        # history is stamped with its own event time, and did not wait here since then
        live = batch.ts_init_ns[batch.ts_init_ns != batch.ts_event_ns]
        if len(live):
            waited = self._clock_ns() - int(live.min())
            self._latencies[self._timed % _LATENCIES] = waited
            self._timed += 1

    async def _publish(self, batch: TickBatch | None = None) -> None:
        """Make a report, of `batch` where there is one, and hand it out."""
        now = self._data_ns if self._clock_ns is None else self._clock_ns()
        self.last_report = report = self.engine.report(now, outside=self._outside())
        self._reports += 1
        if batch is not None:
            self._note_latency(batch)
        await self._fanout.publish(report)

    def _outside(self) -> TickCounts:
        """Ticks that ended in the feeds or in the inbox; the same object while none has."""
        rejected = duplicate = 0
        for feed in self.feeds:
            refused, repeated = feed.refused()
            rejected += refused
            duplicate += repeated
        last = self._last_outside
        if (rejected, duplicate, self._inbox.conflated) != (
            last.rejected,
            last.duplicate,
            last.conflated,
        ):
            self._last_outside = last = TickCounts(
                rejected=rejected, duplicate=duplicate, conflated=self._inbox.conflated
            )
        return last

    async def _fit_task(self) -> None:
        """Make the fits that are due, one at a time, where they hold no tick up."""
        while True:
            jobs = self.engine.fit_jobs(1)
            for job in jobs:
                result = await trio.to_thread.run_sync(job.run, abandon_on_cancel=True)
                self.engine.take_fit(job, result)
            if not jobs:
                await trio.sleep(_FIT_POLL_S)

    async def _heartbeat_task(self) -> None:
        with self._heartbeat_scope:
            while True:
                await trio.sleep(self._heartbeat_s)
                if self._reports == self._beaten:
                    await self._publish()
                self._beaten = self._reports
