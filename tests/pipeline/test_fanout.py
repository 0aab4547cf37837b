"""The fan-out: a slow subscriber delays nobody, and what it misses is counted."""

from __future__ import annotations

import numpy as np
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


def peaked(var: float) -> RiskReport:
    """A report whose VaR and ES have been as high as this since the one before."""
    made = report()
    peaks = np.full((len(made), len(made.confidences), 2), np.nan)
    peaks[0] = var, 2 * var
    return made.with_peaks(peaks)


def highest(of: RiskReport) -> list[float]:
    assert of.peaks is not None
    assert np.isnan(of.peaks[1:]).all()
    return list(of.peaks[0, -1].tolist())


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

    with trio.fail_after(5):  # or it would wait for ever
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


async def test_a_conflating_subscriber_may_close_while_one_to_every_report_is_waited_for() -> None:
    fanout = Fanout()
    with fanout.subscribe(every=True) as every, fanout.subscribe() as newest:
        await fanout.publish(report())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fanout.publish, report())
            await trio.testing.wait_all_tasks_blocked()
            newest.close()
            await every.receive()


async def test_one_to_every_report_delays_no_other_wherever_it_is_in_the_list() -> None:
    fanout = Fanout()
    with fanout.subscribe(every=True) as every, fanout.subscribe() as newest:
        await fanout.publish(report())
        second = report()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fanout.publish, second)
            await trio.testing.wait_all_tasks_blocked()
            assert await newest.receive() is second
            await every.receive()


async def test_a_reading_end_closed_behind_the_fanouts_back_is_no_bug() -> None:
    fanout = Fanout()
    with fanout.subscribe() as reports:
        reports._receive.close()
        await fanout.publish(report())


async def test_peaks_of_replaced_reports_are_seen_in_the_one_that_is_read() -> None:
    fanout = Fanout()
    with fanout.subscribe() as slow, fanout.subscribe() as fast:
        seen = []
        for var in (1.0, 9.0, 3.0, 2.0):
            await fanout.publish(peaked(var))
            seen.append(highest(await fast.receive()))
        assert seen == [[1.0, 2.0], [9.0, 18.0], [3.0, 6.0], [2.0, 4.0]]  # as they were
        assert highest(await slow.receive()) == [9.0, 18.0]
        await fanout.publish(peaked(4.0))
        assert highest(await slow.receive()) == [4.0, 8.0]  # since the one read before, no longer


async def test_a_report_that_is_higher_than_those_it_replaced_is_handed_on_as_it_is() -> None:
    fanout = Fanout()
    with fanout.subscribe() as reports:
        await fanout.publish(peaked(1.0))
        await fanout.publish(last := peaked(2.0))
        assert await reports.receive() is last


async def test_peaks_of_a_report_that_is_shown_in_no_time_go_over_to_the_next() -> None:
    fanout = Fanout()
    with fanout.subscribe() as reports:
        for var in (9.0, 1.0):
            await fanout.publish(peaked(var))
        unused = await reports.receive()
        with trio.move_on_after(0):
            await reports.receive(instead_of=unused)
        await fanout.publish(peaked(2.0))
        assert highest(await reports.receive(instead_of=unused)) == [9.0, 18.0]
        await fanout.publish(peaked(3.0))
        assert highest(await reports.receive()) == [3.0, 6.0]
