from __future__ import annotations

import pytest
from sink_support import altered, make_report

from rtre.feeds.base import FeedStatistics
from rtre.market import Quality
from rtre.sinks.log import line


def test_a_line_has_time_books_and_symbols() -> None:
    assert line(make_report()) == (
        "2026-03-02 14:30:00.123Z "
        "portfolio VaR95 30.00 ES95 37.50 VaR99 60.00 ES99 75.00 LIVE | "
        "AAPL 189.32 VaR99 20.00 ES99 25.00 | "
        "MSFT 190.32 VaR99 40.00 ES99 50.00"
    )


def test_losses_are_positive_and_a_sure_gain_is_not() -> None:
    text = line(make_report(("AAPL",), (), scale=[-5.0]))
    assert "VaR99 -10.00 ES99 -12.50" in text


def test_of_many_symbols_those_with_the_largest_var_are_shown() -> None:
    symbols = [f"S{i}" for i in range(50)]
    scale = [*range(1, 51), 100]
    scale[7] = 999
    text = line(make_report(symbols, scale=scale))
    shown = [part.split(" ")[0] for part in text.split(" | ")[1:]]
    assert shown == ["S7", "S49", "S48", "S47", "+46"]
    assert text.endswith("+46 more")


def test_four_symbols_keep_their_own_order() -> None:
    text = line(make_report("DBCA", scale=[1, 4, 2, 3, 9]))
    assert [part[0] for part in text.split(" | ")[1:]] == ["D", "B", "C", "A"]
    assert "more" not in text


def test_warming_lines_come_last_and_say_how_far_they_are() -> None:
    symbols = [f"S{i}" for i in range(5)]
    text = line(make_report(symbols, n_obs=[12, 500, 500, 500, 500, 500]))
    assert "S0" not in text
    text = line(make_report(n_obs=12))
    assert "portfolio VaR WARMING 12/60 WARMING | AAPL 189.32 VaR WARMING 12/60" in text


def test_a_model_that_cannot_answer_says_why() -> None:
    text = line(make_report(problems={0: "the tail has no mean\x1b[2J"}))
    assert "AAPL 189.32 VaR unknown: the tail has no mean[2J |" in text


def test_the_quality_of_a_book_is_shown() -> None:
    stale = int(Quality.STALE | Quality.DISCONNECTED)
    assert "DISCONNECTED|STALE" in line(make_report(qualities=[0, 0, stale]))


def test_more_books_than_fit_are_counted() -> None:
    text = line(make_report(books=[f"book{i}" for i in range(7)]))
    assert "+4 more books" in text
    assert text.count("book") == 4


def test_an_es_without_bound_is_infinite() -> None:
    assert "ES99 ∞" in line(altered(make_report(), {(0, 1, 1): float("inf")}))


@pytest.mark.parametrize(("connected", "shown"), [(False, True), (True, False)])
def test_a_feed_without_connection_is_named(connected: bool, shown: bool) -> None:
    feed = FeedStatistics("binance", connected=connected, notice="refused\n[red]\x1b[31m twice")
    text = line(make_report(), [feed])
    assert text.endswith(" | binance down: refused [red][31m twice") is shown
    assert "\n" not in text


def test_other_confidences_keep_their_decimals() -> None:
    assert "VaR97.5 " in line(make_report(confidences=(0.975,)))
