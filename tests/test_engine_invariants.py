"""Every model through the engine: asset order and batch boundaries change nothing."""

from __future__ import annotations

import inspect
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from engine_support import START, make_engine, walk

from rtre import names
from rtre.engine import RiskEngine
from rtre.market import TickBatch
from rtre.report import RiskReport

SYMBOLS = ("A", "B", "C", "D")
BOOK_HOLDINGS = {"A": 10.0, "B": -5.0, "D": 2.0}
MARKET = walk(130, assets=4, seed=3)
MODELS = names.available("models")


def engine_for(model: str, order: tuple[int, ...]) -> RiskEngine:
    accepted = inspect.signature(names.find("models", model)).parameters
    small: dict[str, Any] = {"draws": 1000, "min_exceedances": 8}
    parameters = {name: value for name, value in small.items() if name in accepted}
    symbols = tuple(SYMBOLS[i] for i in order)
    held = {s: BOOK_HOLDINGS[s] for s in symbols if s in BOOK_HOLDINGS}
    return make_engine(
        model, symbols=symbols, books={"book": held}, parameters=parameters,
        window=120, min_obs=100, options={"refit_every": 60},
    )  # fmt: skip


def reordered(batch: TickBatch, order: tuple[int, ...]) -> TickBatch:
    place = np.argsort(order)  # from an asset to where it is now
    return TickBatch.of(place[batch.asset], batch.price, batch.ts_event_ns)


def numbers(report: RiskReport) -> dict[str, np.ndarray]:
    return {name: report.values[i] for i, name in enumerate(report.names)}


def fed(model: str, order: tuple[int, ...], cuts: list[int]) -> dict[str, np.ndarray]:
    engine, market = engine_for(model, order), reordered(MARKET, order)
    for start, stop in pairwise(sorted({0, len(market), *cuts})):
        engine.update(market[start:stop])
    report = engine.report(START + 130_000_000_000)
    return numbers(report)


PLAIN = (0, 1, 2, 3)


@pytest.mark.parametrize("model", MODELS)
def test_asset_order_and_batches_change_nothing(model: str) -> None:
    want = fed(model, PLAIN, [])
    assert not np.isnan(want["A"][:, :2]).any() or model == "cornish-fisher"
    rng = np.random.default_rng(4)
    cut = fed(model, PLAIN, rng.integers(0, len(MARKET), 40).tolist())
    for name, values in want.items():
        assert cut[name].tobytes() == values.tobytes()
    for order in ((3, 2, 1, 0), (2, 0, 3, 1)):
        got = fed(model, order, [])
        for name, values in want.items():
            # a symbol has the same history to the bit; a book adds up its symbols in their order,
            # and a fit may end elsewhere on a flat top for it
            np.testing.assert_allclose(got[name], values, rtol=1e-12 if name != "book" else 1e-4)
