from __future__ import annotations

import io
import re
import threading
from itertools import pairwise

import attrs
import pytest
import trio
import trio.testing
from rich.console import Console
from sink_support import NAN, make_report, make_statistics

from rtre.feeds.base import FeedStatistics
from rtre.market import Quality
from rtre.pipeline.fanout import Fanout
from rtre.pipeline.pipeline import PipelineStatistics
from rtre.report import RiskReport
from rtre.sinks import table
from rtre.sinks.columns import columns, fit
from rtre.sinks.table import render


def draw(
    report: RiskReport,
    width: int = 160,
    height: int = 40,
    statistics: PipelineStatistics | None = None,
    *,
    styles: bool = False,
) -> str:
    console = Console(width=width, file=io.StringIO(), record=True, force_terminal=True)
    console.print(render(report, statistics or make_statistics(), width, height))
    return console.export_text(styles=styles)


def row(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{name} "))


def cells(line: str) -> list[str]:
    return re.split(r" {2,}", line.strip())


def test_a_row_has_every_figure_in_its_column() -> None:
    text = draw(make_report())
    assert cells(row(text, "symbol")) == [
        "symbol", "price", "return", "exposure", "VaR 95%", "95% interval", "ES 95%", "± se",
        "VaR 99%", "95% interval", "ES 99%", "± se", "obs", "quality", "age",
    ]  # fmt: skip
    assert cells(row(text, "AAPL")) == [
        "AAPL", "189.32", "+0.010%", "1,000", "10.00", "9.00–12.00", "12.50", "± 1.00",
        "20.00", "18.00–24.00", "25.00", "± 2.00", "500", "LIVE", "0.4s",
    ]  # fmt: skip


def test_the_portfolio_comes_last_and_bold() -> None:
    lines = draw(make_report()).splitlines()
    rules = [i for i, line in enumerate(lines) if line.startswith("──")]
    assert lines[rules[1] + 1].startswith("portfolio")
    assert "\x1b[1mportfolio" in draw(make_report(), styles=True)
    assert "\x1b[1mAAPL" not in draw(make_report(), styles=True)


def test_without_books_there_is_no_second_rule() -> None:
    assert sum(line.startswith("──") for line in draw(make_report(books=())).splitlines()) == 1


def test_model_horizon_and_time_head_the_picture() -> None:
    assert draw(make_report()).splitlines()[0] == (
        "historical · 1d of 6h30m from 1s grid, sqrt-time · 2026-03-02 14:30:00.123 UTC"
    )


def test_the_exposure_that_is_not_live_is_said() -> None:
    report = make_report(qualities=[int(Quality.STALE), 0, 0], exposures=[1.0, 3.0, 4.0])
    assert "25% of exposure not LIVE" in draw(report)


def test_the_foot_counts_ticks_by_outcome_reports_and_latencies() -> None:
    text = draw(make_report())
    assert (
        "778.4 ticks/s · 9,734 ticks · 9,000 applied · 700 conflated · 20 rejected · 6 late · "
        "3 quarantined · 1 duplicate · 4 waiting" in text
    )
    assert (
        "8,200 reports · 8,150 conflated · tick to report p50 96 µs, p99 312 µs, max 1.8 ms" in text
    )
    assert "simulated connected" in text


def test_the_recent_rate_takes_the_place_of_the_mean() -> None:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(render(make_report(), make_statistics(), 120, 30, ticks_per_s=12.25))
    assert "12.2 ticks/s" in (text := console.export_text())
    assert "778.4" not in text


def test_gains_are_green_and_losses_red() -> None:
    styled = draw(make_report(changes=[0.01, -0.02]), styles=True)
    assert re.search(r"\x1b\[32m *\+1.000%", styled)
    assert re.search(r"\x1b\[31m *-2.000%", styled)
    # a change that shows as zero has no sign and no colour
    assert re.search(r" {2}0.000%", draw(make_report(changes=[-1e-9, 1e-9])))


def test_a_masked_return_and_an_unknown_price_are_dashes() -> None:
    line = row(draw(make_report(prices=[NAN, 1.0], changes=[NAN, 0.0])), "AAPL")
    assert cells(line)[1:3] == ["–", "–"]


def test_a_warming_line_shows_its_progress_and_no_numbers() -> None:
    line = row(draw(make_report(n_obs=[12, 500, 500])), "AAPL")
    assert "WARMING 12/60" in line
    assert "nan" not in line.lower()
    assert cells(line)[4:] == ["–", "–", "WARMING 12/60", "–", "12", "WARMING", "0.4s"]


def test_progress_stays_on_a_narrow_terminal() -> None:
    assert "WARMING 12/60" in row(draw(make_report(n_obs=[12, 500, 500]), 40), "AAPL")


def test_an_interval_without_upper_bound_says_so() -> None:
    line = row(draw(make_report(high=NAN)), "AAPL")
    assert "≥ 9.00" in line
    assert "–" not in line
    assert "≤ 12.00" in re.sub(" +", " ", row(draw(make_report(low=NAN)), "AAPL"))


def test_a_model_without_intervals_has_no_such_columns_and_no_note() -> None:
    text = draw(make_report(low=NAN, high=NAN, se=NAN), 100)
    assert "interval" not in text
    assert "±" not in text


def test_decimal_points_stand_below_each_other() -> None:
    report = make_report(
        list("ABC"), scale=[0.0456, 12.5, 999.0, 12345.0], prices=[0.5, 94460.78, 7]
    )
    lines = draw(report).splitlines()
    head = next(line for line in lines if line.startswith("symbol"))
    end = head.index("VaR 95%") + len("VaR 95%")
    start = head.index("exposure") + len("exposure")
    shown = [next(line for line in lines if line.startswith(n))[start:end] for n in "ABC"]
    assert len({text.index(".") for text in shown}) == 1
    assert [text.strip() for text in shown] == ["0.0456", "12.50", "999.00"]


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (Quality.LIVE, "LIVE"),
        (Quality.STALE, "STALE"),
        (Quality.STALE | Quality.GAP | Quality.DISCONNECTED, "DISCONNECTED +2"),
    ],
)
def test_quality_names_the_worst_flag_and_counts_the_others(flags: Quality, shown: str) -> None:
    assert cells(row(draw(make_report(qualities=[int(flags), 0, 0])), "AAPL"))[-2] == shown


