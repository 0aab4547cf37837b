"""The result as JSON-ready values. The schema is stable: keys are added, never changed."""

from __future__ import annotations

import json
import math
from typing import Any

import attrs

from rtre.backtest.judge import LEVEL, Tournament, Verdict
from rtre.backtest.result import BacktestResult
from rtre.backtest.run import Backtest, LineResult
from rtre.backtest.traffic_light import TrafficLight
from rtre.backtest.words import bet_words

#: Raised when a key changes its meaning or goes.
SCHEMA = 1


def to_dict(result: Backtest) -> dict[str, Any]:
    """Return the result as JSON-ready values.

    What is not known is None; what is infinite is the string ``"inf"`` or ``"-inf"``.
    """
    panel = result.panel
    values = {
        "schema": SCHEMA,
        "prices": {
            "source": panel.source,
            "rows": len(panel),
            "first": str(panel.dates[0]),
            "last": str(panel.dates[-1]),
            "symbols": list(panel.symbols),
            "empty_cells": panel.missing,
        },
        "books": result.holdings,
        "settings": attrs.asdict(result.settings),
        "lines": [_line(line) for line in result.lines],
    }
    plain: dict[str, Any] = _plain(values)
    return plain


def to_json(result: Backtest) -> str:
    """Return `to_dict` as text that any JSON reader takes."""
    return json.dumps(to_dict(result), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0.0 else "-inf")
    return value


def _line(line: LineResult) -> dict[str, Any]:
    return {
        "name": line.name,
        "is_book": line.forecasts.is_book,
        "results": [_verdict(line, v) for v in line.verdicts],
        "tournaments": [_tournament(t) for t in line.tournaments],
    }


def _verdict(line: LineResult, v: Verdict) -> dict[str, Any]:
    return {
        "model": v.model,
        "confidence": v.confidence,
        "n": v.n,
        "skipped": v.skipped,
        "exceedances": v.x,
        "expected": v.expected,
        "dates": [str(d) for d in line.forecasts.dates[v.hits]],
        "traffic_light": _light(v.light),
        "traffic_light_last_year": _light(v.year),
        "tests": {t.test: _test(t) for t in v.tests},
        "e_process": {what: _bet(line, v, what) for what in ("var", "es")},
        "scores": {"pinball": v.pinball, "fz0": v.fz0},
        "notes": list(v.notes),
    }


def _light(light: TrafficLight | None) -> dict[str, Any] | None:
    if light is None:
        return None
    keys = ("zone", "n", "x", "cumulative", "plus", "multiplier", "yellow_from", "red_from")
    return {key: getattr(light, key) for key in keys}


def _test(test: BacktestResult) -> dict[str, Any]:
    return {
        "statistic": test.statistic,
        "p_value": test.p_value,
        "law": test.law,
        "direction": test.direction,
        "rejected": test.rejects(LEVEL),
        "note": test.note,
    }


def _bet(line: LineResult, v: Verdict, what: str) -> dict[str, Any] | None:
    top, at = bet_words(v, what)
    if top is None:
        return None
    rejected = None if at is None else str(line.forecasts.dates[v.used][at - 1])
    return {"max": top, "rejected_at": at, "rejected_on": rejected}


def _tournament(t: Tournament) -> dict[str, Any]:
    return {
        "confidence": t.confidence,
        "n": t.n,
        "entries": [
            {
                "model": e.model,
                "mean_fz0": e.mean,
                "behind_best": None if e.against_best is None else attrs.asdict(e.against_best),
            }
            for e in t.entries
        ],
        "left_out": t.left_out,
    }
