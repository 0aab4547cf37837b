"""After the warm-up a run compiles nothing, whatever its size."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from engine_support import SECOND, START, make_engine, walk

from rtre import names
from rtre.config import RiskConfig
from rtre.errors import UnknownNameError
from rtre.feeds.framing import MessageCutter
from rtre.kernels import jit
from rtre.market import LinkChange, TickBatch, TickBuffer, Universe
from rtre.warm import is_warm, kernels, warm_up

FRAME = b'{"data":[{"p":100.5,"s":"A","t":1700000000000,"v":1}],"type":"trade"}'

pytestmark = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT", "0") == "1", reason="numba is switched off"
)


def drive(model: str, symbols: tuple[str, ...], books: dict[str, dict[str, float]]) -> None:
    """What a live run does with an engine, with awkward sizes and awkward ticks."""
    engine = make_engine(
        model, symbols=symbols, books=books, window=110, min_obs=2, confidence=(0.9, 0.95, 0.975)
    )
    batch = walk(105, per_interval=1, assets=len(symbols))
    for start in range(0, len(batch), 50):
        engine.update(batch[start : start + 50])
        engine.report(START)
    engine.link_changed(LinkChange((0,), up=False, ts_ns=START))
    late = START + 103 * SECOND
    frozen = np.array([1.0, 1e9, 100.0])
    frozen.setflags(write=False)
    engine.update(TickBatch.of(0, frozen, [late, late + 5 * SECOND, late + 5 * SECOND]))
    engine.report(START + 105 * SECOND)
    for job in engine.fit_jobs():
        job.run()


@pytest.mark.parametrize(
    "model", ["historical", "gaussian", "ewma", "filtered", "garch", "monte-carlo"]
)
def test_a_run_after_the_warm_up_compiles_nothing(model: str) -> None:
    done = warm_up(RiskConfig(model=model))
    assert done.kernels > 10
    assert done.problem == jit.CACHE_PROBLEM
    before = kernels()
    drive(model, ("A", "B", "C"), {"b": {"A": 1.0, "B": -1.0}, "c": {"C": 2.0}})
    drive(model, ("A",), {"b": {"A": 1.0}})
    drive(model, ("A", "B"), {})
    frames = MessageCutter().feed(2 * (bytes((0x81, len(FRAME))) + FRAME))
    assert frames is not None
    for venue in names.available("venues"):
        codec = names.find("venues", venue)(Universe(("A", "B")), scan_bytes=0)
        buffer = TickBuffer()
        codec.decode(frames, START, buffer)
        assert buffer.count == (0 if venue == "binance" else 2)
    assert kernels() == before


def test_progress_counts_from_none_to_all() -> None:
    told: list[tuple[Any, ...]] = []
    fresh = RiskConfig(parameters={"rule": "linear"})  # of no other test: done once a process
    warm_up(fresh, lambda *arguments: told.append(arguments))
    total = told[0][2]
    assert [(done, of) for _, done, of in told] == [(k, total) for k in range(total + 1)]
    assert told[-1][0] == "ready"
    assert "historical" in [what for what, _, _ in told]


def test_it_is_known_that_a_model_is_warm_and_which() -> None:
    warm_up(RiskConfig())
    if jit.CACHE_DIR is not None:
        assert is_warm(RiskConfig())
        assert is_warm()
    assert not is_warm(RiskConfig(parameters={"rule": "never warmed"}))


def test_a_model_that_does_not_exist_is_told_before_anything_is_compiled() -> None:
    with pytest.raises(UnknownNameError):
        warm_up(RiskConfig(model="nosuch"))