def test_a_line_without_estimate_has_its_reason_below() -> None:
    text = draw(make_report(problems={1: "no tail to fit"}))
    assert "no estimate" in row(text, "MSFT")
    assert "\nMSFT: no tail to fit" in text


def test_many_problems_are_counted() -> None:
    symbols = [f"S{i}" for i in range(9)]
    text = draw(make_report(symbols, problems=dict.fromkeys(range(9), "no fit")))
    assert text.count(": no fit") == 2
    assert "… and 7 more without estimate" in text


def test_intervals_go_first_on_a_narrow_terminal_and_it_is_said() -> None:
    kept = {w: cells(row(draw(make_report(), w), "symbol")) for w in (160, 120, 80, 60, 40)}
    assert "95% interval" in kept[160]
    assert "95% interval" not in kept[80]
    assert {"price", "VaR 95%", "ES 95%", "VaR 99%", "ES 99%", "quality"} <= set(kept[80])
    assert {"symbol", "VaR 99%", "ES 99%"} <= set(kept[40])
    assert "VaR 95%" not in kept[40]
    assert "wider shows more: interval of VaR 95% · " in draw(make_report(), 80)
    assert "wider" not in draw(make_report(), 160)


def test_what_is_kept_and_what_is_left_out_are_all_columns() -> None:
    report = make_report(confidences=(0.9, 0.99, 0.95))
    found = columns(list(report), report.confidences)
    for width in range(10, 200, 7):
        kept, left_out = fit(found, width)
        assert len(kept) + len(left_out) == len(found)
    assert fit(found, 1000) == (found, [])
    order = fit(found, 10)[1]
    assert order.index("VaR 90%") < order.index("VaR 95%") < order.index("price")
    assert "VaR 99%" not in order


@pytest.mark.parametrize("width", [12, 40, 80, 100, 130, 200])
@pytest.mark.parametrize("height", [5, 12, 24, 50])
@pytest.mark.parametrize("n", [1, 3, 40, 300])
def test_the_picture_never_exceeds_the_terminal(width: int, height: int, n: int) -> None:
    report = make_report(
        [f"SYMBOL{i}" for i in range(n)],
        [f"book {i}" for i in range(min(n, 30))],
        problems={0: "x" * 150},
        n_obs=[500] * n + [3] * min(n, 30),
    )
    feed = FeedStatistics("binance", notice="y" * 500)
    lines = draw(report, width, height, make_statistics(feed)).splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_of_too_many_symbols_the_largest_are_shown_and_the_others_counted() -> None:
    symbols = [f"S{i}" for i in range(300)]
    text = draw(make_report(symbols), 130, 24)
    shown = re.findall(r"^S(\d+) ", text, re.MULTILINE)
    assert shown == [str(299 - i) for i in range(len(shown))]
    assert 5 < len(shown) < 20
    assert f"… and {300 - len(shown)} more" in text
    assert "portfolio" in text


def test_symbols_that_fit_keep_their_order() -> None:
    text = draw(make_report(["LOW", "HIGH"], scale=[1, 9, 10]))
    assert text.index("LOW") < text.index("HIGH")


def test_foreign_text_cannot_change_the_terminal() -> None:
    feed = FeedStatistics("bi[red]nance", notice="[bold]no\x1b[31m\n\x1b]0;title\x07 route[/bold]")
    text = draw(make_report(books=("book[red]\x1b[2J",)), statistics=make_statistics(feed))
    assert "bi[red]nance not connected · [bold]no[31m ]0;title route[/bold]" in text
    assert "book[red][2J" in text
    console = Console(width=160, file=io.StringIO(), force_terminal=True)
    console.print(render(make_report(), make_statistics(feed), 160, 40))
    assert isinstance(console.file, io.StringIO)
    escapes = set(re.findall(r"\x1b(.)", console.file.getvalue()))
    assert escapes == {"["}  # nothing but rich's own colours
    assert "\x1b[2J" not in console.file.getvalue()


