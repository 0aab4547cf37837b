"""The engine from outside: ticks in, numbers out, and what it says when it has none."""

from __future__ import annotations

import math
from typing import Any

import attrs
import numpy as np
import pytest
from engine_support import BOOKS, SECOND, START, make_engine, pause, walk

from rtre import names
from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.errors import DataError, UnknownNameError
from rtre.figures import RiskEstimate
from rtre.lineup import make_model
from rtre.market import LinkChange, Quality, TickBatch, Universe
from rtre.models.base import FIT_PENDING
from rtre.report import RiskReport

ALL = names.available("models")
FAST = tuple(m for m in ALL if m not in {"evt", "garch", "monte-carlo"})
NOW = START + 200 * SECOND


def estimates(report: RiskReport, name: str) -> tuple[RiskEstimate, ...]:
    found = report[name].estimates
    assert found, report[name].problem
    return found


@pytest.mark.parametrize("model", ALL)
def test_every_model_gives_what_its_definition_gives_for_the_sample(model: str) -> None:
    parameters: dict[str, Any] = {"min_exceedances": 5} if model == "evt" else {}
    if model == "monte-carlo":
        parameters = {"draws": 2000}
    engine = make_engine(model, parameters=parameters, window=130, options={"refit_every": 1000})
    engine.update(walk(135))
    report = engine.report(NOW)
    for line, found in enumerate(report):
        sample = engine.lines.sample(line)
        assert found.n_obs == len(sample)
        if found.name == "C":
            assert [(e.var, e.es) for e in found.estimates] == [(0.0, 0.0)] * 2
            continue
        wanted = engine.model.estimate_line(
            engine.lines, line, report.confidences, engine.fitted.get(line)
        )
        if not (model == "monte-carlo" and found.is_book):  # which has the returns of its assets
            fit = engine.fitted.get(line)
            assert repr(wanted) == repr(engine.model.estimate(sample, report.confidences, fit))
        if engine.lines.closed and not found.is_book:
            last, close = engine.lines.prices[line, 0], engine.lines.prices[line, 3]
            scale = last / close
        else:
            scale = 1.0
        for got, want in zip(found.estimates, wanted, strict=True):
            # 1e-9: running sums and one-pass sums differ in their rounding
            assert (got.var, got.es) == pytest.approx((scale * want.var, scale * want.es), rel=1e-9)
            assert got.es >= got.var
    assert sum(1 for _ in report) == 5


def test_before_min_obs_there_is_a_reason_and_no_number() -> None:
    engine = make_engine(min_obs=10)
    engine.update(walk(10))  # nine returns
    line = engine.report(START)["A"]
    assert (line.n_obs, line.estimates) == (9, ())
    assert line.problem == "WARMING: 9 of 10 observations"
    assert Quality.WARMING in line.quality
    assert engine.report(START)["hedged"].problem == "WARMING: 9 of 10 complete rows"
    engine.update(walk(1, first=10, seed=1))
    assert estimates(engine.report(START), "A")


def test_an_engine_without_any_tick_reports_reasons() -> None:
    for model in FAST:
        report = make_engine(model).report(START)
        assert all(line.problem.startswith("WARMING") for line in report)
        assert report["A"].quality == Quality.UNPRICED | Quality.WARMING
        assert report["A"].age_ns is None
        assert report.oldest_input_ns is None
        assert report.affected == 1.0


def test_a_book_is_simulated_over_common_intervals_and_is_not_a_sum_of_vars() -> None:
    engine = make_engine(confidence=(0.95,))
    engine.update(walk(30))
    report = engine.report(NOW)
    lines = engine.lines
    order = (lines.oldest + np.arange(lines.rows)) % lines.window
    exposure = np.array([10.0, -5.0]) * lines.last[:2]
    pnl = (exposure[:, None] * lines.returns[:2, order]).sum(axis=0)[1:]  # the first is masked
    losses = np.sort(-pnl)[::-1]
    book = estimates(report, "hedged")[0]
    assert len(pnl) == report["hedged"].n_obs == 29
    assert book.var == pytest.approx(losses[1], rel=1e-9)  # k = ceil(29 / 20) = 2
    assert book.var < estimates(report, "A")[0].var + estimates(report, "B")[0].var


def test_a_short_position_is_at_risk_from_a_rise() -> None:
    engine = make_engine(books={"b": {"A": 1.0, "B": -1.0}}, symbols=("A", "B"), confidence=(0.95,))
    prices = [100.0] * 14 + [105.0]
    at = [START + k * SECOND for k in range(15)]
    for k, price in enumerate(prices):
        engine.update(TickBatch.of([0, 1], [price, price], at[k]))
    report = engine.report(at[-1])
    assert estimates(report, "A")[0].var == 0.0
    assert estimates(report, "B")[0].var == pytest.approx(105.0 * 0.05)
    assert math.copysign(1.0, estimates(report, "A")[0].var) == 1.0


