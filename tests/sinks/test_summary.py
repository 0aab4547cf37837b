from __future__ import annotations

import attrs
from sink_support import make_report, make_statistics

from rtre.feeds.base import FeedStatistics
from rtre.figures import BookWork
from rtre.sinks.summary import outcomes, summary


def test_the_summary_says_what_happened() -> None:
    lines = summary(make_statistics(), make_report()).splitlines()
    assert lines == [
        "9,734 ticks in 12.5 s (778.4 ticks/s): 9,000 applied, 700 conflated, 20 rejected, 6 late, "
        "3 quarantined, 1 duplicate, 4 waiting",
        "8,200 reports (8,150 conflated), tick to report p50 96 µs, p99 312 µs, max 1.8 ms",
        "portfolio VaR95 30.00 ES95 37.50 VaR99 60.00 ES99 75.00 LIVE "
        "(historical, 1d of 6h30m from 1s grid, sqrt-time)",
    ]


def test_the_outcomes_add_up_to_all_ticks() -> None:
    statistics = make_statistics()
    total = sum(n for _, n in outcomes(statistics))
    assert total == statistics.counts.received + statistics.waiting == 9734


def test_a_run_without_a_report_or_latencies_has_a_summary_too() -> None:
    statistics = attrs.evolve(make_statistics(), latency_us={})
    text = summary(statistics, None)
    assert text.splitlines()[-1] == "8,200 reports (8,150 conflated)"


def test_a_portfolio_that_never_warmed_up_says_so() -> None:
    report = make_report(n_obs=[500, 500, 12])
    assert "portfolio VaR WARMING 12/60 WARMING" in summary(make_statistics(), report)


def test_every_book_is_in_the_summary() -> None:
    report = make_report(books=("equity", "crypto\x1b[2J"))
    last = summary(make_statistics(), report).splitlines()[-2:]
    assert [line.split(" ")[0] for line in last] == ["equity", "crypto[2J"]


def test_books_that_touch_every_scenario_now_are_named_and_no_others() -> None:
    books = tuple(BookWork(name, 0, 0, 12, now, 0.0) for name, now in [("a", True), ("b", False)])
    statistics = attrs.evolve(make_statistics(), books=books)
    told = "books that touch every scenario (exact, but slower): a"
    assert told in summary(statistics, make_report()).splitlines()
    calm = attrs.evolve(make_statistics(), books=books[1:])
    assert "every scenario" not in summary(calm, make_report())


def test_ticks_of_a_history_are_told_apart_from_those_of_the_run() -> None:
    statistics = make_statistics(FeedStatistics("simulated", history=1000))
    assert "(778.4 ticks/s after 1,000 of history): 9,000 applied" in summary(statistics, None)
