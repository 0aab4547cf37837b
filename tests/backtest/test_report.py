from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import attrs
import numpy as np
import pytest
from panels import make_panel
from rich.console import Console

from rtre.backtest.judge import LEVEL
from rtre.backtest.report_html import render_html
from rtre.backtest.report_text import print_summary
from rtre.backtest.result import BacktestResult, Direction
from rtre.backtest.run import Backtest, run_backtest
from rtre.backtest.svg import Plot, date_ticks, steps
from rtre.backtest.words import TESTS, arrow, p_value
from rtre.models.ewma import Ewma
from rtre.models.historical import Historical

MODELS = ("historical", "ewma", "volatility-weighted")


@pytest.fixture(scope="module")
def result() -> Backtest:
    return run_backtest(make_panel(420, holes=4), None, MODELS, (0.99, 0.95), window=120)


def tree_of(page: str) -> ElementTree.Element:
    """Parse the page as XML, which is stricter than HTML about tags and escapes."""
    return ElementTree.fromstring(page.replace("<!DOCTYPE html>\n", "").replace("&middot;", ""))


def test_the_page_is_well_formed_and_fetches_nothing(result: Backtest) -> None:
    page = render_html(result)
    root = tree_of(page)
    assert root.tag == "html"
    for element in root.iter():
        assert element.tag not in ("script", "link", "img", "iframe", "object", "image", "use")
        assert not {k for k in element.attrib if k in ("src", "href") or k.startswith("on")}
    assert not re.search(r"https?:|//[a-z]|url\(|@import", page)
    assert "prefers-color-scheme:dark" in page
    assert "nan" not in page.lower().replace("financ", "")


def test_the_page_holds_every_model_test_and_exceedance(result: Backtest) -> None:
    page = render_html(result)
    root = tree_of(page)
    text = " ".join(root.itertext())
    for words in (*MODELS, "Kupiec POF", "Dynamic quantile", "Acerbi-Szekely Z2", "Bet against"):
        assert words in text
    dots = [e for e in root.iter("circle") if e.get("class") == "hit" and len(e)]
    assert len(dots) == sum(v.x for v in result.lines[0].verdicts)
    # per confidence: counts, severity, and one chart a model
    assert len([e for e in root.iter("svg") if e.get("class") == "plot"]) == 2 * (2 + len(MODELS))
    pills = [e.text for e in root.iter("span") if (e.get("class") or "").startswith("pill")]
    assert set(pills) <= {"green", "yellow", "red"}
    assert pills


def test_hostile_names_are_text_and_nothing_else() -> None:
    bad = '<script>alert("x")</script>&\'"'
    panel = attrs.evolve(make_panel(240), source=bad)
    books = {bad: dict.fromkeys(panel.symbols, 1.0)}
    found = run_backtest(panel, books, {bad: Historical(), "ok": Ewma()}, window=100, described=bad)
    page = render_html(found)
    root = tree_of(page)
    assert not list(root.iter("script"))
    assert "<script" not in page
    assert bad in "".join(root.itertext())
    out = io.StringIO()
    books = {"[red]b[/red]": dict.fromkeys(panel.symbols, 1.0)}
    print_summary(
        run_backtest(panel, books, {"[bold]m": Historical()}, window=100),
        Console(file=out, width=200),
    )
    assert "[red]b[/red]" in out.getvalue()
    assert "[bold]m" in out.getvalue()


def test_a_backtest_without_a_single_forecast_still_has_a_page() -> None:
    panel = make_panel(140)
    panel.prices[:60, 0] = np.nan
    found = run_backtest(panel, None, ("historical", "ewma"), window=100, min_obs=80)
    text = " ".join(tree_of(render_html(found)).itertext())
    assert "nothing to test: no row was forecast" in text
    assert "39 rows: fewer than 80 observations" in text
    print_summary(found, Console(file=io.StringIO(), width=80))


def test_symbols_are_in_the_summary_and_books_have_the_charts() -> None:
    found = run_backtest(make_panel(240), None, ("historical",), window=100, per_symbol=True)
    assert [line.name for line in found.lines] == ["portfolio", "S0", "S1", "S2"]
    page = render_html(found)
    assert page.count('<svg class="plot"') == 3
    assert "<td>S2</td>" in page


@pytest.mark.parametrize("width", [80, 110, 200])
def test_the_summary_fits_the_terminal_and_keeps_what_matters(result: Backtest, width: int) -> None:
    out = io.StringIO()
    print_summary(result, Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    (head,) = (line for line in lines if line.strip().startswith("level"))
    for name in ("model", "exceed.", "zone", "Kupiec", "ES Z2"):
        assert name in head
    assert ("pinball" in head) == (width == 200)
    assert any("volatility-weighted" in line for line in lines)
    assert "…" not in out.getvalue()


def test_steps_are_round_and_within() -> None:
    assert steps(-0.13, 0.1, 5) == [-0.1, -0.05, 0.0, 0.05, 0.1]
    assert steps(0.0, 7.0, 5) == [0.0, 2.0, 4.0, 6.0]
    assert steps(1.0, 1.0, 5) == [1.0]


def test_date_ticks_are_years_or_months() -> None:
    days = np.arange("1990-01-02", "2023-01-01", dtype="datetime64[D]")
    assert [label for _, label in date_ticks(days)] == [str(y) for y in range(1995, 2021, 5)]
    assert date_ticks(days[:200])[1][1] == "1990-02"
    assert date_ticks(days[5:9]) != []


def test_long_series_are_thinned_to_the_width_and_keep_their_extremes() -> None:
    y = np.zeros(100_000)
    y[50_000] = -3.0
    plot = Plot(500, 100, (0.0, 1e5), (-3.0, 1.0), "t")
    plot.bars(y, "pnl")
    bottom = float(plot.up(-3.0))
    assert f"V{bottom:.1f}" in plot.text
    assert plot.text.count("M") <= 500


def test_words_of_p_values_and_directions(result: Backtest) -> None:
    assert [p_value(p) for p in (0.0, 0.00099, 0.05, 0.5, 1.0)] == [
        "<0.001", "<0.001", "0.05", "0.5", "1",
    ]  # fmt: skip
    for verdict in result.lines[0].verdicts:
        for test in verdict.tests:
            assert bool(arrow(test)) == test.rejects(LEVEL)


@pytest.mark.parametrize(
    ("test", "direction", "words"),
    [
        ("kupiec-pof", "too low", "risk too low"),
        ("kupiec-pof", "too high", "risk too high"),
        ("acerbi-szekely-z2", "too low", "risk too low"),
        ("duration", "too low", "clustered"),
        ("christoffersen-independence", "too high", "too regular"),
        ("tbf", "too low", "rejected"),
        ("conditional-coverage", "too low", "rejected"),
        ("dynamic-quantile", "too high", "rejected"),
    ],
)
def test_only_a_test_of_the_number_or_the_size_says_that_risk_is_too_low(
    test: str, direction: Direction, words: str
) -> None:
    assert test in TESTS
    assert arrow(BacktestResult(test, 9.0, 0.04, "chi2(2)", direction)) == words
    assert arrow(BacktestResult(test, 1.0, 0.06, "chi2(2)", direction)) == ""