def test_var_moves_with_every_price() -> None:
    for model in ("historical", "gaussian", "ewma"):
        engine = make_engine(model)
        engine.update(walk(30))
        before = estimates(engine.report(NOW), "A")[0].var
        last = float(engine.lines.last[0])
        engine.update(TickBatch.of(0, 1.001 * last, START + 30 * SECOND))
        assert estimates(engine.report(NOW), "A")[0].var != before


@pytest.mark.parametrize("model", ["filtered", "volatility-weighted"])
def test_between_two_closes_an_interval_model_follows_the_exposure(model: str) -> None:
    engine = make_engine(model, window=130)
    engine.update(walk(120))
    engine.update(TickBatch.of([0, 1], engine.lines.last[:2], START + 120 * SECOND))
    first = engine.report(NOW)
    if engine.lines.closed:
        last = float(engine.lines.last[0])
        engine.update(TickBatch.of(0, 1.01 * last, START + 120 * SECOND + 1))
        second = engine.report(NOW)
        for a, b in zip(estimates(first, "A"), estimates(second, "A"), strict=True):
            assert b.var == pytest.approx(1.01 * a.var, rel=1e-12)
        assert [e.var for e in estimates(first, "B")] == [e.var for e in estimates(second, "B")]


def test_the_horizon_scales_by_the_square_root_of_time() -> None:
    one, day = make_engine(), make_engine(horizon="1d")
    for engine in (one, day):
        engine.update(walk(30))
    a, b = one.report(NOW)["A"], day.report(NOW)["A"]
    factor = math.sqrt(6.5 * 3600)
    assert b.estimates[0].var == pytest.approx(factor * a.estimates[0].var, rel=1e-12)
    assert "1d" in b.estimates[0].horizon.label


def test_every_tick_is_counted_once_by_what_became_of_it() -> None:
    engine = make_engine()
    prices = [100.0, math.nan, math.inf, -1.0, 0.0, 100.0, 100.0, 300.0, 100.1, 100.2]
    asset = [0, 0, 0, 0, 0, 7, 0, 0, 0, 0]
    event = [START] * 6 + [0] + [START + 1] * 2 + [START - 1]
    engine.update(TickBatch.of(asset, prices, event, ts_init_ns=START))
    counts = engine.counts()
    assert (counts.applied, counts.rejected) == (2, 6)
    assert (counts.late, counts.quarantined) == (1, 1)
    assert counts.received == 10
    outside = attrs.evolve(counts, duplicate=5, conflated=7)
    both = engine.report(START, outside=outside).counts
    assert both.received == 10 + outside.received
    assert (both.duplicate, both.conflated) == (5, 7)


def test_a_tick_from_the_future_is_refused_and_one_within_the_lead_is_not() -> None:
    engine = make_engine()
    lead = engine.config.clock_lead
    engine.update(TickBatch.of(0, 100.0, START + lead, ts_init_ns=START))
    engine.update(TickBatch.of(0, 100.0, START + lead + 1, ts_init_ns=START))
    assert (engine.counts().applied, engine.counts().rejected) == (1, 1)


def test_times_at_the_ends_of_an_integer_are_judged_and_not_wrapped() -> None:
    engine = make_engine()
    big = 2**63 - 1
    engine.update(TickBatch.of(0, 100.0, [1, big, -big, big], ts_init_ns=[-big, 0, big, big]))
    assert (engine.counts().applied, engine.counts().rejected) == (1, 3)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("wrong", [(3,), (-1,), (0, 1.5), ("A",)])
def test_a_link_of_an_asset_that_is_not_there_is_refused_and_nothing_changes(
    wrong: Any, up: bool
) -> None:
    engine = make_engine()
    engine.update(walk(5))
    before = engine.lines.snapshot()
    with pytest.raises(DataError, match="asset must be a whole number from 0 to 2; got"):
        engine.link_changed(LinkChange(wrong, up=up, ts_ns=START))
    assert engine.lines.snapshot() == before


