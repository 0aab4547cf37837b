"""The same ticks give the same bits, however they are cut into batches and whenever it is asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from engine_support import START, make_engine, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.engine import RiskEngine
from rtre.market import LinkChange, TickBatch
from rtre.report import RiskReport

# one model of each way to get there: order statistics, running sums, a recursion, a plain estimate
# at each close, and one that fits
MODELS = {
    "historical": {},
    "gaussian": {},
    "ewma": {"decay": 0.9},
    "filtered": {},
    "volatility-weighted": {},
    "student-t": {},
}


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


def fresh(model: str) -> RiskEngine:
    return make_engine(
        model, parameters=dict(MODELS[model]), window=200, min_obs=20, options={"refit_every": 25}
    )


def end(engine: RiskEngine) -> tuple[bytes, ...]:
    """Everything a last report shows, as bits."""
    report = engine.report(START + 300_000_000_000)
    return (*bits(report), repr(sorted(report.problems.items())).encode())


def bits(report: RiskReport) -> tuple[bytes, ...]:
    arrays = (
        report.values, report.prices, report.changes, report.exposures, report.n_obs,
        report.qualities, report.received_ns,
    )  # fmt: skip
    return (*(a.tobytes() for a in arrays), repr(report.counts).encode())


def run(model: str, cuts: list[int], asked: set[int]) -> tuple[bytes, ...]:
    """Feed the market in pieces; report after the pieces in `asked`; break a link half way."""
    engine = fresh(model)
    bounds = sorted({0, BREAK, len(MARKET), *cuts})
    for k, (start, stop) in enumerate(pairwise(bounds)):
        if start == BREAK:
            engine.link_changed(LinkChange((1,), up=False, ts_ns=0))
            engine.link_changed(LinkChange((1,), up=True, ts_ns=0))
        engine.update(MARKET[start:stop])
        if k in asked:
            engine.report(START + start)
    return end(engine)


WHOLE = {model: run(model, [], set()) for model in MODELS}


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
    step = 1 if model in {"historical", "gaussian", "ewma"} else 2
    cuts = list(range(0, len(MARKET), step))
    assert run(model, cuts, set(range(len(cuts) + 2))) == WHOLE[model]


@given(
    st.sampled_from(sorted(MODELS)),
    st.lists(st.integers(0, len(MARKET)), max_size=30),
    st.sets(st.integers(0, 30), max_size=10),
)
@settings(max_examples=40, deadline=None)
def test_any_batches_and_any_reports_in_between_end_in_the_same_bits(
    model: str, cuts: list[int], asked: set[int]
) -> None:
    assert run(model, cuts, asked) == WHOLE[model]


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