class Terminal(io.StringIO):
    """Tells a waiting test what a worker thread has written."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.grown = threading.Condition()

    def write(self, text: str) -> int:
        with self.grown:
            self.grown.notify_all()
            return super().write(text)

    def isatty(self) -> bool:
        return True


def terminal_console(width: int = 120, height: int = 30) -> Console:
    environment = {"TERM": "xterm-256color"}
    return Console(
        file=Terminal(), width=width, height=height, force_terminal=True, _environ=environment
    )


async def wait_until_written(console: Console, text: str) -> None:
    terminal = getattr(console.file, "_terminal", console.file)

    def wait() -> bool:
        with terminal.grown:
            return terminal.grown.wait_for(lambda: text in terminal.getvalue(), timeout=10.0)

    assert await trio.to_thread.run_sync(wait)


def written(console: Console) -> str:
    assert isinstance(console.file, Terminal)
    return console.file.getvalue()


async def test_the_table_draws_and_leaves_the_last_picture() -> None:
    fanout, console = Fanout(), terminal_console()
    reports = fanout.subscribe()
    async with trio.open_nursery() as nursery:

        async def consume() -> None:
            await table.run(reports, make_statistics, refresh_s=0.02, console=console)

        nursery.start_soon(consume)
        for i in (1, 2, 3):
            await fanout.publish(make_report(prices=[100.0 + i, 1.0]))
            await wait_until_written(console, f"{100 + i}.00")
        fanout.close()
    text = written(console)
    assert text.index("101.00") < text.index("102.00") < text.index("103.00")
    last = text.rindex("\x1b[?25h")
    assert last > text.rindex("\x1b[?25l")  # the cursor is back
    assert text.rindex("103.00") < last


async def test_a_cancelled_table_gives_the_cursor_and_the_console_back() -> None:
    fanout, console = Fanout(), terminal_console()
    terminal = console.file
    reports = fanout.subscribe()
    async with trio.open_nursery() as nursery:

        async def consume() -> None:
            await table.run(reports, make_statistics, console=console)

        nursery.start_soon(consume)
        await fanout.publish(make_report())
        await wait_until_written(console, "AAPL")
        nursery.cancel_scope.cancel()
    assert console.file is terminal
    assert written(console).endswith("\x1b[?25h")
    with pytest.raises(trio.ClosedResourceError):
        await reports.receive()


async def test_off_a_terminal_only_the_last_picture_is_written() -> None:
    fanout, stream = Fanout(), io.StringIO()
    reports = fanout.subscribe()
    async with trio.open_nursery() as nursery:

        async def consume() -> None:
            await table.run(reports, make_statistics, stream=stream, refresh_s=0.02)

        nursery.start_soon(consume)
        for i in (1, 2, 3):
            await fanout.publish(make_report(prices=[100.0 + i, 1.0]))
            await trio.sleep(0.05)
        fanout.close()
    text = stream.getvalue()
    assert "\x1b" not in text
    assert text.count("AAPL") == 1
    assert "103.00" in text


def test_the_rate_is_that_of_the_last_seconds() -> None:
    rate = table._Rate()
    assert rate(10.0, 1000) is None
    assert rate(11.0, 1100) == 100.0
    for second in range(12, 20):
        shown = rate(float(second), 1100 + 50 * (second - 11))
    assert shown == 50.0


async def test_drawing_takes_a_tenth_of_the_time_at_most(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fanout, console, clock = Fanout(), terminal_console(), trio.lowlevel.current_clock()
    drawn: list[float] = []

    def slow(*args: object, **kwargs: object) -> str:
        assert isinstance(clock, trio.testing.MockClock)
        drawn.append(trio.current_time())
        clock.jump(0.2)
        return "picture"

    async def write(writer: object, text: object) -> bool:
        await trio.lowlevel.checkpoint()  # a thread would take no time of a mock clock, or any
        return True

    monkeypatch.setattr(table, "render", slow)
    monkeypatch.setattr(table.StreamWriter, "write", write)
    with trio.move_on_after(20.0):
        async with trio.open_nursery() as nursery:

            async def consume() -> None:
                await table.run(
                    fanout.subscribe(), make_statistics, refresh_s=0.02, console=console
                )

            nursery.start_soon(consume)
            while True:
                await fanout.publish(make_report())
                await trio.sleep(0.05)
    pauses = [b - a for a, b in pairwise(drawn)]
    assert len(pauses) > 5
    assert min(pauses) >= 2.0 - 1e-9


def test_latencies_are_left_out_where_there_are_none() -> None:
    statistics = attrs.evolve(make_statistics(), latency_us={})
    assert "tick to report" not in draw(make_report(), statistics=statistics)
