"""The inbox: writers never wait, order holds, and whatever is merged away is counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from rtre.market import FeedItem, LinkChange, TickBatch
from rtre.pipeline.inbox import Inbox, conflate

LEAD = 5
LAST_NS = 2**63 - 1
Row = tuple[int, float, int, int]  # asset, price, event time, receipt

event_times = st.integers(1, 60) | st.sampled_from([-LAST_NS - 1, -1, 0, LAST_NS - 1, LAST_NS])
prices = st.floats(1.0, 1e3) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e-320])
ticks = st.lists(
    st.builds(
        lambda asset, price, event, honest: (asset, price, event, event if honest else 20),
        st.integers(0, 3), prices, event_times, st.sampled_from([True, True, False]),
    ),
    min_size=1, max_size=60,
)  # fmt: skip


def batch_of(rows: list[Row]) -> TickBatch:
    assets, of_rows, events, receipts = zip(*rows, strict=True)
    return TickBatch.of(assets, of_rows, events, ts_init_ns=receipts)


def accepted(rows: list[Row]) -> list[bool]:
    """What an engine without a limit to jumps would take of a stream."""
    newest: dict[int, int] = {}
    taken = []
    for asset, price, event, receipt in rows:
        takes = 1e-30 <= price <= 1e30 and 0 < event <= receipt + LEAD
        takes = takes and event >= newest.get(asset, 0)
        if takes:
            newest[asset] = event
        taken.append(takes)
    return taken


def closes(rows: list[Row], interval: int | None) -> dict[tuple[int, int], float]:
    """The last price that is taken of each asset and interval."""
    return {
        (asset, event // interval if interval else 0): price
        for (asset, price, event, _), takes in zip(rows, accepted(rows), strict=True)
        if takes
    }


def rows_of(batch: TickBatch) -> list[Row]:
    columns = (batch.asset, batch.price, batch.ts_event_ns, batch.ts_init_ns)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(ticks, st.sampled_from([10, 1, 60, None]))
def test_conflation_keeps_the_newest_usable_tick_of_each_asset_and_interval_in_order(
    rows: list[Row], interval: int | None
) -> None:
    kept: dict[tuple[int, int], int] = {}
    newest: dict[int, int] = {}
    taken = accepted(rows)
    for place, (asset, _, event, _) in enumerate(rows):
        if taken[place]:
            newest[asset] = event
        key = asset, newest.get(asset, event) // interval if interval else 0
        if taken[place] or key not in kept or not taken[kept[key]]:
            kept[key] = place
    expected = [rows[place] for place in sorted(kept.values())]
    assert repr(rows_of(conflate(batch_of(rows), interval, LEAD))) == repr(expected)  # NaN too


@given(ticks, st.sampled_from([10, 1, 60, None]))
@example([(0, 1.0, 10, 10), (0, 2.0, 1, 10), (0, 3.0, 11, 11)], 10)
def test_intervals_close_where_they_would_have_closed_without_conflation(
    rows: list[Row], interval: int | None
) -> None:
    found = rows_of(conflate(batch_of(rows), interval, LEAD))
    assert closes(found, interval) == closes(rows, interval)


@given(ticks)
def test_conflating_twice_changes_nothing_more(rows: list[Row]) -> None:
    once = conflate(batch_of(rows), 10, LEAD)
    assert repr(rows_of(conflate(once, 10, LEAD))) == repr(rows_of(once))


@pytest.mark.parametrize(
    ("price", "event", "receipt"),
    [
        (99.0, 5, 12),  # late
        (math.nan, 11, 12), (math.inf, 11, 12), (0.0, 11, 12), (-3.0, 11, 12),
        (99.0, 18, 12),  # from the future
    ],
)  # fmt: skip
@pytest.mark.parametrize("interval", [20, None])
def test_a_tick_that_the_engine_refuses_does_not_replace_one_that_it_takes(
    price: float, event: int, receipt: int, interval: int | None
) -> None:
    batch = TickBatch.of([0, 0], [100.0, price], [10, event], ts_init_ns=[10, receipt])
    assert conflate(batch, interval, LEAD).price.tolist() == [100.0]


def test_wild_event_times_keep_apart_what_is_apart() -> None:
    """One key of asset and interval would wrap around here, and join two assets."""
    times = [1, -LAST_NS, 1, LAST_NS, 2**62, 2**62]
    batch = TickBatch.of([0, 1, 3, 3, 0, 2], np.arange(1.0, 7.0), times)
    assert conflate(batch, 1).price.tolist() == [1, 2, 3, 4, 5, 6]


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
    ends = {t // 10: float(t) for t in times.tolist()}
    kept = dict(zip((batch.ts_event_ns // 10).tolist(), batch.price.tolist(), strict=True))
    assert all(ends[interval] == price for interval, price in kept.items())
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


async def test_ticks_from_further_ahead_than_the_engine_allows_do_not_evict_good_ones() -> None:
    inbox = Inbox(10, max_items=1, max_ticks=4, lead_ns=LEAD)
    with inbox.writer() as out:
        for event in (1, 2, 3, 40, 4, 50):
            out.send_nowait(TickBatch.of(0, float(event), event, ts_init_ns=4))
        (batch,) = await inbox.receive()
    assert isinstance(batch, TickBatch)
    assert 4.0 in batch.price
    assert inbox.conflated > 0
