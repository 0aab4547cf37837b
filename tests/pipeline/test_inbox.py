"""The inbox: writers never wait, order holds, and whatever is merged away is counted."""

from __future__ import annotations

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from rtre.market import FeedItem, LinkChange, TickBatch
from rtre.pipeline.inbox import Inbox, conflate

ticks = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 60)), min_size=1, max_size=60)


def batch_of(rows: list[tuple[int, int]]) -> TickBatch:
    assets, times = zip(*rows, strict=True)
    return TickBatch.of(assets, np.arange(1.0, len(rows) + 1), times)


@given(ticks)
def test_conflation_keeps_the_last_tick_of_each_asset_and_interval_in_order(
    rows: list[tuple[int, int]],
) -> None:
    newest: dict[tuple[int, int], float] = {}
    for position, (asset, time) in enumerate(rows):
        newest[asset, time // 10] = position + 1.0
    assert conflate(batch_of(rows), 10).price.tolist() == sorted(newest.values())


@given(ticks)
def test_conflation_without_a_grid_keeps_the_last_tick_of_each_asset(
    rows: list[tuple[int, int]],
) -> None:
    newest = {asset: position + 1.0 for position, (asset, _) in enumerate(rows)}
    assert conflate(batch_of(rows), None).price.tolist() == sorted(newest.values())


def single(time: int, asset: int = 0) -> TickBatch:
    return TickBatch.of(asset, float(time), time)


async def test_one_wake_takes_all_that_is_there_as_one_batch() -> None:
    inbox = Inbox(10)
    with inbox.writer() as out:
        for time in range(1, 6):
            out.send_nowait(single(time))
        assert inbox.waiting == 5
        (batch,) = await inbox.receive()
    assert isinstance(batch, TickBatch)
    assert batch.price.tolist() == [1, 2, 3, 4, 5]
    assert inbox.waiting == 0


async def test_a_link_change_keeps_its_place_between_batches_even_beside_a_full_channel() -> None:
    inbox = Inbox(10, max_items=2)
    down = LinkChange((0,), False, 3)
    with inbox.writer() as out:
        for item in (single(1), single(2), single(3), down, single(4), single(5)):
            out.send_nowait(item)
        before, change, after = await inbox.receive()
    assert isinstance(before, TickBatch)
    assert isinstance(after, TickBatch)
    assert before.price.tolist() == [1, 2, 3]
    assert change is down
    assert after.price.tolist() == [4, 5]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=40),
    st.lists(st.booleans(), min_size=1, max_size=40),
)
def test_every_tick_is_taken_or_counted_as_conflated_at_every_moment(
    sizes: list[int], reads: list[bool]
) -> None:
    async def main() -> None:
        inbox = Inbox(10, max_items=2, max_ticks=50)
        sent = taken = clock = 0
        last_seen = 0.0
        with inbox.writer() as out:
            for number, size in enumerate(sizes):
                times = np.arange(clock, clock + size) + 1
                clock += size
                sent += size
                out.send_nowait(TickBatch.of(number % 3, times, times))
                assert sent == taken + inbox.conflated + inbox.waiting
                assert inbox.waiting <= 2 * 30 + 50 + 30  # channel, pile and one batch
                if reads[number % len(reads)]:
                    for item in await inbox.receive():
                        assert isinstance(item, TickBatch)
                        taken += len(item)
                        assert (np.diff(item.price) > 0).all()
                        assert item.price[0] > last_seen
                        last_seen = item.price[-1]
                assert sent == taken + inbox.conflated + inbox.waiting

    trio.run(main)


async def test_closed_returns_survive_conflation_exactly() -> None:
    inbox = Inbox(10, max_items=1, max_ticks=64)
    times = np.arange(1, 301)  # 31 intervals: fewer than half of what may wait
    with inbox.writer() as out:
        for time in times.tolist():
            out.send_nowait(single(time))
        (batch,) = await inbox.receive()
    assert isinstance(batch, TickBatch)
    closes = {t // 10: float(t) for t in times.tolist()}
    kept = dict(zip((batch.ts_event_ns // 10).tolist(), batch.price.tolist(), strict=True))
    assert all(closes[interval] == price for interval, price in kept.items())
    assert inbox.conflated == 300 - len(batch) > 0


async def test_the_inbox_ends_when_all_writers_have_closed_and_gives_what_is_left_first() -> None:
    inbox = Inbox(10)
    with inbox.writer() as first, inbox.writer() as second:
        inbox.no_more_writers()
        first.send_nowait(single(1))
        second.send_nowait(single(2))
    (batch,) = await inbox.receive()
    assert isinstance(batch, TickBatch)
    assert len(batch) == 2
    with pytest.raises(trio.EndOfChannel):
        await inbox.receive()


async def test_a_replay_reads_items_one_by_one_and_its_writer_waits_for_room() -> None:
    inbox = Inbox(10, max_items=1)
    seen: list[FeedItem] = []

    async def read() -> None:
        for _ in range(4):
            seen.extend(await inbox.receive_one())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        with inbox.writer() as out:
            for time in range(1, 5):
                await out.send(single(time))
    assert [len(item) for item in seen if isinstance(item, TickBatch)] == [1, 1, 1, 1]
    assert inbox.conflated == 0
