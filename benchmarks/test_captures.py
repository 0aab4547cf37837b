"""Replay of recorded streams from memory: codec, engine and report, against real time.

``pytest benchmarks/test_captures.py -s`` prints the tables. The recordings (five and a half minutes
of two busy symbols: trades, quotes and order books, in the order in which they were received) are
looked for in the folder that ``RTRE_CAPTURES`` names; without it the benchmark is skipped. Reading
and decompressing the files is not timed. A batch is what one 64 KiB socket read would bring, or one
message; each batch that holds a tick gives a report, stamped with the receipt of its last message.
"""

from __future__ import annotations

import cProfile
import gzip
import heapq
import io
import os
import pstats
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from rtre import RiskConfig, RiskEngine, Universe
from rtre.market import TickBuffer
from rtre.venues.binance import Binance
from rtre.venues.frames import Frames

from tables import headline, table

SHARED = Path(__file__).resolve().parents[2] / "shared/data/captures"
FOLDER = Path(os.environ.get("RTRE_CAPTURES", SHARED))
FILES = [FOLDER / f"binance_spot_{s}_20240808.gz" for s in ("btcusdt", "ethusdt")]
READ_BYTES = 65536
ROUNDS = 3

Batch = tuple[Frames, int]
pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in FILES), reason="no recorded streams; see RTRE_CAPTURES"
)


def messages() -> list[tuple[int, bytes]]:
    """Receipt time and payload of all messages, in order of receipt."""

    def lines(path: Path) -> list[tuple[int, bytes]]:
        parts = (line.split(b" ", 1) for line in gzip.decompress(path.read_bytes()).splitlines())
        return [(int(stamp), payload) for stamp, payload in parts]

    return list(heapq.merge(*map(lines, FILES), key=lambda message: message[0]))


def batches(received: list[tuple[int, bytes]], read_bytes: int) -> list[Batch]:
    """Pack messages into reads of `read_bytes`; 0: each is a read of its own."""
    found: list[Batch] = []
    part: list[bytes] = []
    size = 0
    for i, (stamp, payload) in enumerate(received):
        part.append(payload)
        size += len(payload)
        if size >= read_bytes or i == len(received) - 1:
            found.append((Frames.of(part), stamp))
            part, size = [], 0
    return found


@attrs.frozen
class Run:
    seconds: float
    decode_s: float
    reports: int
    ticks: int


def replay(reads: list[Batch]) -> Run:
    """Through codec, engine and report."""
    universe = Universe(("BTCUSDT", "ETHUSDT"))
    venue, out = Binance(universe), TickBuffer(1 << 12)
    engine = RiskEngine(universe, {"book": {"BTCUSDT": 1.0, "ETHUSDT": 20.0}}, RiskConfig())
    reports, decoding, clock = 0, 0.0, time.perf_counter
    begun = clock()
    for frames, stamp in reads:
        at = clock()
        venue.decode(frames, stamp, out)
        decoding += clock() - at
        if out.count:
            engine.update(out.take())
            engine.report(stamp)
            reports += 1
    seconds = clock() - begun
    counts = venue.counts
    assert counts.received == counts.decoded == engine.counts().received
    assert counts.frames == counts.decoded + counts.ignored
    return Run(seconds, decoding, reports, counts.decoded)


def test_replay_of_recorded_streams_against_real_time() -> None:
    received = messages()
    span = (received[-1][0] - received[0][0]) / 1e9
    packed = {
        "a read of 64 KiB is a batch": batches(received, READ_BYTES),
        "each message is a batch": batches(received, 0),
    }
    best: dict[str, Run] = {}
    for _ in range(ROUNDS):
        for name, reads in packed.items():
            run = replay(reads)
            if name not in best or run.seconds < best[name].seconds:
                best[name] = run
    lines: list[tuple[object, ...]] = []
    for name, run in best.items():
        us, decode_us = (1e6 * s / len(received) for s in (run.seconds, run.decode_s))
        lines.append((name, us, decode_us, f"{run.reports:,}", span / run.seconds))
    ticks = next(iter(best.values())).ticks
    title = f"{len(received):,} messages, {ticks:,} trades among them, {span:.0f} s"
    head = ("batches", "us/message", "of it codec", "reports", "x real time")
    print(table(title, head, lines))
    read, single = best.values()
    for how, found, goal in (
        ("batches of a read", read, 1000.0),
        ("each message a batch", single, 100.0),
    ):
        speed = span / found.seconds
        headline(f"replay of a recording, {how}", f"{span:,.0f} s in {found.seconds:.2f} s",
                 "real time", "", speed, goal)  # fmt: skip
    assert span / read.seconds > 1000
    assert span / single.seconds > 100


def profile(run: Callable[[], object], lines: int = 25) -> str:
    """Where the time goes, by cProfile; for use by hand."""
    with cProfile.Profile() as profiler:
        run()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(lines)
    return text.getvalue()


if __name__ == "__main__":
    everything = messages()
    for size in (READ_BYTES, 0):
        packed = batches(everything, size)
        replay(packed)
        print(profile(lambda packed=packed: replay(packed)))
