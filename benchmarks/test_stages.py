"""Where each microsecond goes between the socket and the report, stage by stage.

``pytest benchmarks/test_stages.py -s`` prints the table that `docs/wire.md` quotes. Method:
differential timing. Each stage is timed alone, many times over, on the very objects that the stage
before it gave; the stages take turns, and each shows its best. The whole is measured in the running
pipeline, in the same process, and what the stages leave of it is Trio: task switches, wakes and
checkpoints, the calls of the socket, and caches that are cold after a wait. The floor is a Trio
loop that only counts the bytes of the same sender.

Two columns. Saturated: per frame, in reads of 256 KiB, the whole at a saturating sender on the
loopback. Calm: a read brings one frame; the whole goes through a pair of memory streams, from the
write to the published report, and the next frame is written when the report is out, so that no
other process is in the number.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import trio
import trio.testing
import trio_websocket
from test_pipeline import SYMBOLS, block, ours

from rtre import RiskEngine, TickBatch
from rtre.feeds.base import FeedStatistics, TickChannel
from rtre.feeds.framing import MessageCutter
from rtre.feeds.limits import LinkLimits
from rtre.feeds.wire import WireStream
from rtre.market import TickBuffer
from rtre.pipeline.fanout import Fanout
from rtre.pipeline.inbox import Inbox, InboxWriter
from rtre.pipeline.pipeline import Pipeline
from rtre.venues.finnhub import Finnhub
from rtre.venues.frames import Frames

from tables import headline, table
from test_engine import START, WINDOW, filled
from test_wire import FRAME_BYTES, accept_key, receive_floor, sender

BUSY = 2600  #: frames in a read of 256 KiB
CALM = 400  #: frames of one calm run
ROUNDS = 5
NOW = START + WINDOW * 10**9
SCHEDULER = "Trio, sockets, cold caches"

Stage = tuple[str, Callable[[], object]]


def frames_of(count: int) -> bytes:
    """`count` frames of the block that the saturating sender repeats."""
    data = block()
    size = len(data) // 2000
    return (data * (count // 2000 + 1))[: count * size]


def stages(engine: RiskEngine, count: int) -> list[Stage]:
    """The stages of a read of `count` frames, each as a call that can be repeated."""
    data = frames_of(count)
    cutter, venue, buffer = MessageCutter(), Finnhub(engine.universe), TickBuffer(1 << 13)
    frames = cutter.feed(data)
    assert frames is not None
    assert len(frames) == count

    def decode() -> None:
        buffer.count = 0
        venue.decode(frames, NOW, buffer)

    def take() -> TickBatch:
        buffer.count = count
        return buffer.take()

    decode()
    batch = take()
    first = batch[:1]
    engine.update(batch)
    report = engine.report(NOW)

    def report_again() -> None:
        engine.update(first)  # else nothing has changed and nothing is done
        engine.report(NOW)

    fanout, inbox = Fanout(), Inbox(engine.config.interval)
    fanout.subscribe()
    out = InboxWriter(inbox, inbox._send)

    def through_inbox() -> None:
        out.send_nowait(batch)
        inbox._receive.receive_nowait()
        inbox._taken([batch])

    return [
        ("frame cut", lambda: cutter.feed(data)),
        ("scan to columns", decode),
        ("batch copy", take),
        ("inbox", through_inbox),
        ("engine: update", lambda: engine.update(batch)),
        ("engine: report", report_again),
        ("publish", lambda: run_through(fanout.publish(report))),
        ("update of one tick", lambda: engine.update(first)),
    ]


def run_through(call: Awaitable[None]) -> None:
    """Run a coroutine that does not wait."""
    try:
        call.__await__().send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return
    raise AssertionError("it waits")


def best_times(steps: list[Stage], count: int) -> dict[str, float]:
    """Microseconds per frame of each stage."""
    best = dict.fromkeys([name for name, _ in steps], float("inf"))
    for _ in range(10 * ROUNDS):
        for name, run in steps:
            begun = time.perf_counter()
            for _ in range(10):
                run()
            best[name] = min(best[name], (time.perf_counter() - begun) / 10 / count * 1e6)
    best["engine: report"] -= best.pop("update of one tick")
    return best


class MemoryFeed:
    """One frame at a time through a wire stream and the codec; the next one when told."""

    name = "memory"

    def __init__(self, engine: RiskEngine) -> None:
        self._engine = engine
        self._venue, self._buffer = Finnhub(engine.universe), TickBuffer()
        self.peer: trio.abc.Stream | None = None

    def refused(self) -> tuple[int, int]:
        return 0, 0

    def statistics(self) -> FeedStatistics:
        return FeedStatistics(self.name)

    async def run(self, out: TickChannel) -> None:
        near, far = trio.testing.memory_stream_pair()

        async def answer() -> None:
            request = bytes(await far.receive_some())
            await far.send_all(accept_key(request))

        def take(frames: Frames) -> None:
            self._venue.decode(frames, NOW, self._buffer)
            out.send_nowait(self._buffer.take())

        wire = WireStream(near, LinkLimits(), "memory")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            await trio_websocket.wrap_client_stream(nursery, wire, "memory", "/")
            self.peer = far
            await wire.deliver(take)


async def calm() -> float:
    """Microseconds from the write of a frame to its published report, the best quarter's mean."""
    engine = filled(SYMBOLS)
    feed = MemoryFeed(engine)
    pipeline = Pipeline(engine, [feed], heartbeat_s=60.0)
    frame, times = frames_of(1), []
    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        while feed.peer is None:
            await trio.lowlevel.checkpoint()
        with pipeline.subscribe() as reports:
            for _ in range(CALM):
                begun = time.perf_counter()
                await feed.peer.send_all(frame)
                await reports.receive()
                times.append((time.perf_counter() - begun) * 1e6)
        nursery.cancel_scope.cancel()
    quarter = sorted(times)[: CALM // 4]
    return sum(quarter) / len(quarter)


def test_where_each_microsecond_goes() -> None:
    engine = filled(SYMBOLS)
    frame_bytes = len(frames_of(BUSY)) / BUSY
    rows = {count: best_times(stages(engine, count), count) for count in (BUSY, 1)}
    whole = {BUSY: float("inf"), 1: float("inf")}
    floor = float("inf")
    with sender(block=block()) as port:
        for _ in range(ROUNDS):
            whole[BUSY] = min(whole[BUSY], 1e6 / trio.run(ours, port)[1])
            bytes_us = 1e6 / (trio.run(receive_floor, port) * FRAME_BYTES)
            floor = min(floor, bytes_us * frame_bytes)
            whole[1] = min(whole[1], trio.run(calm))
    lines: list[tuple[object, ...]] = []
    for name in rows[1]:
        busy, single = rows[BUSY][name], rows[1][name]
        lines.append((name, f"{busy:.3f}", f"{busy / whole[BUSY]:.0%}", f"{single:.1f}"))
    rest = whole[BUSY] - sum(rows[BUSY].values())
    lines += [
        (SCHEDULER, f"{rest:.3f}", f"{rest / whole[BUSY]:.0%}",
         f"{whole[1] - sum(rows[1].values()):.1f}"),
        ("whole, measured", f"{whole[BUSY]:.3f}", "100%", f"{whole[1]:.1f}"),
        ("floor: bytes counted", f"{floor:.3f}", f"{floor / whole[BUSY]:.0%}", ""),
    ]  # fmt: skip
    head = ("stage", "saturated: us/frame", "share", "calm: us/frame")
    print(table(f"socket to report, {SYMBOLS} symbols and a book, window {WINDOW}", head, lines))
    headline("socket to report, whole path, saturated", f"{whole[BUSY]:.2f} us/frame",
           "a loop that counts the bytes", f"{floor:.3f} us/frame",
           floor / whole[BUSY])  # fmt: skip
    assert min(min(r.values()) for r in rows.values()) > 0
    assert floor < whole[BUSY]
