"""A live table on a terminal: the newest risk of every symbol and book, and how the run is doing.

`render` turns a report into lines of text and does nothing else. It leaves columns out where the
terminal is narrow and symbols where it is low, and says so in both cases.

`run` draws. Rich writes to its console at once, and a terminal may take its time (Ctrl-S stops it
for as long as one likes), so rich's output is collected and written by a worker thread. Rendering
holds the loop up, by 3 ms for 5 symbols and 10 ms for 40; whatever refresh is asked for, it gets a
tenth of the time at most.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

import trio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Span, Text

from rtre.sinks.base import Paced, heaviest
from rtre.sinks.columns import GAP, Cell, Column, columns, fit
from rtre.sinks.lines import StreamWriter
from rtre.sinks.standings import competes, shown, standing_columns, state, title
from rtre.sinks.summary import outcomes
from rtre.sinks.text import clean, latency, utc

if TYPE_CHECKING:
    from rtre.figures import LineReport
    from rtre.pipeline.fanout import Subscription
    from rtre.pipeline.pipeline import PipelineStatistics
from rtre.report import RiskReport

_DUTY = 10  # a render that took t is followed by 9 t without one
_RATE_S = 3.0
_CLOSE_S = 1.0
_PROBLEMS = 2
_ROOMY = 16  #: lines from which one may be blank


def render(
    report: RiskReport,
    statistics: PipelineStatistics,
    width: int,
    height: int,
    *,
    ticks_per_s: float | None = None,
) -> RenderableType:
    """Draw `report` in at most `height` lines of `width` cells.

    Parameters
    ----------
    ticks_per_s : float, optional
        Recent rate; None: the mean since the start.
    """
    rate = statistics.ticks_per_s if ticks_per_s is None else ticks_per_s
    head = _flow(_header(report), width)
    foot = [line for parts in _footer(statistics, rate) for line in _flow(parts, width)]
    foot = _cut(foot, max(1, height // 3))
    if height >= _ROOMY:
        foot.insert(0, Text())
        foot = [*_backtest(report, width, height // 3), *foot]
    notes: list[Text] = []
    while True:
        # Notes follow from the lines that are shown, and take room from them.
        room = height - len(head) - len(foot) - len(notes) - 3  # 3: column heads and two rules
        body, found = _body(report, room, width)
        if len(found) <= len(notes):
            lines = _cut([*head, *body, *found, *foot], height)
            for line in lines:
                line.truncate(width, overflow="ellipsis")
            return Group(*lines)
        notes = found


def _body(report: RiskReport, room: int, width: int) -> tuple[list[Text], list[Text]]:
    """Draw the table with `room` rows, and notes to it."""
    n = report.n_assets
    books, more_books = _choose(report, range(n, len(report)), max(1, room // 2))
    room -= len(books) + bool(more_books)
    symbols, more_symbols = _choose(report, range(n), max(1, room))
    chosen = [report.line(i) for i in (*symbols, *books)]
    kept, left_out = fit(columns(chosen, report.confidences), width)
    header = _row(kept, [(c.pad(c.header), "") for c in kept], "bold")
    rule = Text("─" * (sum(c.width + GAP for c in kept) - GAP), style="dim")
    rows = [
        _row(kept, [c.cells[i] for c in kept], "bold" if line.is_book else "")
        for i, line in enumerate(chosen)
    ]
    body = [header, rule, *rows[: len(symbols)], *_more(more_symbols)]
    if books:
        body += [rule, *rows[len(symbols) :], *_more(more_books)]
    return body, _notes(left_out, chosen, width)


def _backtest(report: RiskReport, width: int, most: int) -> list[Text]:
    """Draw the live backtest of the heaviest line, in `most` lines at most, or leave it out."""
    track, names = report.track, shown(report)
    if track is None or not names:
        return []
    name = names[0]
    if not competes(track, name):
        return [Text(), Text(state(track, name))]
    confidence = max(report.confidences)
    found = track.at(name, confidence)
    room = max(most - 3, 1)
    more = 0
    if len(found) > room:
        more = len(found) - max(room - 1, 1)
        found = found[:-more]
    kept, _ = fit(standing_columns(found), width)
    return [
        Text(),
        Text(title(track, name, confidence), style="bold"),
        _row(kept, [(c.pad(c.header), "") for c in kept], "dim"),
        *(_row(kept, [c.cells[i] for c in kept], "") for i in range(len(found))),
        *([Text(f"… and {more} more models", style="dim")] if more else []),
    ]


def _choose(report: RiskReport, lines: range, room: int) -> tuple[list[int], int]:
    """Pick the lines to show in `room` rows, and count the others; these take a row too."""
    if len(lines) <= room:
        return list(lines), 0
    chosen = heaviest(report, lines, max(1, room - 1))
    return chosen, len(lines) - len(chosen)


def _cut(lines: list[Text], most: int) -> list[Text]:
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], Text("… higher shows more", style="dim")]


def _more(count: int) -> list[Text]:
    return [Text(f"… and {count:,} more", style="dim")] if count else []


def _row(kept: list[Column], cells: Iterable[Cell], style: str) -> Text:
    """Join the cells of a row. A `rich.table.Table` of them takes four times as long to draw."""
    texts, spans, at = [], [], 0
    for column, (text, cell_style) in zip(kept, cells, strict=True):
        padded = column.pad(text) + " " * GAP
        texts.append(padded)
        if cell_style:
            spans.append(Span(at, at + len(padded), cell_style))
        at += len(padded)
    row = Text("".join(texts), style=style, spans=spans)
    row.rstrip()
    return row


def _notes(left_out: list[str], chosen: list[LineReport], width: int) -> list[Text]:
    """Say which columns are left out, and why lines with all observations have no estimate."""
    notes: list[Text] = []
    if left_out:
        first, *others = left_out
        parts = (f"wider shows more: {first}", *others)
        notes = _flow((Text(part, style="dim") for part in parts), width)
    found = [line for line in chosen if line.problem and line.n_obs >= line.min_obs]
    for line in found[:_PROBLEMS]:
        notes += _flow([Text(f"{clean(line.name)}: {clean(line.problem)}", style="yellow")], width)
    if len(found) > _PROBLEMS:
        notes.append(Text(f"… and {len(found) - _PROBLEMS} more without estimate", style="yellow"))
    return notes


def _header(report: RiskReport) -> list[Text]:
    as_of = utc(report.as_of_ns)[:-1] + " UTC"
    beside = ", ".join(clean(m.model) for m in report.models[1:])
    parts = [
        Text(clean(report.model), style="bold"),
        *([Text(f"with {beside}")] if beside else []),
        Text(clean(report.horizon.label)),
        Text(as_of),
    ]
    if report.affected:
        parts.append(Text(f"{report.affected:.0%} of exposure not LIVE", style="yellow"))
    return parts


def _footer(statistics: PipelineStatistics, rate: float) -> Iterable[list[Text]]:
    total = statistics.counts.received + statistics.waiting
    yield [
        Text(f"{rate:,.1f} ticks/s", style="bold"),
        Text(f"{total:,} ticks"),
        *(Text(f"{n:,} {name}", style="" if n else "dim") for name, n in outcomes(statistics)),
    ]
    reports = [Text(f"{statistics.reports:,} reports")]
    reports.append(Text(f"{statistics.conflated_reports:,} conflated", style="dim"))
    if statistics.latency_us:
        times = (f"{n} {latency(statistics.latency_us[n])}" for n in ("p50", "p99", "max"))
        reports.append(Text(f"tick to report {', '.join(times)}"))
    yield reports
    for feed in statistics.feeds:
        link = "connected" if feed.connected else "not connected"
        line = [Text(f"{clean(feed.name)} {link}", style="green" if feed.connected else "red")]
        if feed.notice:
            line.append(Text(clean(feed.notice), style="dim"))
        yield line


def _flow(parts: Iterable[Text], width: int) -> list[Text]:
    """Set parts side by side, in as many lines as they need; one that is too long is cut with …."""
    lines: list[Text] = []
    for part in parts:
        if not lines or lines[-1].cell_len + 3 + part.cell_len > width:
            lines.append(Text())
        else:
            lines[-1].append(" · ", style="dim")
        lines[-1].append_text(part)
    return lines


class _Rate:
    """Ticks a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, now: float, received: int) -> float | None:
        self._seen.append((now, received))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _RATE_S:
            self._seen.popleft()
        (then, before), (now, after) = self._seen[0], self._seen[-1]
        return (after - before) / (now - then) if now > then else None