def test_a_lost_connection_is_said_and_its_hole_masked_until_a_whole_interval_was_seen() -> None:
    engine = make_engine()
    engine.update(walk(20))
    n_before = engine.report(NOW)["A"].n_obs
    at = START + 20 * SECOND
    engine.link_changed(LinkChange((0,), up=False, ts_ns=at))
    down = engine.report(NOW)
    assert down["A"].quality & ~Quality.STALE == Quality.DISCONNECTED | Quality.GAP
    assert Quality.DISCONNECTED in down["hedged"].quality
    assert Quality.DISCONNECTED not in down["short"].quality
    engine.update(TickBatch.of(1, engine.lines.last[1], at))  # another feed opens the next row
    assert Quality.GAP in engine.report(NOW)["A"].quality, "nothing of it was seen yet"
    engine.link_changed(LinkChange((0,), up=True, ts_ns=at))
    last = float(engine.lines.last[0])
    engine.update(TickBatch.of([0, 1], [last, 100.0], at + SECOND))
    up = engine.report(NOW)["A"]
    assert up.change is None, "the return across the hole"
    assert up.quality & ~Quality.STALE == Quality.GAP
    engine.update(TickBatch.of(0, last * 1.001, at + 2 * SECOND))
    assert engine.report(NOW)["A"].n_obs == n_before + 1
    engine.update(TickBatch.of(0, last * 1.002, at + 3 * SECOND))
    assert Quality.GAP not in engine.report(NOW)["A"].quality


def test_staleness_and_suspicion_show_with_the_book_that_holds_the_symbol() -> None:
    engine = make_engine(stale_after=pause(5.0))
    engine.update(walk(20, assets=2))
    end = START + 20 * SECOND
    engine.update(TickBatch.of([0, 0], [engine.lines.last[0], 500.0], end))
    report = engine.report(end + 5 * SECOND)
    assert report["A"].quality == Quality.SUSPECT
    assert report["A"].price != 500.0
    assert report["B"].quality == Quality.STALE
    assert report["hedged"].quality == Quality.SUSPECT | Quality.STALE
    assert report["short"].quality == Quality.STALE
    assert report["C"].quality == Quality.UNPRICED | Quality.WARMING
    assert report.quality == Quality.SUSPECT | Quality.STALE | Quality.UNPRICED | Quality.WARMING


def test_the_affected_share_is_that_of_gross_exposure() -> None:
    engine = make_engine(stale_after=pause(5.0), books={"b": {"A": 3.0, "B": -1.0}})
    engine.update(walk(20, assets=2))
    end = START + 20 * SECOND
    engine.update(TickBatch.of(0, engine.lines.last[0], end))
    report = engine.report(end + SECOND)
    assert report.affected == 0.0, "C has no price, and no position either"
    report = engine.report(end + 5 * SECOND)
    a, b = 3.0 * engine.lines.last[0], engine.lines.last[1]
    assert report.affected == pytest.approx(b / (a + b))
    assert report["b"].age_ns == 5.5 * SECOND, "the book is as old as its oldest input"
    assert report["A"].age_ns == 5 * SECOND
    assert report.oldest_input_ns is None, "of C nothing was received"


def test_the_sizes_that_need_care_work() -> None:
    for symbols, books in (
        (("A",), {}),
        (("A",), {"b": {"A": 1.0}}),
        (("A", "B"), {"b": {"A": 0.0}}),
        (("A", "B"), {"b": {"A": 1.0}, "c": {"A": -1.0}}),
    ):
        for model in ("historical", "gaussian", "ewma", "filtered"):
            engine = make_engine(
                model, symbols=symbols, books=books, window=2 if model != "filtered" else 110,
                min_obs=2,
            )  # fmt: skip
            engine.update(walk(112, assets=len(symbols)))
            report = engine.report(NOW)
            report.to_dict()
            line = report["A"]
            want = 1.0 if books.get("b", {}).get("A") and len(books) == 1 else 0.0
            assert line.exposure == pytest.approx(want * line.price)
            if model == "historical":
                assert line.estimates


def test_a_book_named_like_a_symbol_and_other_nonsense_are_refused() -> None:
    universe = Universe(("A",))
    with pytest.raises(DataError, match="A"):
        RiskEngine(universe, {"A": {"A": 1.0}})
    with pytest.raises(UnknownNameError, match="nosuch"):
        make_model(RiskConfig(model="nosuch"))
    with pytest.raises(DataError, match="colour"):
        make_model(RiskConfig(parameters={"colour": 1}))
    with pytest.raises(UnknownNameError, match="not a model"):
        make_model(RiskConfig(model="rtre.engine:RiskEngine", parameters={
            "universe": universe, "books": {},
        }))  # fmt: skip


# ---- fits


def student(**options: Any) -> RiskEngine:
    return make_engine(
        "student-t", window=80, min_obs=50, options={"refit_every": 20} | options, books=BOOKS
    )


def test_without_a_fit_there_is_no_number_and_with_it_its_age() -> None:
    engine = student(inline_fits=False)
    engine.update(walk(60))
    line = engine.report(NOW)["A"]
    assert (line.problem, line.estimates, line.model_age_ns) == (FIT_PENDING, (), None)
    assert Quality.WARMING in line.quality
    jobs = engine.fit_jobs()
    assert {job.line for job in jobs} == {0, 1, 2, 3, 4}
    assert engine.fit_jobs() == [], "each is out already"
    for job in jobs:
        engine.take_fit(job, job.run())
    report = engine.report(NOW)
    # the newest closed interval ends where the open one, number 59, begins
    assert report["A"].model_age_ns == NOW - (START + 59 * SECOND)
    assert report.to_dict()["symbols"][0]["model_age_ns"] == report["A"].model_age_ns
    assert estimates(report, "A")
    assert not report.qualities.any() or Quality.WARMING not in report["A"].quality


