"""The HTML report: one file, no script, nothing fetched, light or dark as the reader has it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from rtre.backtest.charts import (
    colour,
    count_chart,
    forecast_chart,
    forecast_range,
    severity_chart,
)
from rtre.backtest.judge import LEVEL, YEAR, Tournament, Verdict
from rtre.backtest.page import page
from rtre.backtest.run import Backtest, LineResult
from rtre.backtest.traffic_light import TrafficLight
from rtre.backtest.words import TESTS, arrow, bet_words, figure, p_value, rows_of, wealth

_SUMMARY = (
    "line", "level", "model", "rows", "exceedances", "ratio", "zone", f"last {YEAR}", "multiplier",
    "Kupiec", "cond. cov.", "ES Z2", "max e", "FZ0",
)  # fmt: skip


def render_html(result: Backtest) -> str:
    """Return the whole report as the text of one HTML file."""
    parts = [_head(result), _summary(result)]
    for line in result.books:
        parts.append(f"<h2>{escape(line.name)}</h2>")
        for c, confidence in enumerate(result.settings.confidences):
            parts.append(_section(line, c, confidence))
    parts.append(_foot(result))
    return page("Backtest of VaR and ES", "".join(parts))


def _head(result: Backtest) -> str:
    panel, settings = result.panel, result.settings
    levels = ", ".join(f"{c:g}" for c in settings.confidences)
    facts = {
        "Prices": panel.source or "given in memory",
        "Rows": f"{len(panel):,}, {panel.dates[0]} to {panel.dates[-1]}",
        "Symbols": f"{len(panel.symbols)}"
        + (f", {panel.missing:,} empty cells" if panel.missing else ", no empty cell"),
        "Positions": result.described,
        "Window": f"{settings.window} returns, at least {settings.min_obs} of them observed",
        "Confidence": levels,
        "Models": ", ".join(settings.models),
        "Refit": f"every {settings.refit_every} rows, where a model fits",
    }
    items = "".join(f"<div><dt>{k}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    return (
        "<h1>Backtest of VaR and Expected Shortfall</h1>"
        '<p class="lead">Each row is forecast from the rows before it alone, by the windows and '
        "models that live risk runs on. Losses are positive; an exceedance is a row whose loss "
        f"beat the VaR forecast for it.</p><dl>{items}</dl>"
    )


def _pill(light: TrafficLight | None) -> str:
    if light is None:
        return "–"
    return f'<span class="pill {light.zone}">{light.zone}</span>'


def _table(head: Iterable[str], rows: Iterable[str], caption: str, kind: str) -> str:
    cells = "".join(f'<th scope="col">{h}</th>' for h in head)
    return (
        f'<div class="scroll"><table class="{kind}"><caption><span>{caption}</span></caption>'
        f"<thead><tr>{cells}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _p_cell(verdict: Verdict, name: str) -> str:
    test = verdict.test(name)
    if test is None:
        return "<td>–</td>"
    kind = ' class="no"' if test.rejects(LEVEL) else ""
    return f"<td{kind}>{escape(p_value(test.p_value))}</td>"


def _summary(result: Backtest) -> str:
    rows = [
        _summary_row(line, verdict, m)
        for line in result.lines
        for confidence in result.settings.confidences
        for m, verdict in enumerate(line.at(confidence))
    ]
    caption = (
        f"p-values; red below {LEVEL:g}. Of many tests some reject a right model by chance. "
        f"Traffic lights over all rows and over the last {YEAR}; the multiplier is that of all."
    )
    return "<h2>Summary</h2>" + _table(_SUMMARY, rows, caption, "text3")


def _summary_row(line: LineResult, v: Verdict, m: int) -> str:
    kind = ' class="part"' if m == 0 else ""
    first = (escape(line.name), f"{v.confidence:g}") if m == 0 else ("", "")
    top = bet_words(v, "var")[0]
    return (
        f'<tr{kind}><td>{first[0]}</td><td class="text">{first[1]}</td>'
        f'<td class="text">{_key(m)}{escape(v.model)}</td><td>{v.n:,}</td>'
        f"<td>{v.x} / {v.expected:.1f}</td>"
        f"<td>{figure(v.x / v.expected if v.n else None, 2)}</td>"
        f"<td>{_pill(v.light)}</td><td>{_pill(v.year)}</td>"
        f"<td>{figure(v.light.multiplier if v.light else None, 2)}</td>"
        f"{_p_cell(v, 'kupiec-pof')}{_p_cell(v, 'conditional-coverage')}"
        f"{_p_cell(v, 'acerbi-szekely-z2')}"
        f"<td>{'–' if top is None else wealth(top)}</td><td>{figure(v.fz0, 3)}</td></tr>"
    )


def _key(m: int) -> str:
    return f'<span class="key {colour(m)}"></span>'


_LEGEND = (
    '<div class="legend"><span><svg viewBox="0 0 26 10"><path class="pnl" d="M4 2V8M9 0V9M14 4V10'
    'M19 1V6"/></svg>P&amp;L, % of gross exposure</span>'
    '<span><svg viewBox="0 0 26 10"><path class="var {0}" d="M0 5H26"/></svg>VaR</span>'
    '<span><svg viewBox="0 0 26 10"><path class="es {0}" d="M0 5H26"/></svg>ES</span>'
    '<span><svg viewBox="0 0 26 10"><circle class="hit" cx="13" cy="5" r="3.5"/></svg>'
    "exceedance</span></div>"
)


def _section(line: LineResult, c: int, confidence: float) -> str:
    verdicts, forecasts = line.at(confidence), line.forecasts
    parts = [f"<h3>{escape(line.name)} at {confidence:g}</h3>", _tests(line, verdicts)]
    parts.append(_ranking(line.tournaments[c]))
    y = forecast_range(forecasts, c)
    parts.append(
        '<div class="pair"><figure><figcaption>Exceedances added up. Grey: what 95 of 100 right '
        "models have by then; dashed: the expectation.</figcaption>"
        f"{count_chart(forecasts, verdicts, confidence)}</figure>"
        "<figure><figcaption>Severity: loss over VaR of each exceedance. Solid: its mean; red "
        "dashed: the mean that ES had promised (ES over VaR).</figcaption>"
        f"{severity_chart(forecasts, verdicts, c)}</figure></div>"
    )
    for m, verdict in enumerate(verdicts):
        parts.append(
            f"<h4>{_key(m)}{escape(verdict.model)}: {verdict.x} exceedances in {verdict.n:,} rows, "
            f"{verdict.expected:.1f} expected {_pill(verdict.light)}</h4>"
        )
        notes = [*verdict.notes, *([rows_of(verdict)] if verdict.skipped else [])]
        parts.extend(f'<p class="soft">{escape(note)}</p>' for note in notes)
        if verdict.n:
            parts.append(_LEGEND.format(colour(m)))
            parts.append(f"<figure>{forecast_chart(forecasts, verdict, m, c, y)}</figure>")
    return "".join(parts)


def _tests(line: LineResult, verdicts: tuple[Verdict, ...]) -> str:
    """One row a test, one column a model."""
    rows = [
        _row("Exceedances / expected", "", [f"{v.x} / {v.expected:.1f}" for v in verdicts]),
        _row(
            "Traffic light", "zone, and the multiplier of capital that follows",
            [f"{_pill(v.light)} {figure(v.light.multiplier if v.light else None, 2)}"
             for v in verdicts],
        ),
        _row(
            f"Traffic light, last {YEAR} rows", "what a regulator looks at",
            [f"{_pill(v.year)} {_of_year(v.year)}" for v in verdicts],
        ),
    ]  # fmt: skip
    for name, (title, asks) in TESTS.items():
        cells = [_test_cell(v, name) for v in verdicts]
        rows.append(_row_of_cells(title, asks, cells))
    for what, title in (("var", "Bet against VaR"), ("es", "Bet against VaR and ES")):
        cells = [_bet_cell(line, v, what) for v in verdicts]
        asks = f"highest wealth of an e-process; {1 / LEVEL:g} rejects, whenever one looks"
        rows.append(_row_of_cells(title, asks, cells))
    rows.append(
        _row("Mean pinball score", "of VaR, in currency", [figure(v.pinball) for v in verdicts])
    )
    rows.append(_row("Mean FZ0 score", "of VaR and ES together", [figure(v.fz0) for v in verdicts]))
    head = ["p-value of", *(f"{_key(m)}{escape(v.model)}" for m, v in enumerate(verdicts))]
    return _table(head, rows, f"All tests; red: rejected at {LEVEL:g}.", "tests")


def _test_cell(verdict: Verdict, name: str) -> str:
    test = verdict.test(name)
    if test is None:
        return "<td>–</td>"
    why = arrow(test)
    kind = ' class="no"' if why else ""
    about = escape(f"statistic {test.statistic:.4g}, {test.law}. {test.note}".strip(), quote=True)
    words = f"<small>{why}</small> " if why else ""
    return f'<td{kind} title="{about}">{words}{escape(p_value(test.p_value))}</td>'


def _bet_cell(line: LineResult, verdict: Verdict, what: str) -> str:
    top, at = bet_words(verdict, what)
    if top is None:
        return "<td>–</td>"
    if at is None:
        return f"<td>{wealth(top)}</td>"
    date = line.forecasts.dates[verdict.used][at - 1]
    return f'<td class="no"><small>rejected {date}</small> {wealth(top)}</td>'


def _of_year(light: TrafficLight | None) -> str:
    return "" if light is None else f"{light.x} of {light.n}"


def _row(title: str, asks: str, cells: Iterable[str]) -> str:
    return _row_of_cells(title, asks, [f"<td>{cell}</td>" for cell in cells])


def _row_of_cells(title: str, asks: str, cells: Iterable[str]) -> str:
    hint = f"<small>{escape(asks)}</small>" if asks else ""
    return f'<tr><th scope="row">{escape(title)}{hint}</th>{"".join(cells)}</tr>'


def _ranking(tournament: Tournament) -> str:
    if len(tournament.entries) < 2 and not tournament.left_out:
        return ""
    rows = []
    for place, entry in enumerate(tournament.entries, start=1):
        gap = entry.against_best
        cells = "<td>–</td><td>–</td><td>–</td>"
        if gap is not None:
            sure = ' class="no"' if gap.p_value < LEVEL else ""
            cells = (
                f"<td>{gap.difference:+.4f}</td><td>{gap.low:+.4f} to {gap.high:+.4f}</td>"
                f"<td{sure}>{escape(p_value(gap.p_value))}</td>"
            )
        rows.append(
            f'<tr><td>{place}</td><td class="text">{escape(entry.model)}</td>'
            f"<td>{entry.mean:.4f}</td>{cells}</tr>"
        )
    for model, why in tournament.left_out.items():
        rows.append(
            f'<tr><td>–</td><td class="text">{escape(model)}</td>'
            f'<td colspan="4" class="text">{escape(why)}</td></tr>'
        )
    head = ("", "model", "mean FZ0", "behind the best", "95 % interval", "Diebold-Mariano p")
    caption = (
        f"Tournament over the {tournament.n:,} rows that all of them forecast; lower is better, "
        "red: worse than the best beyond chance."
    )
    return _table(head, rows, caption, "text2")


def _foot(result: Backtest) -> str:
    extra = ""
    if len(result.lines) > len(result.books):
        extra = " Single symbols are in the summary only."
    return (
        "<footer><p>Forecasts for a row are made after the row before it is complete; positions "
        "are held fixed. A row counts where there is a forecast and every held price is known on "
        f"both sides of it.{extra}</p><p>Simulated p-values: seed {result.settings.seed}.</p>"
        "</footer>"
    )
