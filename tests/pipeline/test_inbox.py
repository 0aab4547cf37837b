"""The inbox: writers never wait, order holds, and whatever is merged away is counted."""

from __future__ import annotations

import math

import numpy as np
import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from rtre.market import FeedItem, LinkChange, TickBatch
from rtre.pipeline.conflation import conflate, fold
from rtre.pipeline.inbox import _MANY_CHANGES, Inbox

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


def passes_of(inbox: Inbox) -> list[int]:
    """Length of the pile at each time that `inbox` conflates one from now on."""
    passes: list[int] = []
    keep = inbox._keep

    def counted(pile: list[FeedItem]) -> None:
        passes.append(len(pile))
        keep(pile)

    inbox._keep = counted  # type: ignore[method-assign]
    return passes


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


# ---- link changes

LINKS = ((0, 1), (2,), (1, 2))  # two feeds, and one that shares an asset with each
items = st.lists(
    st.tuples(st.integers(0, 3), st.floats(1.0, 2.0), st.integers(1, 60))
    | st.builds(LinkChange, st.sampled_from(LINKS), st.booleans(), st.integers(1, 60)),
    max_size=60,
)


def story(found: list[FeedItem], asset: int) -> list[float | bool]:
    """All that an asset goes through: prices of its ticks, and whether its links went up."""
    told: list[float | bool] = []
    for item in found:
        if isinstance(item, TickBatch):
            told += item.price[item.asset == asset].tolist()
        elif asset in item.assets:
            told.append(item.up)
    return told


def breaks_before(told: list[float | bool]) -> list[int]:
    """Of each tick, and of the next one to come, how many breaks came before it."""
    counts, breaks = [], 0
    for event in [*told, 0.0]:
        if event is False:
            breaks += 1
        elif event is not True:
            counts.append(breaks)
    return counts


def numbered(drawn: list[tuple[int, float, int] | LinkChange]) -> list[FeedItem]:
    """As items, the price of each tick being its place, so that it can be found again."""
    return [
        item if isinstance(item, LinkChange) else TickBatch.of(item[0], 1.0 + place, item[2])
        for place, item in enumerate(drawn)
    ]


def check_is_safe(before: list[FeedItem], after: list[FeedItem]) -> None:
    for asset in range(4):
        old, new = story(before, asset), story(after, asset)
        old_ticks = [e for e in old if not isinstance(e, bool)]
        new_ticks = [e for e in new if not isinstance(e, bool)]
        assert [t for t in old_ticks if t in set(new_ticks)] == new_ticks, "order holds"
        was = dict(zip([*old_ticks, 0.0], breaks_before(old), strict=True))
        now = zip([*new_ticks, 0.0], breaks_before(new), strict=True)
        last_was, last_now = 0, 0
        for tick, breaks in now:  # what no break parts now, no break parted before
            assert breaks > last_now or was[tick] == last_was
            last_was, last_now = was[tick], breaks
        assert [e for e in old if e is True or e is False][-1:] == [
            e for e in new if e is True or e is False
        ][-1:], "it is up or down as it was"
        usable = accepted(rows_of_asset(before, asset))
        again = accepted(rows_of_asset(after, asset))
        assert last_taken(before, asset, usable) == last_taken(after, asset, again)


def rows_of_asset(found: list[FeedItem], asset: int) -> list[Row]:
    batches = [item for item in found if isinstance(item, TickBatch)]
    return [row for batch in batches for row in rows_of(batch) if row[0] == asset]


def last_taken(found: list[FeedItem], asset: int, taken: list[bool]) -> list[Row]:
    rows = rows_of_asset(found, asset)
    return [row for row, takes in zip(rows, taken, strict=True) if takes][-1:]


DOWN = LinkChange((0, 1), False, 1)


@given(items)
@example([(0, 1.0, 1), DOWN, (0, 1.0, 2),
          LinkChange((0, 1), True, 2), (0, 1.0, 3), DOWN, (0, 1.0, 4)])  # fmt: skip
def test_folding_keeps_a_break_wherever_there_was_one_and_the_newest_price(
    drawn: list[tuple[int, float, int] | LinkChange],
) -> None:
    before = numbered(drawn)
    after = fold(before, LEAD)
    check_is_safe(before, after)
    assert sum(isinstance(item, LinkChange) for item in after) <= 3 * len(LINKS)
    assert sum(isinstance(item, TickBatch) for item in after) <= 3
    again = fold(after, LEAD)
    check_is_safe(before, again)


def test_what_came_before_and_after_all_changes_stays_and_so_do_assets_of_other_feeds() -> None:
    down, up = LinkChange((0,), False, 5), LinkChange((0,), True, 6)
    times = iter(range(1, 100))
    told: list[FeedItem] = []
    for item in (None, down, up, None, down, up, None):
        told += [item] if item else [TickBatch.of([0, 1, 0], 3 * [t := float(next(times))], t)]
    found = fold(told, LEAD)
    assert story(found, 0) == [1, 1, False, 2, False, True, 3, 3]
    assert story(found, 1) == [1, 2, 3]


@pytest.mark.parametrize("interval", [10, 10**6])
async def test_a_stuck_reader_and_a_flapping_link_leave_a_bounded_pile(interval: int) -> None:
    assets = tuple(range(100))
    inbox = Inbox(interval, max_items=4, max_ticks=2000)
    sent: list[FeedItem] = []
    passes, most = passes_of(inbox), 0
    with inbox.writer() as out:
        for n in range(1, 2001):
            change = LinkChange(assets, n % 2 == 0, n)
            batch = TickBatch.of(assets, 1.0 + n, 20 * n)
            for item in (change, batch):
                out.send_nowait(item)
                sent.append(item)
            most = max(most, inbox.waiting)
            assert inbox.waiting + inbox.conflated == 100 * n
        found = await inbox.receive()
    assert most <= 4 * 100 + 2000 + 100
    assert len(passes) <= 4 * 2000 // 10, "far fewer than the puts"
    assert len(found) <= 4 + 2000 // 100 + _MANY_CHANGES
    assert story(found, 0)[-1] == 2001.0
    check_is_safe(sent, found)


async def test_link_changes_alone_and_empty_batches_do_not_grow_a_pile() -> None:
    inbox = Inbox(10, max_items=1)
    nothing = TickBatch.of([], [], [])
    with inbox.writer() as out:
        for n in range(20_000):
            out.send_nowait(LinkChange((0,), n % 2 == 0, n))
            out.send_nowait(nothing)
            assert len(inbox._pile) <= 1025
        out.send_nowait(single(7))
        found = await inbox.receive()
    assert [item.up for item in found if isinstance(item, LinkChange)][-1] is False
    assert inbox.waiting == inbox.conflated == 0


async def test_a_tick_of_more_assets_than_the_pile_may_hold_does_not_conflate_at_each_put() -> None:
    inbox = Inbox(10, max_items=1, max_ticks=50)
    assets = np.arange(100)
    passes = passes_of(inbox)
    with inbox.writer() as out:
        for n in range(1, 1001):
            out.send_nowait(TickBatch.of(assets[n % 100], float(n), 20 * n))
            assert inbox.waiting <= 1 + 200 + 1
    assert len(passes) < 40
