"""What the default `evaluate` does with a model that gives what is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest

from rtre.errors import ModelError
from rtre.market import Float64, TickBatch, Universe
from rtre.models.base import BELOW, Model, Tail
from rtre.windows.lines import Lines

LEVELS = (0.95, 0.99)


def make_lines() -> Lines:
    lines = Lines(
        Universe(("A",)), {"book": {"A": 1.0}}, window=20, interval_ns=10, jump=1.0, confirm=1,
        confidences=LEVELS,
    )  # fmt: skip
    for t in range(20):
        lines.open_row(t + 1)
        lines.apply(TickBatch.of(0, 100.0 + t % 5, 10 * (t + 1)), 0)
    return lines


class Says(Model):
    """Answers what it was made with."""

    name: ClassVar[str] = "says"

    def __init__(self, answer: Any) -> None:
        object.__setattr__(self, "answer", answer)

    def estimate(
        self, pnl: Float64, confidences: Sequence[float], fitted: Any = None
    ) -> list[Tail]:
        answer = self.answer  # type: ignore[attr-defined]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


def ask(answer: Any) -> tuple[Float64, dict[int, str]]:
    out = np.full((2, 2, 5), np.nan)
    return out, Says(answer).evaluate(make_lines(), np.array([1]), LEVELS, out)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (ValueError("oops"), "ValueError: oops (test_model_base.py:"),
        (ZeroDivisionError(), "ZeroDivisionError (test_model_base.py:"),
        (None, "TypeError: "),
        ([Tail(1.0, 2.0)], "TypeError: estimate is to give a Tail for each of 2 confidences"),
        ([1.0, 2.0], "TypeError: estimate is to give a Tail for each of 2 confidences"),
    ],
)
def test_what_is_no_answer_is_an_error_that_names_model_line_and_place(
    answer: Any, wanted: str
) -> None:
    with pytest.raises(ModelError) as caught:
        ask(answer)
    assert str(caught.value).startswith(f"model 'says' failed on book: {wanted}")


def test_an_es_below_its_var_is_not_published() -> None:
    out, problems = ask([Tail(1.0, 2.0), Tail(3.0, 2.9)])
    assert problems == {1: BELOW}
    assert np.isnan(out[1, 1]).all()
    assert out[1, 0, :2].tolist() == [1.0, 2.0]
    _, problems = ask([Tail(1.0, 2.0), Tail(np.inf, 2.0)])
    assert problems == {1: BELOW}


@pytest.mark.parametrize(
    "tail", [Tail(3.0, 3.0), Tail(3.0, np.nextafter(3.0, 0.0)), Tail(-3.0, -2.0),
             Tail(3.0, np.inf), Tail(np.inf, np.inf), Tail(0.0, 0.0)]
)  # fmt: skip
def test_an_es_that_is_as_high_but_for_a_rounding_is(tail: Tail) -> None:
    out, problems = ask([tail, tail])
    assert problems == {}
    assert out[1, 0, :2].tolist() == [tail.var, tail.es]
