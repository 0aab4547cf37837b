"""Every model through the engine: asset order and batch boundaries change nothing."""

from __future__ import annotations

import inspect
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from engine_support import START, make_engine, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre import names
from rtre.engine import RiskEngine
from rtre.market import TickBatch
from rtre.report import RiskReport

SYMBOLS = ("A", "B", "C", "D")
BOOK_HOLDINGS = {"A": 10.0, "B": -5.0, "D": 2.0}
MARKET = walk(130, assets=4, seed=3)
MODELS = names.available("models")
EVALUATIONS = ("every-tick", "per-batch")
PLAIN = (0, 1, 2, 3)

ROUNDING = 1e-12
"""A book adds up its symbols in their order: three products, each rounded to 1e-16."""

LOOSER = {
    # the fourth power of P&L, and differences of such: digits are lost, measured 2e-11
    "cornish-fisher": 1e-9,
    # fits end when a step gains nothing that can be seen: their top is flat to half the digits.
    # Measured 7e-12, 2e-11 and, with four parameters, 8e-9
    "evt": 1e-8,
    "student-t": 1e-8,
    "garch": 1e-5,
}
SLOW = {"garch"}  #: a fit takes it half a second


def engine_for(model: str, order: tuple[int, ...], evaluation: str) -> RiskEngine:
    accepted = inspect.signature(names.find("models", model)).parameters
    small: dict[str, Any] = {"draws": 1000, "min_exceedances": 8}
    parameters = {name: value for name, value in small.items() if name in accepted}
    symbols = tuple(SYMBOLS[i] for i in order)
    held = {s: BOOK_HOLDINGS[s] for s in symbols if s in BOOK_HOLDINGS}
    return make_engine(
        model, symbols=symbols, books={"book": held}, parameters=parameters,
        window=120, min_obs=100, options={"refit_every": 60}, evaluation=evaluation,
    )  # fmt: skip


def reordered(batch: TickBatch, order: tuple[int, ...]) -> TickBatch:
    place = np.argsort(order)  # from an asset to where it is now
    return TickBatch.of(place[batch.asset], batch.price, batch.ts_event_ns)


def numbers(report: RiskReport) -> dict[str, np.ndarray]:
    return {name: report.values[i] for i, name in enumerate(report.names)}


def fed(
    model: str, order: tuple[int, ...], cuts: list[int], evaluation: str = "every-tick"
) -> dict[str, np.ndarray]:
    engine, market = engine_for(model, order, evaluation), reordered(MARKET, order)
    for start, stop in pairwise(sorted({0, len(market), *cuts})):
        engine.update(market[start:stop])
    report = engine.report(START + 130_000_000_000)
    return numbers(report)


@cache
def whole(model: str) -> dict[str, np.ndarray]:
    """In the plain order, in one batch."""
    return fed(model, PLAIN, [])


def same_bits(got: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> None:
    for name, values in want.items():
        assert got[name].tobytes() == values.tobytes(), name


@pytest.mark.parametrize("model", MODELS)
def test_the_numbers_compared_here_are_there(model: str) -> None:
    assert not np.isnan(whole(model)["A"][:, :2]).any() or model == "cornish-fisher"
    assert not np.isnan(whole(model)["book"][:, :2]).any() or model == "cornish-fisher"


@pytest.mark.parametrize("evaluation", EVALUATIONS)
@pytest.mark.parametrize("model", MODELS)
def test_asset_order_and_batches_change_nothing(model: str, evaluation: str) -> None:
    want = whole(model)

    @given(st.permutations(PLAIN), st.lists(st.integers(0, len(MARKET)), max_size=40))
    @settings(max_examples=2 if model in SLOW else 8, deadline=None)
    def check(order: list[int], cuts: list[int]) -> None:
        if model not in SLOW:
            same_bits(fed(model, PLAIN, cuts, evaluation), want)
        got = fed(model, tuple(order), cuts, evaluation)
        for name, values in want.items():
            if name == "book" and model == "monte-carlo":
                # its draws go to the assets in their order: other draws, the same law
                np.testing.assert_allclose(got[name][:, :2], values[:, :2], rtol=0.25, atol=0.0)
            elif name == "book":
                near = LOOSER.get(model, ROUNDING)
                np.testing.assert_allclose(got[name], values, rtol=near, atol=0.0)
            else:  # the same history, to the bit
                assert got[name].tobytes() == values.tobytes(), name

    check()
