"""Pacing and writing, with a real fan-out and real pipes."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TextIO

import numpy as np
import pytest
import trio
import trio.testing
from sink_support import make_report, make_statistics

from rtre.pipeline.fanout import Fanout, Subscription
from rtre.sinks import jsonl, log
from rtre.sinks.base import Paced, heaviest
from rtre.sinks.lines import StreamWriter
from rtre.sinks.table import run as run_table

SINKS = pytest.mark.parametrize("sink", [log, jsonl], ids=["log", "jsonl"])


@contextmanager
def open_pipe(*, read: bool = True) -> Iterator[tuple[int, TextIO]]:
    """A pipe: the descriptor to read from, closed unless `read`, and a text stream to write to."""
    reading, writing = os.pipe()
    if not read:
        os.close(reading)
    with open(writing, "w", encoding="utf-8") as stream:
        try:
            yield reading, stream
        finally:
            if read:
                os.close(reading)


async def collect(reports: Subscription, period_s: float) -> list[tuple[float, int]]:
    """Times and sequence numbers of what `Paced` lets through."""
    paced, seen = Paced(reports, period_s), []
    try:
        while True:
            report = await paced.receive()
            seen.append((round(trio.current_time(), 3), report.sequence))
    except trio.EndOfChannel:
        return seen


async def publish(fanout: Fanout, period_s: float, count: int) -> None:
    for i in range(1, count + 1):
        await fanout.publish(make_report(sequence=i))
        await trio.sleep(period_s)
    fanout.close()


async def paced_run(period_s: float, publish_s: float, count: int) -> list[tuple[float, int]]:
    fanout, start = Fanout(), trio.current_time()
    seen: list[tuple[float, int]] = []
    with fanout.subscribe() as reports:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish, fanout, publish_s, count)
            seen = await collect(reports, period_s)
    return [(round(t - start, 2), sequence) for t, sequence in seen]


async def test_the_newest_report_comes_once_a_period(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = await paced_run(period_s=1.0, publish_s=0.01, count=351)
    # the end, at 3.51 s, is seen after a nap of 50 ms; the others wait for at most a next report
    assert [t for t, _ in seen[:-1]] == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.02)
    assert 3.5 <= seen[-1][0] < 3.58
    # in each case what was newest at that time, and not what came first after the last one
    assert [n for _, n in seen] == pytest.approx([1, 101, 201, 301, 351], abs=2)


async def test_the_last_report_does_not_wait_for_its_period(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = await paced_run(period_s=3600.0, publish_s=0.5, count=3)
    assert [n for _, n in seen] == [1, 3]
    assert seen[-1][0] < 1.6


async def test_reports_slower_than_the_period_all_come_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    seen = await paced_run(period_s=0.5, publish_s=2.0, count=4)
    assert seen == [(0.0, 1), (2.0, 2), (4.0, 3), (6.0, 4)]


async def test_a_sink_that_holds_back_gets_no_report_before(
    autojump_clock: trio.testing.MockClock,
) -> None:
    fanout = Fanout()
    with fanout.subscribe() as reports:
        paced = Paced(reports, 0.1)
        await fanout.publish(make_report(sequence=1))
        await paced.receive()
        paced.hold_back(5.0)
        start = trio.current_time()
        await fanout.publish(make_report(sequence=2))
        assert (await paced.receive()).sequence == 2
        assert trio.current_time() - start == pytest.approx(5.0, abs=0.01)


async def test_a_breach_between_two_refreshes_is_in_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def publish_peaks(fanout: Fanout) -> None:
        for i, var in enumerate((1.0, 9.0, 2.0, 3.0, 4.0, 1.0)):
            report = make_report(sequence=i)
            peaks = np.full((*report.values.shape[:2], 2), var)
            await fanout.publish(report.with_peaks(peaks))
            await trio.sleep(0.3)  # longer than a nap: each is received, and all but some unused
        fanout.close()

    fanout, seen = Fanout(), []
    with fanout.subscribe() as reports:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish_peaks, fanout)
            paced = Paced(reports, 1.0)
            with suppress(trio.EndOfChannel):
                while True:
                    report = await paced.receive()
                    seen.append((report.sequence, report["portfolio"].estimates[0].var_peak))
    assert seen == [(0, 1.0), (3, 9.0), (5, 4.0)]


def test_the_heaviest_lines_have_the_largest_var_either_way() -> None:
    report = make_report(list("ABCDE"), scale=[1, -9, float("nan"), 7, 2, 100])
    assert heaviest(report, range(5), 3) == [1, 3, 4]
    assert heaviest(report, range(5), 5) == [0, 1, 2, 3, 4]
    assert heaviest(report, range(5), 4)[-1] == 0
    assert heaviest(report, range(5, 6), 3) == [5]


@SINKS
async def test_every_report_is_written_in_order(sink: ModuleType) -> None:
    fanout, stream = Fanout(), io.StringIO()
    async with trio.open_nursery() as nursery:

        async def consume() -> None:
            await sink.run(fanout.subscribe(every=True), make_statistics, stream=stream)

        nursery.start_soon(consume)
        await trio.testing.wait_all_tasks_blocked()
        for i in range(1, 301):
            await fanout.publish(make_report(scale=[i, 1.0, 1.0], as_of_ns=i * 1_000_000))
        fanout.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 300
    if sink is jsonl:
        assert [json.loads(line)["as_of_ns"] // 1_000_000 for line in lines] == [*range(1, 301)]
    else:
        assert [line.split()[1] for line in lines] == [f"00:00:00.{i:03}Z" for i in range(1, 301)]
        assert all("VaR" in line for line in lines)


@SINKS
async def test_without_every_only_the_newest_and_the_last_are_written(sink: ModuleType) -> None:
    fanout, stream = Fanout(), io.StringIO()
    reports = fanout.subscribe()
    for i in range(1, 101):
        await fanout.publish(make_report(as_of_ns=i * 1_000_000))
    fanout.close()
    await sink.run(reports, make_statistics, stream=stream, refresh_s=60.0)
    (line,) = stream.getvalue().splitlines()
    assert ("00:00:00.100Z" in line) or json.loads(line)["as_of_ns"] == 100_000_000


@SINKS
@pytest.mark.parametrize("every", [False, True])
async def test_a_reader_that_went_away_ends_the_sink_and_frees_the_risk_task(
    sink: ModuleType, every: bool
) -> None:
    fanout = Fanout()
    with trio.fail_after(5), open_pipe(read=False) as (_, stream):
        async with trio.open_nursery() as nursery:
            reports = fanout.subscribe(every=every)

            async def consume() -> None:
                await sink.run(reports, make_statistics, stream=stream, refresh_s=0.02)

            nursery.start_soon(consume)
            for _ in range(200):
                await fanout.publish(make_report())
                await trio.lowlevel.checkpoint()
    await fanout.publish(make_report())  # the subscription is closed, so nothing waits for it
    with pytest.raises(trio.ClosedResourceError):
        await reports.receive()


@SINKS
async def test_a_closed_stream_ends_the_sink(sink: ModuleType) -> None:
    stream = io.StringIO()
    stream.close()
    fanout = Fanout()
    reports = fanout.subscribe()
    await fanout.publish(make_report())
    with trio.fail_after(5):
        await sink.run(reports, make_statistics, stream=stream)


async def test_a_missing_stdout_ends_the_sink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    fanout = Fanout()
    reports = fanout.subscribe()
    await fanout.publish(make_report())
    with trio.fail_after(5):
        await log.run(reports, make_statistics)


async def test_an_error_that_is_no_end_of_reading_comes_out() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), StreamWriter(Full()) as writer:
        await writer.write(lambda: "text")


async def test_a_value_error_of_the_line_is_not_taken_for_a_closed_stream() -> None:
    def fail() -> str:
        raise ValueError("the line")

    with pytest.raises(ValueError, match="the line"), StreamWriter(io.StringIO()) as writer:
        await writer.write(fail)


@SINKS
async def test_a_reader_that_stands_still_stops_neither_the_loop_nor_a_cancellation(
    sink: ModuleType,
) -> None:
    fanout = Fanout()
    big = make_report([f"S{i}" for i in range(1000)], books=[f"b{i}" for i in range(3)])
    with open_pipe() as (_, stream), trio.fail_after(30):
        os.set_blocking(stream.fileno(), False)
        try:
            while True:
                os.write(stream.fileno(), b"x" * 4096)  # until nothing fits any more
        except BlockingIOError:
            os.set_blocking(stream.fileno(), True)
        async with trio.open_nursery() as nursery:

            async def consume() -> None:
                await sink.run(fanout.subscribe(), make_statistics, stream=stream, refresh_s=0.02)

            nursery.start_soon(consume)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(1000):
                await fanout.publish(big)
                await trio.lowlevel.checkpoint()
            assert fanout.conflated > 900
            nursery.cancel_scope.cancel()


async def test_a_slow_reader_of_every_report_holds_the_publisher_and_loses_nothing() -> None:
    fanout, published, chunks = Fanout(), 0, []
    with open_pipe() as (reading, stream), trio.fail_after(30):
        async with trio.open_nursery() as nursery:

            async def consume() -> None:
                reports = fanout.subscribe(every=True)
                await jsonl.run(reports, make_statistics, stream=stream)
                stream.close()

            async def produce() -> None:
                nonlocal published
                for i in range(2000):
                    await fanout.publish(make_report(sequence=i))
                    published += 1
                fanout.close()

            nursery.start_soon(consume)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(produce)
            await trio.testing.wait_all_tasks_blocked(0.2)
            assert 0 < published < 1000  # a full pipe, a chunk with the thread and one that waits
            while chunk := await trio.to_thread.run_sync(os.read, reading, 1 << 20):
                chunks.append(chunk)
    lines = b"".join(chunks).decode().splitlines()
    assert [json.loads(line)["sequence"] for line in lines] == [*range(2000)]


async def test_writes_stay_in_order_when_one_of_them_is_given_up() -> None:
    with open_pipe() as (reading, stream), trio.fail_after(30), StreamWriter(stream) as writer:
        first = "1" * 300_000
        with trio.move_on_after(0.05) as scope:
            await writer.write(lambda: first)
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.write, lambda: "2")
            seen = b""
            while len(seen) <= len(first):
                seen += await trio.to_thread.run_sync(os.read, reading, 1 << 20)
    assert seen.decode() == first + "2"


def wait_for_lock(writer: StreamWriter) -> None:
    with writer._lock:
        pass


async def test_a_write_that_was_given_up_never_reaches_another_file() -> None:
    begun, go_on, written = threading.Event(), threading.Event(), threading.Event()

    class Text(str):
        def encode(self, *args: str) -> bytes:  # the last thing before the descriptor is written to
            begun.set()
            go_on.wait(10.0)
            written.set()
            return b"stray"

    with trio.fail_after(30):
        with open_pipe() as (_, stream), StreamWriter(stream) as writer:
            number = stream.fileno()
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(writer.write, lambda: Text("text"))
                    await trio.to_thread.run_sync(begun.wait)
                    scope.cancel()
        with open_pipe() as (reading, other):
            assert number in {reading, other.fileno()}  # the number is used again
            go_on.set()
            await trio.to_thread.run_sync(written.wait)
            await trio.to_thread.run_sync(wait_for_lock, writer)
            other.close()
            assert os.read(reading, 100) == b""


async def test_what_the_encoding_lacks_is_replaced_and_json_stays_utf_8() -> None:
    with open_pipe() as (reading, stream):
        stream.reconfigure(encoding="ascii")  # type: ignore[attr-defined]
        with StreamWriter(stream) as ascii_only, StreamWriter(stream, "utf-8") as utf_8:
            await ascii_only.write(lambda: "5 µs\n")
            await utf_8.write(lambda: "5 µs\n")
        assert os.read(reading, 100) == b"5 ?s\n" + "5 µs\n".encode()


async def test_what_others_wrote_before_stays_before() -> None:
    with open_pipe() as (reading, stream):
        stream.write("before\n")
        with StreamWriter(stream) as writer:
            await writer.write(lambda: "after\n")
        assert os.read(reading, 100) == b"before\nafter\n"


async def test_log_lines_are_a_second_apart_even_if_asked_for_more(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def note(reports: object, prepare: object, writer: object, period_s: float) -> None:
        asked.append(period_s)

    monkeypatch.setattr(log, "write_lines", note)
    for refresh_s in (0.02, 0.5, 1.0, 7.5):
        await log.run(Fanout().subscribe(), make_statistics, refresh_s=refresh_s)
    assert asked == [1.0, 1.0, 1.0, 7.5]


async def test_the_table_ends_when_its_terminal_is_gone() -> None:
    fanout = Fanout()
    with trio.fail_after(5), open_pipe(read=False) as (_, stream):
        reports = fanout.subscribe()
        await fanout.publish(make_report())
        fanout.close()
        await run_table(reports, make_statistics, stream=stream)
