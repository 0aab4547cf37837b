"""The same ticks give the same bits, however they are cut into batches and whenever it is asked."""

from __future__ import annotations

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
from rtre.market import LinkChange, TickBatch
from rtre.report import RiskReport

# all there are, with parameters that make them cheap
PARAMETERS: dict[str, dict[str, Any]] = {
    "ewma": {"decay": 0.9},
    "monte-carlo": {"draws": 1000},
    "evt": {"min_exceedances": 8},
}
MODELS = {model: PARAMETERS.get(model, {}) for model in names.available("models")}
#: a fit of these takes a tenth of a second: they fit less often, and are cut less often
SLOW = {"garch", "student-t"}
EVALUATIONS = ("every-tick", "per-batch")


def market() -> TickBatch:
    """Ticks of every kind: late, out of order, bad, outliers, holes, ties."""
    rng = np.random.default_rng(11)
    clean = walk(260, per_interval=2)
    price, event = clean.price.copy(), clean.ts_event_ns.copy()
    n = len(clean)
    price[rng.random(n) < 0.02] = np.nan
    price[rng.random(n) < 0.02] *= 1.5
    event -= rng.choice([0, 0, 0, 400_000_000, 1_500_000_000], n)
    asset = clean.asset.copy()
    asset[rng.random(n) < 0.01] = 9
    keep = rng.random(n) < 0.9
    keep[(event > START + 40_000_000_000) & (event < START + 43_000_000_000)] = False
    return TickBatch.of(asset[keep], price[keep], event[keep], ts_init_ns=clean.ts_event_ns[keep])


MARKET = market()
BREAK = len(MARKET) // 2


def fresh(model: str, evaluation: str = "every-tick") -> RiskEngine:
    return make_engine(
        model, parameters=dict(MODELS[model]), window=200, min_obs=20, evaluation=evaluation,
        options={"refit_every": 100 if model in SLOW else 25},
    )  # fmt: skip


def end(engine: RiskEngine) -> tuple[bytes, ...]:
    """Everything a last report shows, as bits; peaks are those since the report before."""
    report = engine.report(START + 300_000_000_000)
    return (*bits(report), repr(sorted(report.problems.items())).encode())


def peaks(report: RiskReport) -> bytes:
    return b"" if report.peaks is None else report.peaks.tobytes()


def bits(report: RiskReport) -> tuple[bytes, ...]:
    arrays = (
        report.values, report.prices, report.changes, report.exposures, report.n_obs,
        report.qualities, report.received_ns,
    )  # fmt: skip
    return (*(a.tobytes() for a in arrays), repr(report.counts).encode())


def run(
    model: str, cuts: list[int], asked: set[int], evaluation: str = "every-tick"
) -> tuple[bytes, ...]:
    """Feed the market in pieces; report after the pieces in `asked`; break a link half way."""
    engine = fresh(model, evaluation)
    bounds = sorted({0, BREAK, len(MARKET), *cuts})
    for k, (start, stop) in enumerate(pairwise(bounds)):
        if start == BREAK:
            break_link(engine)
        engine.update(MARKET[start:stop])
        if k in asked:
            engine.report(START + start)
    return end(engine)


def break_link(engine: RiskEngine) -> None:
    engine.link_changed(LinkChange((1,), up=False, ts_ns=0))
    engine.link_changed(LinkChange((1,), up=True, ts_ns=0))


@cache
def whole(model: str) -> tuple[bytes, ...]:
    """The end of the market in two batches, with one report."""
    return run(model, [], set())


def test_the_market_of_this_test_has_numbers_in_it() -> None:
    for model in MODELS:
        engine = fresh(model)
        engine.update(MARKET)
        report = engine.report(START)
        assert np.isfinite(report.values[:, :, 0]).all(), model
        counts = report.counts
        assert min(counts.applied, counts.rejected, counts.late, counts.quarantined) > 5


@pytest.mark.parametrize("model", MODELS)
def test_one_tick_at_a_time_with_a_report_after_each_ends_in_the_same_bits(model: str) -> None:
    step = 1 if model in {"historical", "gaussian", "ewma"} else 20 if model in SLOW else 2
    cuts = list(range(0, len(MARKET), step))
    assert run(model, cuts, set(range(len(cuts) + 2))) == whole(model)


@pytest.mark.parametrize("model", MODELS)
def test_any_batches_and_any_reports_in_between_end_in_the_same_bits(model: str) -> None:
    @given(
        st.lists(st.integers(0, len(MARKET)), max_size=30),
        st.sets(st.integers(0, 30), max_size=10),
        st.sampled_from(EVALUATIONS),
    )
    @settings(max_examples=2 if model in SLOW else 10, deadline=None)
    def check(cuts: list[int], asked: set[int], evaluation: str) -> None:
        assert run(model, cuts, asked, evaluation) == whole(model)

    check()


def reported(cuts: list[int], evaluation: str) -> list[tuple[bytes, ...]]:
    """Reports at fixed places, peaks included, however the ticks between them come."""
    engine, found = fresh("historical", evaluation), []
    for start, stop in pairwise(sorted({0, len(MARKET), *PLACES, *cuts})):
        if start == BREAK:
            break_link(engine)
        engine.update(MARKET[start:stop])
        if stop in PLACES:
            report = engine.report(START + stop)
            found.append((*bits(report), peaks(report)))
    return found


PLACES = (*range(200, len(MARKET), 97), BREAK, len(MARKET))
REPORTED = {evaluation: reported([], evaluation) for evaluation in EVALUATIONS}


@given(
    st.lists(st.integers(0, len(MARKET)), max_size=60),
    st.sampled_from(EVALUATIONS),
)
@settings(max_examples=30, deadline=None)
def test_any_batches_between_the_same_reports_have_the_same_peaks(
    cuts: list[int], evaluation: str
) -> None:
    assert reported(cuts, evaluation) == REPORTED[evaluation]


def test_peaks_are_there_where_every_tick_is_evaluated_and_only_there() -> None:
    for tick, batch in zip(REPORTED["every-tick"], REPORTED["per-batch"], strict=True):
        assert tick[:-1] == batch[:-1]
        assert batch[-1] == b""
    last = np.frombuffer(REPORTED["every-tick"][-1][-1])
    assert np.isfinite(last).all()
    assert len(last) == 5 * 2 * 2  # lines, confidences, VaR and ES


def test_a_report_is_a_snapshot_that_later_ticks_do_not_reach() -> None:
    for model in ("historical", "filtered"):
        engine = fresh(model)
        engine.update(MARKET[:BREAK])
        report = engine.report(START)
        before, problems = bits(report), dict(report.problems)
        engine.update(MARKET[BREAK:])
        engine.report(START)
        assert bits(report) == before
        assert report.problems == problems