class _Collected(io.StringIO):
    """Stands in for a console's file, and keeps what is written until it is taken."""

    def __init__(self, terminal: TextIO) -> None:
        super().__init__()
        self._terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(self._terminal, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        return self._terminal.isatty()

    def fileno(self) -> int:
        return self._terminal.fileno()

    def take(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


async def run(
    reports: Subscription,
    statistics: Callable[[], PipelineStatistics],
    *,
    stream: TextIO | None = None,
    refresh_s: float = 0.5,
    console: Console | None = None,
) -> None:
    """Draw the newest report again and again in the same place; see `rtre.sinks.base.Sink`.

    The last table stays on the screen, with the cursor below it, also when cancelled. On a stream
    that is no terminal only the last table is written.

    Parameters
    ----------
    refresh_s : float
        Least time between two drawings, in seconds.
    console : Console, optional
        Instead of one on `stream`; what others print to it meanwhile appears above the table.
    """
    console = console or Console(file=stream)
    terminal = cast(TextIO, console.file)
    console.file = collected = _Collected(terminal)
    with reports, StreamWriter(terminal) as writer:
        try:
            with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
                await _draw(Paced(reports, refresh_s), statistics, live, writer, collected)
        finally:
            console.file = terminal
            # The cursor must come back; a terminal that is stopped does not hold the program up.
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _CLOSE_S):
                await writer.write(partial(str, collected.take()))


async def _draw(
    reports: Paced,
    statistics: Callable[[], PipelineStatistics],
    live: Live,
    writer: StreamWriter,
    collected: _Collected,
) -> None:
    rate = _Rate()
    with suppress(trio.EndOfChannel):
        while True:
            report = await reports.receive()
            started, now = trio.current_time(), statistics()
            width, height = live.console.size
            recent = rate(started, now.counts.received - now.history)
            picture = render(report, now, width, height - 1, ticks_per_s=recent)
            live.update(picture, refresh=True)
            reports.hold_back((_DUTY - 1) * (trio.current_time() - started))
            text = collected.take()  # here, where no one can be printing at the same time
            if not await writer.write(partial(str, text)):
                return
