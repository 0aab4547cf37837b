"""Where each microsecond goes between the socket and the report, stage by stage.

``pytest benchmarks/test_stages.py -s`` prints the table that `docs/wire.md` quotes. Each stage is
timed alone, over the very objects that the stage before it gave, many times, best of several
rounds; the stages take turns. What remains of the measured whole is the scheduler: task switches,
wakes and checkpoints. The floor is a Trio loop that only counts the bytes of the same sender.

Two columns: a saturated link, where a read brings `BUSY` frames, per frame; and a calm link, where
each frame comes alone. The whole is measured over loopback for the first and over a memory stream
for the second (a tick goes in, and the clock stops when its report is out, so that no kernel buffer
and no other process is in it).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from test_pipeline import block

from rtre import RiskEngine, TickBatch
from rtre.feeds.framing import MessageCutter
from rtre.market import TickBuffer
from rtre.pipeline.fanout import Fanout
from rtre.pipeline.inbox import Inbox, InboxWriter
from rtre.venues.finnhub import Finnhub

from test_engine import START, WINDOW

BUSY = 2600  #: frames in a read of 256 KiB
ROUNDS = 5
SECOND_NS = 10**9
HEAD = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"

Stage = tuple[str, Callable[[], object]]


def frames_of(count: int) -> bytes:
    """The first `count` frames of the benchmark's block, again and again."""
    data = block()
    size = len(data) // 2000
    return (data * (count // 2000 + 1))[: count * size]


def stages(engine: RiskEngine, count: int) -> list[Stage]:
    """The stages of a read of `count` frames, each as a call that can be repeated."""
    data = frames_of(count)
    cutter, venue, buffer = MessageCutter(), Finnhub(engine.universe), TickBuffer(1 << 13)
    now = START + WINDOW * SECOND_NS
    frames = cutter.feed(data)
    assert frames is not None
    assert len(frames) == count

    def decode() -> None:
        buffer.count = 0
        venue.decode(frames, now, buffer)

    def take() -> TickBatch:
        buffer.count = count
        return buffer.take()

    decode()
    batch = take()
    engine.update(batch)
    report = engine.report(now)

    def report_again() -> None:
        engine.update(batch[:1])  # else nothing has changed and nothing is done
        engine.report(now)

    fanout, inbox = Fanout(), Inbox(engine.config.interval)
    fanout.subscribe()

    def publish() -> None:
        step(fanout.publish(report))

    out = InboxWriter(inbox, inbox._send)

    def through_inbox() -> None:
        out.send_nowait(batch)
        inbox._receive.receive_nowait()
        inbox._taken([batch])

    return [
        ("frame cut", lambda: cutter.feed(data)),
        ("scan to columns", decode),
        ("batch copy", take),
        ("inbox, without its wake", through_inbox),
        ("engine: update", lambda: engine.update(batch)),
        ("engine: report", report_again),
        ("engine: update of one tick", lambda: engine.update(batch[:1])),
        ("publish", publish),
    ]


def step(call: Awaitable[None]) -> None:
    """Run a coroutine that does not wait."""
    try:
        call.__await__().send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return
    raise AssertionError("it waits")


def best_times(steps: list[Stage], count: int) -> dict[str, float]:
    """Microseconds per frame of each stage."""
    repeats = max(10, 600 // count)
    best = dict.fromkeys([name for name, _ in steps], float("inf"))
    for _ in range(ROUNDS):
        for name, run in steps:
            for _ in range(repeats // 10):
                begun = time.perf_counter()
                for _ in range(10):
                    run()
                best[name] = min(best[name], (time.perf_counter() - begun) / 10 / count * 1e6)
    best["engine: report"] -= best.pop("engine: update of one tick")
    return best
