"""The summary on a terminal, with rich: one table a line, and the ranking of the models."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rtre.backtest.judge import LEVEL, YEAR, Tournament, Verdict
from rtre.backtest.run import Backtest, LineResult
from rtre.backtest.traffic_light import TrafficLight
from rtre.backtest.words import bet_words, figure, p_value, rows_of, wealth

#: Columns of p-values: heading and test.
_P_VALUES = {
    "Kupiec": "kupiec-pof",
    "indep.": "christoffersen-independence",
    "cond. cov.": "conditional-coverage",
    "TBF": "tbf",
    "DQ": "dynamic-quantile",
    "ES resid.": "exceedance-residuals",
    "ES Z2": "acerbi-szekely-z2",
}


#: Columns that go first where the terminal is narrow.
_EXPENDABLE = (
    "pinball", "rows", "TBF", "indep.", "mult.", "ES resid.", f"last {YEAR}", "DQ", "max e", "FZ0",
    "cond. cov.", "expected",
)  # fmt: skip


def print_summary(result: Backtest, console: Console) -> None:
    """Print what was run, a table a line, and what to know when reading it."""
    for part in _summary(result, console.width):
        console.print(part)


def _summary(result: Backtest, width: int) -> Iterator[RenderableType]:
    panel, settings = result.panel, result.settings
    yield Text(
        f"{len(panel):,} rows of {len(panel.symbols)} symbols, {panel.dates[0]} to "
        f"{panel.dates[-1]}; window {settings.window}; holding {result.described}"
    )
    for line in result.lines:
        yield _table(line, result, width)
        for verdict in line.verdicts:
            told = [*verdict.notes, *([rows_of(verdict)] if verdict.skipped else [])]
            for note in told:
                yield Text(f"  {verdict.model} {verdict.confidence:g}: {note}", style="dim")
        for tournament in line.tournaments:
            if len(tournament.entries) > 1:
                yield _ranking(tournament)
    yield Text(
        f"p-values; below {LEVEL:g} the forecast is rejected (of many tests, some by chance). "
        f"Zones over all rows and over the last {YEAR}. max e: highest wealth of a bet against "
        f"VaR, {1 / LEVEL:g} rejects.",
        style="dim",
    )


def _table(line: LineResult, result: Backtest, width: int) -> Table:
    rows = [
        {"level": Text(f"{confidence:g}" if m == 0 else "")} | dict(_cells(verdict))
        for confidence in result.settings.confidences
        for m, verdict in enumerate(line.at(confidence))
    ]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in rows[0]}
    for name in _EXPENDABLE:
        if sum(widths.values()) + 2 * len(widths) > width:
            del widths[name]
    table = Table(title=escape(line.name), title_justify="left", title_style="bold", box=None)
    for name in widths:
        left = name in ("level", "model", "zone", f"last {YEAR}")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[name] for name in widths))
    return table


def _cells(v: Verdict) -> Iterator[tuple[str, Text]]:
    yield "model", Text(v.model)
    yield "rows", Text(f"{v.n:,}")
    yield "exceed.", Text(str(v.x))
    yield "expected", Text(f"{v.expected:.1f}")
    yield "zone", _zone(v.light)
    yield f"last {YEAR}", _zone(v.year)
    yield "mult.", Text(figure(v.light.multiplier if v.light else None, 2))
    for heading, name in _P_VALUES.items():
        test = v.test(name)
        rejected = test is not None and test.rejects(LEVEL)
        text = "–" if test is None else p_value(test.p_value)
        yield heading, Text(text, style="bold red" if rejected else "")
    top = bet_words(v, "var")[0]
    yield "max e", Text("–" if top is None else wealth(top))
    yield "FZ0", Text(figure(v.fz0, 4))
    yield "pinball", Text("–" if v.pinball is None else f"{v.pinball:.5g}")


def _zone(light: TrafficLight | None) -> Text:
    return Text("–") if light is None else Text(light.zone, style=light.zone)


def _ranking(tournament: Tournament) -> Text:
    best, *others = tournament.entries
    text = Text(f"  FZ0 at {tournament.confidence:g}: {best.model} is best")
    for entry in others:
        gap = entry.against_best
        if gap is None:
            continue
        sure = "" if gap.p_value < LEVEL else ", perhaps by chance"
        text.append(
            f"; {entry.model} +{gap.difference:.4f} ({gap.low:+.4f} to {gap.high:+.4f}{sure})"
        )
    return text