def test_a_fit_is_due_again_after_so_many_intervals_and_the_oldest_comes_first() -> None:
    engine = student(inline_fits=False)
    engine.update(walk(60))
    first = engine.fit_jobs(limit=2)
    assert [job.line for job in first] == [0, 1]
    for job in first:
        engine.take_fit(job, job.run())
    assert [job.line for job in engine.fit_jobs(limit=2)] == [2, 3]
    engine.update(walk(19, first=60, seed=1))
    assert [job.line for job in engine.fit_jobs()] == [4]
    engine.update(walk(1, first=79, seed=2))
    assert [job.line for job in engine.fit_jobs()] == [0, 1]


def test_a_result_that_nobody_waits_for_is_not_used() -> None:
    engine, other = student(inline_fits=False), student(inline_fits=False)
    for each in (engine, other):
        each.update(walk(60))
    stray = other.fit_jobs()[0]
    engine.take_fit(stray, stray.run())
    assert engine.fitted == {}


def test_a_job_does_not_see_what_happens_after_it_was_made() -> None:
    engine = student(inline_fits=False)
    engine.update(walk(60))
    job = engine.fit_jobs()[0]
    before = job.run()
    engine.update(walk(20, first=60, seed=5, scale=0.02))
    assert job.run() == before


def test_a_fit_that_is_not_possible_says_why_and_is_tried_again_soon() -> None:
    engine = make_engine(
        "evt", window=130, min_obs=100, options={"inline_fits": False, "refit_every": 20}
    )
    engine.update(walk(120))  # a tenth of 119 losses lie beyond the threshold: not 50
    job = engine.fit_jobs(limit=1)[0]
    engine.take_fit(job, job.run())
    line = engine.report(NOW)["A"]
    assert "50" in line.problem
    assert (line.estimates, line.model_age_ns) == ((), None)
    others = {1, 2, 3, 4}
    assert {job.line for job in engine.fit_jobs()} == others
    engine.update(walk(1, first=120))
    assert engine.fit_jobs() == []
    engine.update(walk(1, first=121))
    assert [job.line for job in engine.fit_jobs()] == [0]


def test_inline_fits_are_made_while_the_ticks_are_applied() -> None:
    engine = student()
    engine.update(walk(60))
    assert engine.fit_jobs() == []
    assert set(engine.fitted) == {0, 1, 2, 3, 4}
    assert engine.fitted[2] is None, "C is not held: a P&L of zeros needs no law"
    assert estimates(engine.report(NOW), "hedged")
    assert estimates(engine.report(NOW), "C")[0].var == 0.0


def test_a_model_without_a_fit_has_no_jobs_and_no_age() -> None:
    engine = make_engine()
    engine.update(walk(60))
    assert engine.fit_jobs() == []
    assert engine.report(NOW)["A"].model_age_ns is None


def test_nobody_who_has_a_report_can_change_what_the_others_see() -> None:
    engine = make_engine(beside=("ewma",))
    engine.update(walk(12))
    report = engine.report(START)
    names = [
        "values",
        "prices",
        "changes",
        "exposures",
        "n_obs",
        "qualities",
        "received_ns",
        "peaks",
    ]
    arrays = [report.sheet.block, *(getattr(report, name) for name in names)]
    arrays += [
        array for m in report.models for array in (m.sheet.values, m.sheet.n_obs, m.sheet.block)
    ]
    assert len(arrays) == 9 + 6
    assert not any(array.flags.writeable for array in arrays)


def test_a_model_that_looks_several_intervals_ahead_is_scaled_from_there_and_not_scored() -> None:
    def engine(steps: int, horizon: str) -> RiskEngine:
        return make_engine(
            "filtered", parameters={"steps": steps}, horizon=horizon, window=150, track="books"
        )

    one, ten = engine(1, "10s"), engine(10, "10s")
    for each in (one, ten):
        each.update(walk(170, scale=1e-4))
    path, root = (e.report(START)["hedged"].estimates[0].var for e in (ten, one))
    assert path == pytest.approx(root, rel=0.5), "ten seconds either way, not ten times root ten"
    estimator = ten._estimators[0]
    assert path == estimator.values[3, 0, 0], "the path is the horizon: nothing is left to scale"
    scored = [each.track["hedged"][0].n for each in (one, ten) if each.track is not None]
    assert scored[0] > 0 == scored[1]
