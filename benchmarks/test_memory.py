"""Memory under an endless saturating sender: 20 million ticks must need no more than one million.

``pytest benchmarks/test_memory.py -s`` prints the resident set along the way. The sender is another
process; the whole pipeline runs, two symbols and a book, with a sink that reads each report it can.
``RTRE_MEMORY_TICKS`` sets another number of ticks. The pages a process has touched never tell of
garbage that is about to be collected, so the figure is read as it is, without a collection.
"""

from __future__ import annotations

import os
from pathlib import Path

import trio
from test_pipeline import block

from rtre.pipeline.pipeline import Pipeline

from live import loopback_feed, read_all
from tables import headline, table
from test_engine import filled
from test_wire import sender

FIRST = 1_000_000
TICKS = int(os.environ.get("RTRE_MEMORY_TICKS", "20000000"))
STEP_S = 0.01
MOST_S = 300.0
SYMBOLS = 2


def resident_bytes() -> int:
    """Resident set of this process, from the kernel."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def watch(port: int, marks: list[int]) -> tuple[list[tuple[int, int, float]], int]:
    """(ticks, resident bytes, seconds) at each mark, and how many ticks were conflated."""
    engine = filled(SYMBOLS)
    pipeline = Pipeline(engine, [loopback_feed(engine, port)])
    before = engine.counts().received

    def received() -> int:
        return engine.counts().received - before

    seen: list[tuple[int, int, float]] = []

    async with trio.open_nursery() as nursery:
        await nursery.start(pipeline.run)
        nursery.start_soon(read_all, pipeline)
        begun = trio.current_time()
        with trio.fail_after(MOST_S):
            for mark in marks:
                while (ticks := received()) < mark:  # noqa: ASYNC110 - a counter has no event
                    await trio.sleep(STEP_S)
                seen.append((ticks, resident_bytes(), trio.current_time() - begun))
        nursery.cancel_scope.cancel()
    counts = pipeline.statistics().counts
    assert counts.rejected == 0
    return seen, counts.conflated


def test_the_resident_set_stays_where_it_is() -> None:
    marks = sorted({FIRST, TICKS // 4, TICKS // 2, TICKS})
    # two symbols of the ten that the block holds are wanted; the others would be refused
    with sender(block=block(SYMBOLS)) as port:
        seen, conflated = trio.run(watch, port, marks)
    base = seen[0][1]
    lines = [(f"{n:,}", size / 2**20, size / base, s, n / s / 1e6) for n, size, s in seen]
    head = ("ticks", "resident MiB", "x the first", "seconds", "M ticks/s")
    print(table(f"resident set, two symbols; {conflated:,} ticks conflated", head, lines))
    ticks, last, _ = seen[-1]
    headline(f"memory after {ticks / 1e6:.0f} million ticks", f"{last / 2**20:.1f} MiB",
           "after one million", f"{base / 2**20:.1f} MiB", base / last, 1 / 1.05)  # fmt: skip
    assert last <= 1.05 * base
