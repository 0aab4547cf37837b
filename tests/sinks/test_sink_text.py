from __future__ import annotations

import doctest

import pytest

from rtre.sinks import columns, text


@pytest.mark.parametrize("module", [text, columns])
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (float("nan"), "–"),
        (float("inf"), "∞"),
        (float("-inf"), "-∞"),
        (999.99, "999.99"),
        (999.996, "1,000"),
        (-2.5, "-2.50"),
        (0.99999, "1.0000"),
        (0.01, "0.0100"),
        (1e15, "1.00e+15"),
    ],
)
def test_money_keeps_three_digits(value: float, shown: str) -> None:
    assert text.money(value) == shown


def test_an_age_ahead_of_the_clock_is_none() -> None:
    assert text.age(-5_000_000_000) == "0.0s"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(9.99, "9.9s"), (10, "10s"), (119, "119s"), (120, "2m"), (172_800, "2d")]
)
def test_an_age_is_never_rounded_up(seconds: float, shown: str) -> None:
    assert text.age(int(seconds * 1e9)) == shown


@pytest.mark.parametrize(
    ("us", "shown"), [(999.4, "999 µs"), (999.6, "1.0 ms"), (999_949.0, "999.9 ms"), (1e6, "1.0 s")]
)
def test_a_latency_changes_units_where_it_would_need_four_digits(us: float, shown: str) -> None:
    assert text.latency(us) == shown


def test_foreign_text_loses_control_and_formatting_characters() -> None:
    # escape, bell, C1 control sequence introducer, right-to-left override, zero-width space
    assert text.clean("a\x1b[31mb\x07c\x9bd\u202ee\u200bf") == "a[31mbcdef"


def test_foreign_text_becomes_one_short_line() -> None:
    assert text.clean("  one\r\n\ttwo  ") == "one two"
    assert len(text.clean("x" * 10_000)) == 200
    assert text.clean("x" * 201).endswith("…")
