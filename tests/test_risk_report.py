"""Reports: what is in a line, and JSON without a literal that JSON does not have."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from engine_support import SECOND, START, make_engine, walk

from rtre import names
from rtre.errors import DataError
from rtre.figures import Horizon, TickCounts
from rtre.market import Quality, TickBatch
from rtre.report import RiskReport
from rtre.sheet import Sheet


def strict(report: RiskReport) -> dict[str, Any]:
    """Through JSON and back, refusing NaN and Infinity."""
    decoded: dict[str, Any] = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    return decoded


def made(**values: Any) -> RiskReport:
    """Build a report of one symbol and one book by hand."""
    figures: dict[str, Any] = {
        "values": np.ones((2, 1, 5)), "prices": np.array([10.0]), "changes": np.array([math.nan]),
        "exposures": np.array([-20.0, -20.0]), "n_obs": np.array([5, 5]),
        "qualities": np.zeros(2, np.int64), "received_ns": np.array([40, 40]),
    }  # fmt: skip
    figures |= {name: values.pop(name) for name in figures if name in values}
    fields: dict[str, Any] = {
        "sequence": 1, "as_of_ns": 50, "model": "m", "confidences": (0.95,),
        "horizon": Horizon(100, 25, "label"), "min_obs": 2, "names": ("A", "b"),
        "index": {"A": 0, "b": 1}, "n_assets": 1, "sheet": Sheet.of(**figures),
        "problems": {}, "outside": TickCounts(applied=3),
    }  # fmt: skip
    return RiskReport(**(fields | values))


def test_a_line_has_all_that_is_known_and_none_for_the_rest() -> None:
    line = made()["A"]
    assert (line.price, line.change, line.exposure, line.age_ns) == (10.0, None, -20.0, 10)
    assert (line.is_book, line.problem, line.model_age_ns) == (False, "", None)
    book = made(fitted_ns=np.array([0, 30]))["b"]
    assert (book.price, book.change, book.model_age_ns) == (None, None, 20)
    with pytest.raises(DataError, match="'X' is not among A, b"):
        made()["X"]


def test_lines_come_symbols_first() -> None:
    report = made()
    assert [line.name for line in report] == ["A", "b"]
    assert [line.name for line in report.symbols] == ["A"]
    assert [line.name for line in report.books] == ["b"]
    assert len(report) == 2


def test_numbers_that_json_cannot_say_are_words_or_null() -> None:
    values = np.ones((2, 1, 5))
    values[0, 0] = [math.inf, math.inf, -math.inf, math.inf, math.nan]
    decoded = strict(made(values=values))
    found = decoded["symbols"][0]["estimates"][0]
    assert (found["var"], found["es"]) == ("inf", "inf")
    assert (found["var_low"], found["var_high"], found["es_se"]) == (None, None, None)


def test_a_problem_takes_the_place_of_numbers() -> None:
    report = made(problems={0: "no"}, values=np.full((2, 1, 5), math.nan))
    assert strict(report)["symbols"][0]["estimates"] == []
    assert strict(report)["symbols"][0]["problem"] == "no"
    warming = made(n_obs=np.array([1, 0]))
    assert warming["A"].problem == "WARMING: 1 of 2 observations"
    assert warming["b"].problem == "WARMING: 0 of 2 complete rows"


def test_a_number_that_is_missing_without_a_reason_is_never_shown_as_one() -> None:
    report = made(values=np.full((2, 1, 5), math.nan))
    assert report["A"].estimates == ()
    assert report["A"].problem
    strict(report)


def test_every_counted_tick_is_in_the_balance() -> None:
    counts = TickCounts(1, 20, 300, 4000, 50_000, 600_000)
    assert counts.received == 654_321
    decoded = strict(made(outside=counts))["counts"]
    assert decoded.pop("received") == sum(decoded.values())


def test_quality_is_told_with_the_worst_first() -> None:
    flags = np.array([int(Quality.STALE | Quality.DISCONNECTED), int(Quality.GAP)])
    report = made(qualities=flags)
    assert report["A"].quality.label == "DISCONNECTED|STALE"
    assert report.quality == Quality.STALE | Quality.DISCONNECTED | Quality.GAP
    assert made()["A"].quality.label == "LIVE"


def test_the_affected_share_of_nothing_held_is_none_or_all() -> None:
    none = np.zeros(2)
    assert made(exposures=none).affected == 0.0
    assert made(exposures=none, qualities=np.array([2, 2])).affected == 1.0
    assert made(exposures=np.array([math.nan, math.nan])).affected == 1.0
    assert made(qualities=np.array([2, 2])).affected == 1.0


def test_the_factor_is_the_square_root_of_the_ratio_of_times() -> None:
    assert Horizon(100, 25, "").factor == 2.0


@pytest.mark.parametrize("model", names.available("models"))
def test_a_real_report_is_json_at_every_stage_of_a_run(model: str) -> None:
    parameters = {"draws": 1000} if model == "monte-carlo" else {}
    engine = make_engine(
        model, parameters=parameters, window=110, min_obs=2, options={"refit_every": 1000}
    )
    batch = walk(104, per_interval=1, assets=2)
    shown = 0
    for start in range(0, len(batch), 26):
        decoded = strict(engine.report(START + start * SECOND))
        shown += sum(len(line["estimates"]) for line in decoded["symbols"] + decoded["books"])
        assert all(line["problem"] or line["estimates"] for line in decoded["symbols"])
        engine.update(batch[start : start + 26])
    engine.update(TickBatch.of(0, math.nan, START + 200 * SECOND))
    decoded = strict(engine.report(START + 200 * SECOND))
    shown += sum(len(line["estimates"]) for line in decoded["symbols"])
    assert shown or model == "evt", "evt refuses: too few losses beyond its threshold"
