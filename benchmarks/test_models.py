"""What several models on one stream cost, against each of them in an engine of its own.

``pytest benchmarks/test_models.py -s`` prints the tables. All engines take turns in one process and
each shows its median, so a busy machine slows them alike; read the ratios.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rtre import RiskConfig, RiskEngine, TickBatch, Universe, names
from rtre.kernels import layout

from gates import interleaved
from tables import headline, table

SECOND = 10**9
START = 1_700_000_000 * SECOND
WINDOW = 500
SYMBOLS = 10
INTERVALS = 12
PER_INTERVAL = 8  # reports in each, one after a tick
TOURNAMENTS = {
    "on every tick": ("historical", "gaussian", "ewma", "volatility-weighted"),
    "heavy ones": ("filtered", "student-t", "cornish-fisher", "riskmetrics2006"),
    "mixed": ("historical", "ewma", "filtered"),
}


def levels(steps: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 100 * np.exp(np.cumsum(rng.standard_t(4, (steps, SYMBOLS)) * 1e-4, axis=0))


def filled(models: Sequence[str], **risk: Any) -> RiskEngine:
    """An engine of ten symbols in one book, its window full and its fits made."""
    universe = Universe(tuple(f"S{i}" for i in range(SYMBOLS)))
    config = RiskConfig(
        window=WINDOW, model=models[0], beside=tuple(models[1:]), refit_every=10**6, **risk
    )
    engine = RiskEngine(
        universe, {"book": dict.fromkeys(universe, 10.0)}, config,
        inline_fits=False,
    )  # fmt: skip
    steps = WINDOW + 2
    times = START + np.repeat(np.arange(steps), SYMBOLS) * SECOND
    engine.update(TickBatch.of(np.tile(np.arange(SYMBOLS), steps), levels(steps, 1).ravel(), times))
    for job in engine.fit_jobs():
        engine.take_fit(job, job.run())
    engine.report(START)
    return engine


class Run:
    """Further intervals: every tick of them is followed by a report."""

    def __init__(self, engine: RiskEngine, *, reports: bool = True) -> None:
        self.engine = engine
        self._reports = reports
        self._next = WINDOW + 2
        self._factors = levels(INTERVALS * PER_INTERVAL, 2)[:, 0] / 100.0
        self._prices = engine.lines.last.copy()

    def __call__(self) -> None:
        engine, step = self.engine, 0
        for _ in range(INTERVALS):
            at = START + self._next * SECOND
            self._next += 1
            prices = self._prices * self._factors[step]
            engine.update(TickBatch.of(np.arange(SYMBOLS), prices, at))
            for k in range(PER_INTERVAL):
                asset = k % SYMBOLS
                price = self._prices[asset] * self._factors[step]
                engine.update(TickBatch.of(asset, price, at + k))
                if self._reports:
                    engine.report(at + k)
                step += 1


def setting() -> str:
    return f"NPY_DISABLE_CPU_FEATURES={os.environ.get('NPY_DISABLE_CPU_FEATURES', '')!r}"


@pytest.mark.parametrize("which", TOURNAMENTS)
def test_models_side_by_side_cost_no_more_than_the_sum_of_each_alone(which: str) -> None:
    models = TOURNAMENTS[which]
    n = INTERVALS * PER_INTERVAL
    runs: dict[str, tuple[Callable[[], object], int]] = {
        f"{model} alone": (Run(filled([model])), n) for model in models
    }
    runs["side by side"] = (Run(filled(models)), n)
    found = interleaved(runs)
    together = found["side by side"]
    total = sum(ns for name, ns in found.items() if name != "side by side")
    lines = [(name, ns / 1e3) for name, ns in found.items()]
    lines += [("sum of each alone", total / 1e3), ("side by side / sum", together / total)]
    print(
        table(
            f"{setting()}; {which}", ("a tick applied and reported, closes included", "us"), lines
        )
    )
    headline(
        f"{len(models)} models side by side, {which}: a tick applied and reported",
        f"{together / 1e3:.0f} us", "sum of each alone", f"{total / 1e3:.0f} us", total / together,
    )  # fmt: skip
    # a little more than the sum would do; they share windows, so it is less
    assert together < 1.1 * total


def test_what_each_model_costs_a_report_and_a_closed_interval() -> None:
    lines = []
    for model in names.available("models"):
        engine = filled([model])
        tick = TickBatch.of(0, engine.lines.last[0], START + (WINDOW + 1) * SECOND)

        def after_a_tick(engine: RiskEngine = engine, tick: TickBatch = tick) -> None:
            engine.update(tick)
            engine.report(START)

        def of_all_lines(engine: RiskEngine = engine) -> None:
            engine.lines.dirty[:] = layout.CHANGED | layout.CLOSED
            engine.report(START)

        def close(engine: RiskEngine = engine) -> None:
            engine._open_row(engine.lines.open_interval + 1)

        found = interleaved({"all": (of_all_lines, 1), "tick": (after_a_tick, 1)}, rounds=9)
        found |= interleaved({"close": (close, 1)}, rounds=9)  # it leaves all lines to be asked
        costs = (found[name] / 1e3 for name in ("tick", "all", "close"))
        lines.append((model, engine.model.cadence, *costs))
    head = (
        "model", "cadence", "us tick + report", "us report of all 11 lines",
        "us close, 1 book tracked",
    )  # fmt: skip
    print(table(f"{setting()}; {SYMBOLS} symbols + book, window {WINDOW}", head, lines))
    assert len(lines) >= 12


def test_what_keeping_a_track_costs() -> None:
    lines = []
    for books, track, models in (
        ("1 book", "books", ("historical",)),
        ("1 book", "books", TOURNAMENTS["mixed"]),
        ("1 book + 10 symbols", "all", TOURNAMENTS["mixed"]),
    ):
        engine = filled(models, track=track)
        Run(engine, reports=False)()
        scorer = engine._scorer
        assert scorer is not None

        def summarised(engine: RiskEngine = engine) -> object:
            engine._scorer._summary = None  # type: ignore[union-attr]
            return engine.track.to_dict()  # type: ignore[union-attr]

        found = interleaved({"score": (scorer.close, 1), "summary": (summarised, 1)}, rounds=200)
        what = f"{books}, {len(models)} models"
        lines.append((what, found["score"] / 1e3, found["summary"] / 1e3))
    print(table(setting(), ("track", "us a close", "us to read it, once a close"), lines))
    assert len(lines) == 3
