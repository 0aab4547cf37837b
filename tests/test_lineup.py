"""Which models run: names, parameters, and everything that can be wrong with them at once."""

from __future__ import annotations

from typing import Any

import pytest

from rtre.config import RiskConfig
from rtre.errors import DataError, UnknownNameError
from rtre.lineup import build_model, check_models, line_up, make_model, parse_spec, split_specs
from rtre.models.base import Model, Tail
from rtre.models.ewma import Ewma
from rtre.models.filtered import FilteredHistorical
from rtre.models.historical import Historical

BOOKS = ("a", "b")


class Plain(Model):
    name = "plain"

    def estimate(self, pnl: Any, confidences: Any, fitted: Any = None) -> list[Tail]:
        return [Tail(1.0, 1.0) for _ in confidences]


class Picky(Plain):
    def __init__(self) -> None:
        raise ValueError("never")


def test_a_model_is_a_name_with_parameters_in_parentheses() -> None:
    assert parse_spec(" ewma ( decay = 0.9 )".strip()) == ("ewma", {"decay": 0.9})
    assert parse_spec("filtered(filter=garch, asymmetric=true)") == (
        "filtered", {"filter": "garch", "asymmetric": True},
    )  # fmt: skip
    assert split_specs(["a,b(c=1,d=2)", ",e"]) == ["a", "b(c=1,d=2)", "e"]
    for wrong in ("ewma(", "ewma(0.9)", "", "()"):
        with pytest.raises((DataError, UnknownNameError)):
            build_model(wrong)


def test_parameters_come_from_the_table_of_the_name_the_first_models_own_and_the_text() -> None:
    config = RiskConfig(
        model="ewma", parameters={"decay": 0.9}, beside=("ewma(decay=0.7)", "fhs"),
        models={"ewma": {"decay": 0.8}, "filtered": {"decay": 0.95}},
    )  # fmt: skip
    assert make_model(config) == Ewma(decay=0.9)
    assert make_model(RiskConfig(model="ewma", models=config.models)) == Ewma(decay=0.8)
    lineup = line_up(config, BOOKS)
    assert lineup.models == (Ewma(0.9), Ewma(0.7), FilteredHistorical(decay=0.95))
    assert lineup.labels == ("ewma", "ewma(decay=0.7)", "filtered")


def test_a_model_that_is_asked_for_twice_runs_once() -> None:
    config = RiskConfig(beside=("ewma", "fhs"), book_models={"a": "filtered", "b": "historical"})
    lineup = line_up(config, BOOKS)
    assert lineup.models == (Historical(), Ewma(), FilteredHistorical())
    assert (lineup.of("a"), lineup.of("b"), lineup.of(None)) == (2, 0, 0)
    assert lineup.compete == {0, 1, 2}


def test_without_competitors_each_line_has_its_own_model_alone() -> None:
    lineup = line_up(RiskConfig(book_models={"a": "ewma"}), BOOKS)
    served = {book: [m for m in (0, 1) if lineup.serves(m, book)] for book in (None, *BOOKS)}
    assert served == {None: [0], "a": [1], "b": [0]}


def test_a_model_of_ones_own_takes_the_place_of_the_first() -> None:
    lineup = line_up(RiskConfig(model="nosuch", beside=("ewma",)), BOOKS, Ewma(0.5))
    assert (lineup.models, lineup.labels) == ((Ewma(0.5), Ewma()), ("ewma", "ewma 2"))


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, []),
        ({"model": "magic"}, [("risk.model", "no model named 'magic'")]),
        (
            {"parameters": {"x": 1}},
            [("risk.parameters", "historical has no parameter 'x'; it")],
        ),
        (
            {"model": "ewma", "parameters": {"decai": 0.9}},
            [("risk.parameters", "ewma has no parameter 'decai'; it has decay")],
        ),
        ({"model": "test_lineup:Plain(x=1)"}, [("risk.model", "no parameter 'x'; it has none")]),
        (
            {"model": "test_lineup:Picky"},
            [("risk.model", "Picky': ValueError: never")],
        ),
        ({"beside": ("magic", "ewma(decay=9)")}, [("risk.beside", "magic"), ("risk.beside", "9")]),
        ({"beside": ("historical",)}, [("risk.beside", "historical is there already")]),
        ({"beside": ("fhs", "filtered")}, [("risk.beside", "filtered is there already")]),
        ({"book_models": {"a": "magic"}}, [("risk.book_models.a", "magic")]),
        ({"book_models": {"a": "historical", "b": "historical"}}, []),
        ({"models": {"ewma": {"decay": 9}}}, [("risk.models.ewma", "decay")]),
        (
            {"models": {"ewma": {"decay": 9}, "magic": {}}, "beside": ("ewma", "nope")},
            [("risk.models.ewma", "9"), ("risk.models.magic", "magic"), ("risk.beside", "nope")],
        ),
    ],
)
def test_everything_wrong_with_models_is_told_at_once_and_each_once(
    settings: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    found = check_models(RiskConfig(**settings))
    assert [key for key, _ in found] == [key for key, _ in wanted]
    for (_, text), (_, part) in zip(found, wanted, strict=True):
        assert part in text
