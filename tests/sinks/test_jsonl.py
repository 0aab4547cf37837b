from __future__ import annotations

import json

from sink_support import altered, make_report

from rtre.sinks.jsonl import line


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def test_a_line_is_the_report_as_json() -> None:
    report = make_report()
    text = line(report)
    assert "\n" not in text
    assert json.loads(text, parse_constant=refuse) == json.loads(json.dumps(report.to_dict()))


def test_the_keys_are_those_of_the_schema_in_one_order() -> None:
    first, second = (json.loads(line(make_report(sequence=i))) for i in (1, 2))
    assert list(first) == list(second)
    assert list(first) == [
        "schema", "sequence", "as_of_ns", "oldest_input_ns", "quality", "affected", "model",
        "horizon", "counts", "symbols", "books",
    ]  # fmt: skip
    assert [s["name"] for s in first["symbols"]] == ["AAPL", "MSFT"]
    estimate = first["books"][0]["estimates"][1]
    assert list(estimate) == ["confidence", "var", "es", "var_low", "var_high", "es_se"]
    assert estimate["confidence"] == 0.99
    assert estimate["var"] == 60.0
    assert estimate["es"] == 75.0


def test_what_is_not_finite_never_becomes_a_bare_constant() -> None:
    report = make_report(high=float("nan"), prices=[float("nan"), 1.0])
    report = altered(report, {(0, 0, 1): float("inf"), (1, 0, 0): float("nan")})
    symbols = json.loads(line(report), parse_constant=refuse)["symbols"]
    assert symbols[0]["price"] is None
    assert symbols[0]["estimates"][0]["es"] == "inf"
    assert symbols[0]["estimates"][0]["var_high"] is None


def test_numbers_survive_to_the_last_bit() -> None:
    report = make_report(scale=[0.1 + 0.2, 1e-300, 1e300])
    estimates = [s["estimates"][0]["var"] for s in json.loads(line(report))["symbols"]]
    assert estimates == [0.1 + 0.2, 1e-300]


def test_a_warming_symbol_has_a_problem_and_no_estimates() -> None:
    symbol = json.loads(line(make_report(n_obs=12)))["symbols"][0]
    assert symbol["estimates"] == []
    assert symbol["problem"].startswith("WARMING: 12 of 60")
