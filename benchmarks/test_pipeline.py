"""The whole pipeline over loopback: throughput when saturated, latency when not.

``pytest benchmarks/test_pipeline.py -s`` prints the tables. The senders are other processes. The
baseline only receives and decodes, one message at a time by stock trio-websocket and msgspec, and
computes no risk at all.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest
import trio
import trio_websocket

from rtre import Config, FeedConfig, open_pipeline
from rtre.pipeline.pipeline import Pipeline

from live import loopback_feed
from tables import headline, table
from test_engine import START, WINDOW, filled
from test_wire import sender

SECONDS = 1.0
SYMBOLS = 10
SYMBOLS_LIVE = ("AAPL", "MSFT", "NVDA", "AMZN", "GOOGL", "META", "TSLA", "JPM", "KO", "SPY")
NOW_MS = START // 10**6 + (WINDOW + 1) * 1000


def block(symbols: int = SYMBOLS) -> bytes:
    """2,000 one-trade frames of some symbols within one grid interval, prices within 1 %."""
    frames = []
    for i in range(2000):
        price = 100 + (i * 7919 % 100) / 100
        text = (
            f'{{"data":[{{"c":["1","24","8"],"p":{price:.2f},"s":"S{i % symbols}",'
            f'"t":{NOW_MS},"v":12.25}}],"type":"trade"}}'
        ).encode()
        frames.append(bytes([0x81, len(text)]) + text)
    return b"".join(frames)


async def ours(port: int, *, sink_s: float = 0.0) -> tuple[Pipeline, float, int]:
    """Run the whole pipeline against a saturating sender.

    One sink reads, and takes `sink_s` over each report. Returns the pipeline's state after
    `SECONDS`, its rate, and how many reports the sink got.
    """
    engine = filled(SYMBOLS)
    pipeline = Pipeline(engine, [loopback_feed(engine, port)])
    before, read = engine.counts().received, 0

    async def sink() -> None:
        nonlocal read
        with pipeline.subscribe() as reports:
            async for _ in reports:
                read += 1
                if sink_s:
                    await trio.sleep(sink_s)

    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        with pipeline.subscribe() as reports:
            await reports.receive()
        nursery.start_soon(sink)
        begun = time.perf_counter()
        await trio.sleep(SECONDS)
        elapsed = time.perf_counter() - begun
        rate = (pipeline.engine.counts().received - before) / elapsed
        nursery.cancel_scope.cancel()
    return pipeline, rate, read


class _Trade(msgspec.Struct, gc=False):
    p: float
    s: str
    t: int
    v: float


class _Message(msgspec.Struct, gc=False):
    type: str
    data: list[_Trade]


async def stock(port: int) -> float:
    """The plain way, receive and decode, and no risk; ticks per second."""
    decode, count = msgspec.json.Decoder(_Message).decode, 0
    with trio.CancelScope() as scope:  # around the link: the sender does not answer a close
        async with trio_websocket.open_websocket("127.0.0.1", port, "/", use_ssl=False) as link:
            scope.deadline = trio.current_time() + SECONDS
            while True:
                count += len(decode(await link.get_message()).data)
    return count / SECONDS


def test_throughput_of_the_whole_pipeline_when_saturated() -> None:
    rates: dict[str, list[float]] = {"rtre: socket to report": [], "stock: receive and decode": []}
    conflated = 0
    with sender(block=block()) as port:
        for _ in range(3):
            pipeline, rate, _ = trio.run(ours, port)
            counts = pipeline.statistics().counts
            assert counts.rejected == 0
            conflated += counts.conflated
            rates["rtre: socket to report"].append(rate)
            rates["stock: receive and decode"].append(trio.run(stock, port))
    best = {name: max(found) for name, found in rates.items()}
    rate, base = best.values()
    lines = [(name, f"{r:,.0f}", 1e6 / r, r / base) for name, r in best.items()]
    print(
        table("10 symbols, window 500, one book", ("path", "ticks/s", "us/tick", "x stock"), lines)
    )
    print(f"every tick is evaluated; conflated: {conflated}")
    headline("wire to report, every tick evaluated, 10 symbols + book", f"{1e6 / rate:.2f} us/tick",
             "trio-websocket get_message + msgspec, no risk", f"{1e6 / base:.1f} us/tick",
             rate / base, 25.0)  # fmt: skip
    assert rate > base
    assert conflated == 0


def test_a_slow_sink_does_not_slow_the_feed() -> None:
    slow = functools.partial(ours, sink_s=0.1)
    best: dict[str, tuple[float, int, int]] = {}
    with sender(block=block()) as port:
        trio.run(ours, port)  # compiles the kernels
        for _ in range(3):
            for name, run in {"reads at once": ours, "takes 100 ms a report": slow}.items():
                pipeline, rate, read = trio.run(run, port)
                statistics = pipeline.statistics()
                assert statistics.reports >= read + statistics.conflated_reports
                if rate > best.get(name, (0.0, 0, 0))[0]:
                    best[name] = rate, read, statistics.conflated_reports
    fast, held = best.values()
    lines = [
        (name, f"{rate:,.0f}", f"{read:,}", f"{conflated:,}", rate / fast[0])
        for name, (rate, read, conflated) in best.items()
    ]
    head = ("the one sink", "ticks/s", "reports read", "conflated", "x")
    print(table("a slow sink: 10 symbols, saturated", head, lines))
    headline("throughput with a sink that takes 100 ms a report", f"{held[0]:,.0f} ticks/s",
           "a sink that reads at once", f"{fast[0]:,.0f} ticks/s",
           held[0] / fast[0], 0.95)  # fmt: skip
    assert held[2] > 0, "reports that the slow sink did not get are counted"
    assert held[0] > 0.8 * fast[0]


@contextmanager
def venue(rate: int) -> Iterator[str]:
    """The simulated venue in another process; gives its address."""
    command = [sys.executable, "-m", "rtre", "simulate", "--port", "0", "--rate", str(rate)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    try:
        found = re.search(r"ws://\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize("rate", [1_000, 10_000])
def test_latency_from_receipt_to_report(rate: int) -> None:
    async def main(url: str) -> dict[str, float]:
        config = Config(
            symbols=SYMBOLS_LIVE,
            feed=FeedConfig(name="simulated", url=url),
        )
        async with open_pipeline(config) as pipeline:
            with pipeline.subscribe() as reports:
                with trio.move_on_after(2 * SECONDS):
                    async for _ in reports:
                        pass
            return pipeline.statistics().latency_us

    with venue(rate) as url:
        latency = trio.run(functools.partial(main, url))
    title = f"receipt of a batch's oldest tick to its report, {rate:,} ticks/s"
    print(table(title, ("percentile", "us"), list(latency.items())))
    headline(f"latency, receipt to report, {rate:,} ticks/s", f"p50 {latency['p50']:.0f} us",
           "", f"p99 {latency['p99']:.0f} us", float("nan"))  # fmt: skip
    assert 0 < latency["p50"] <= latency["p99"]
