"""The fan-out: a slow subscriber delays nobody, and what it misses is counted."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from rtre.engine import RiskEngine
from rtre.market import Universe
from rtre.pipeline.fanout import Fanout
from rtre.report import RiskReport

ENGINE = RiskEngine(Universe(("A",)), {"p": {"A": 1}})


def report() -> RiskReport:
    return ENGINE.report(0)


async def test_a_subscriber_that_does_not_read_gets_the_newest_and_the_count() -> None:
    fanout = Fanout()
    with fanout.subscribe() as reports:
        sent = [report() for _ in range(5)]
        for each in sent:
            await fanout.publish(each)
        assert await reports.receive() is sent[-1]
        assert reports.conflated == 4
    assert fanout.conflated == 4  # kept after the subscriber is gone


async def test_a_slow_subscriber_does_not_hold_up_a_fast_one() -> None:
    fanout = Fanout()
    with fanout.subscribe() as slow, fanout.subscribe() as fast:
        for _ in range(10):
            each = report()
            await fanout.publish(each)
            assert await fast.receive() is each
        assert (slow.conflated, fast.conflated) == (9, 0)


async def test_a_subscriber_to_every_report_sees_all_in_order() -> None:
    fanout = Fanout()
    seen: list[RiskReport] = []

    async def read() -> None:
        async for each in reports:
            await trio.testing.wait_all_tasks_blocked()
            seen.append(each)

    sent = [report() for _ in range(20)]
    with fanout.subscribe(every=True) as reports:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for each in sent:
                await fanout.publish(each)
            fanout.close()
    assert seen == sent
    assert fanout.conflated == 0


async def test_closing_a_subscription_releases_whoever_waits_to_hand_it_a_report() -> None:
    fanout = Fanout()
    reports = fanout.subscribe(every=True)

    async def publish() -> None:
        for _ in range(5):
            await fanout.publish(report())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(publish)
        await trio.testing.wait_all_tasks_blocked()
        reports.close()


async def test_after_the_end_subscribers_read_what_is_left_and_end() -> None:
    fanout = Fanout()
    with fanout.subscribe() as reports:
        last = report()
        await fanout.publish(last)
        fanout.close()
        assert [each async for each in reports] == [last]
    with fanout.subscribe() as late, pytest.raises(trio.EndOfChannel):
        await late.receive()
