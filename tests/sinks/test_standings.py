"""The live backtest on a terminal and at the end of a run."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs
import numpy as np
import pytest
from rich.console import Console
from sink_support import make_report, make_statistics

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.kernels.outcomes import FIELDS, HITS, LOG_WEALTH, MASKED, N00, N01, N10, N
from rtre.market import TickBatch, Universe
from rtre.outcome_log import BLOCK, Block, Log
from rtre.report import RiskReport
from rtre.sinks import jsonl
from rtre.sinks.standings import closing, state
from rtre.sinks.summary import summary
from rtre.sinks.table import render
from rtre.track import Track


def make_track(
    models: tuple[str, ...] = ("historical",),
    lines: tuple[str, ...] = ("portfolio",),
    *,
    n: int = 210,
    hits: int = 3,
    log_wealth: float = 0.0,
    masked: int = 0,
    spread: float = 0.1,
) -> Track:
    """Build a summary at 95 and 99 %: model m scores m * `spread` more than the first."""
    shape = (len(lines), len(models), 2)
    counts = np.zeros((*shape, FIELDS))
    counts[..., N], counts[..., HITS] = n, hits
    counts[..., N01] = counts[..., N10] = hits
    counts[..., N00] = max(n - 1 - 2 * hits, 0)
    counts[..., LOG_WEALTH], counts[..., MASKED] = log_wealth, masked
    scores = np.full((BLOCK, *shape), np.nan)
    scores[:n] = 1.0 + spread * np.arange(len(models))[:, None]
    scores[:n] += 0.01 * np.random.default_rng(1).standard_normal((n, *shape))
    marks = np.zeros((BLOCK, *shape), np.int8)
    block = Block(scores, marks, np.zeros((BLOCK, shape[0])), np.ones((BLOCK, *shape, 2)))
    return Track(
        lines, models, (0.95, 0.99), 1_000_000_000, n, np.array([0.05, 0.01]),
        np.ones(shape[:2], np.bool_), counts, Log((block,), 0, n),
    )  # fmt: skip


def tracked(track: Track, **report: Any) -> RiskReport:
    return attrs.evolve(make_report(**report), track=track)


def draw(report: RiskReport, width: int = 120, height: int = 40) -> list[str]:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(render(report, make_statistics(), width, height))
    return console.export_text().splitlines()


def test_the_backtest_of_a_single_model_is_one_line() -> None:
    track = make_track(hits=3)
    wanted = (
        "backtest of portfolio, 1s ahead: 95% 3 of 10.5 expected in 210, green; "
        "99% 3 of 2.1 expected in 210, green"
    )
    assert state(track, "portfolio") == wanted
    assert wanted in draw(tracked(track))
    assert summary(make_statistics(), tracked(track)).splitlines()[-1] == wanted


def test_few_expected_exceedances_are_said_with_digits_that_count() -> None:
    young = state(make_track(n=2, hits=0), "portfolio")
    assert "95% 0 of 0.1 expected in 2, green; 99% 0 of 0.02 expected in 2, green" in young


def test_evidence_against_a_model_is_said_and_so_is_waiting() -> None:
    assert "red, e-value 148" in state(make_track(hits=40, log_wealth=5.0), "portfolio")
    assert "95% no forecast yet; 99% no forecast yet" in state(make_track(n=0, hits=0), "portfolio")
    masked = state(make_track(n=0, hits=0, masked=12), "portfolio")
    assert "95% 12 forecasts without an outcome" in masked


def test_where_models_compete_the_table_has_the_best_first_and_by_how_much() -> None:
    report = tracked(make_track(("historical", "ewma", "fhs")))
    lines = draw(report)
    at = lines.index("models on portfolio, 1s ahead, 99%, best by FZ0 first")
    assert lines[at + 1].split() == [
        "model",
        "n",
        "beyond",
        "VaR",
        "zone",
        "e-value",
        "FZ0",
        "behind",
        "(95%)",
    ]
    rows = [line.split() for line in lines[at + 2 : at + 5]]
    assert [row[0] for row in rows] == ["historical", "ewma", "fhs"]
    assert rows[0][1:4] == ["210", "3/2.1", "green"]
    assert rows[0][-1] == "best"
    assert rows[2][6].startswith("+0.")
    assert rows[2][9].endswith(")")


def test_on_a_small_terminal_the_risk_stays_and_the_tournament_gives_way() -> None:
    report = tracked(make_track(tuple(f"m{i}" for i in range(9))))
    low = draw(report, 80, 15)
    assert not any("best by FZ0" in line for line in low)
    assert any(line.startswith("portfolio") for line in low)
    middle = draw(report, 80, 24)
    assert len(middle) <= 24
    assert sum(line.startswith("m") and line[1].isdigit() for line in middle) == 4
    assert "… and 5 more models" in middle
    narrow = draw(report, 50, 40)
    assert all(len(line) <= 50 for line in narrow)
    assert any(line.startswith("m0") and "best" in line for line in narrow)


def test_the_end_of_a_run_has_every_confidence_of_the_heaviest_lines() -> None:
    books = ("b1", "b2", "b3", "b4")
    report = tracked(
        make_track(("historical", "ewma"), ("AAPL", *books)), books=books,
        scale=[900.0, 1.0, 2.0, 9.0, 8.0, 7.0],
    )  # fmt: skip
    found = closing(report)
    titles = [line for line in found if line.startswith("models on")]
    assert [t.split(",")[0] for t in titles] == [
        f"models on {b}" for b in ("b2", "b2", "b3", "b3", "b4", "b4")
    ]
    assert found[-1] == "and 2 more lines with a backtest"
    assert any("95%" in t for t in titles)


def test_without_a_track_nothing_is_said_of_backtests() -> None:
    assert closing(make_report()) == []
    assert not any("backtest" in line for line in draw(make_report()))


@pytest.mark.parametrize("wealth", [0.0, 800.0])
def test_json_can_say_every_standing(wealth: float) -> None:
    text = jsonl.line(tracked(make_track(("a", "b"), log_wealth=wealth)))
    assert ('"e_value":"inf"' in text) == (wealth > 709.0)
    assert '"track":{"interval_ns":1000000000,"intervals":210,"lines":[{"name":"portfolio"' in text


def test_the_track_of_a_real_engine_is_json() -> None:
    engine = RiskEngine(
        Universe(("A",)), {"b": {"A": 1.0}}, RiskConfig(window=30, min_obs=5, beside=("ewma",))
    )
    second = engine.config.interval
    for k in range(50):
        engine.update(TickBatch.of(0, 100.0 + k % 7, (k + 1) * second))
    decoded = json.loads(jsonl.line(engine.report(50 * second)))["track"]
    assert decoded["interval_ns"] == second
    assert {s["n"] for s in decoded["lines"][0]["standings"]} == {43}
