"""Live backtests: what is scored, against what, and that nobody looks ahead."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from engine_support import BOOKS, SECOND, START, make_engine, walk

from rtre import names, scorer
from rtre import track as track_module
from rtre.backtest.coverage import binomial, kupiec
from rtre.backtest.eprocess import var_eprocess
from rtre.backtest.exceedances import Counts, exceedances
from rtre.backtest.independence import christoffersen, conditional_coverage
from rtre.backtest.prices import PricePanel
from rtre.backtest.rolling import roll_panel
from rtre.backtest.scores import diebold_mariano, fz0
from rtre.backtest.traffic_light import traffic_light
from rtre.engine import RiskEngine
from rtre.errors import DataError
from rtre.market import Float64, LinkChange, TickBatch
from rtre.track import LEAST

MODELS = ("historical", "ewma", "filtered", "student-t")
NOW = START + 5000 * SECOND


def tournament(**risk: Any) -> RiskEngine:
    settings: dict[str, Any] = {"window": 120, "beside": MODELS[1:]} | risk
    options = settings.pop("options", {"refit_every": 25})
    return make_engine(MODELS[0], options=options, **settings)


def market(intervals: int = 400, seed: int = 3) -> TickBatch:
    """Ticks with intervals in which one asset, or none, trades."""
    clean = walk(intervals, seed=seed)
    rng = np.random.default_rng(seed)
    interval = (clean.ts_event_ns - START) // SECOND
    quiet = rng.random((intervals, 3)) < 0.03
    keep = ~quiet[interval, clean.asset] & ~np.isin(interval, (200, 201, 300))
    return TickBatch.of(clean.asset[keep], clean.price[keep], clean.ts_event_ns[keep])


class Recorded:
    """What an engine's scorer was told, interval by interval."""

    def __init__(self, engine: RiskEngine) -> None:
        assert engine._scorer is not None
        self.scorer = engine._scorer
        self.intervals: list[int] = []
        self.losses: list[Float64] = []
        self.forecasts: list[Float64] = []
        close = self.scorer.close

        def closing() -> None:
            self.intervals.append(engine.lines.open_interval)
            self.forecasts.append(self.scorer.forecasts())
            self.losses.append(-self.scorer.outcomes())
            close()

        self.scorer.close = closing  # type: ignore[method-assign]


def recorded(engine: RiskEngine, batch: TickBatch) -> tuple[Float64, Float64]:
    """Losses (T, S) and forecasts (T, S, M, C, 2) of all intervals that closed."""
    tape = Recorded(engine)
    engine.update(batch)
    return np.array(tape.losses), np.array(tape.forecasts)


def test_the_track_is_what_the_batch_functions_make_of_the_recorded_intervals() -> None:
    engine = tournament()
    losses, forecasts = recorded(engine, market())
    track = engine.track
    assert track is not None
    assert track.lines == ("hedged", "short")
    assert track.intervals == len(losses)
    for s, name in enumerate(track.lines):
        for c, confidence in enumerate(track.confidences):
            var, es = forecasts[:, s, :, c, 0], forecasts[:, s, :, c, 1]
            used = ~np.isnan(losses[:, s, None]) & ~np.isnan(var)
            common = used.all(axis=1)
            scores = {
                m: fz0(losses[common, s], var[common, m], es[common, m], confidence)
                for m in range(len(MODELS))
            }
            order = sorted(scores, key=lambda m: float(np.mean(scores[m])))
            found = track.at(name, confidence)
            assert [f.model for f in found] == [MODELS[m] for m in order]
            for f, m in zip(found, order, strict=True):
                rows = used[:, m]
                lost, at = losses[rows, s], var[rows, m]
                hits = Counts.of(exceedances(lost, at))
                assert (f.n, f.exceedances) == (hits.n, hits.x)
                assert f.zone == traffic_light(hits.n, hits.x, confidence).zone
                pairs = hits.transitions
                for p, test in (
                    (f.binomial, binomial(hits.n, hits.x, confidence)),
                    (f.kupiec, kupiec(hits.n, hits.x, confidence)),
                    (f.independence, christoffersen(pairs)),
                    (f.conditional, conditional_coverage(hits.n, hits.x, pairs, confidence)),
                ):
                    assert p == pytest.approx(test.p_value, rel=1e-9)  # two libraries' tails
                bet = var_eprocess(lost, at, confidence)
                assert f.e_value == pytest.approx(bet.e_value, rel=1e-11)  # sums of logarithms
                assert f.e_p_value == pytest.approx(bet.p_value, rel=1e-11)
                assert f.unforecast == np.count_nonzero(np.isnan(var[:, m]))
                assert f.masked == len(losses) - f.n - f.unforecast > 0
                assert f.fz0_n == np.count_nonzero(common) > 200
                assert f.fz0 == pytest.approx(float(np.mean(scores[m])), abs=1e-12)
                if m == order[0]:
                    assert (f.place, f.behind) == (1, None)
                    continue
                versus = diebold_mariano(scores[m], scores[order[0]])
                wanted = (versus.difference, versus.low, versus.high)
                # 1e-12: scores of one period by the kernel and by numpy differ in the last bit
                assert (f.behind, f.behind_low, f.behind_high) == pytest.approx(wanted, abs=1e-12)


def test_the_live_track_is_the_backtest_of_the_same_prices() -> None:
    window, intervals, held = 60, 260, {"A": 3.0, "B": -2.0}
    batch = walk(intervals, assets=2)
    engine = make_engine(
        "historical", beside=("gaussian", "volatility-weighted"), symbols=("A", "B"),
        books={"b": held}, window=window, min_obs=window - 1, confidence=(0.95,),
    )  # fmt: skip
    losses, forecasts = recorded(engine, batch)
    last = batch.price.reshape(intervals, 2, 2)[:, -1]
    days = np.datetime64("2020-01-01") + np.arange(intervals)
    models = [names.find("models", m)() for m in ("historical", "gaussian", "volatility-weighted")]
    (line,) = roll_panel(
        PricePanel(("A", "B"), days, last, ""), {"b": held}, models, (0.95,),
        window=window - 1, min_obs=window - 1,
    )  # fmt: skip
    n = len(line.losses)
    assert n == intervals - window
    # the engine has not closed the last interval yet
    assert losses[-n + 1 :, 0] == pytest.approx(line.losses[:-1], rel=1e-9)
    for m in range(3):
        ours = forecasts[-n + 1 :, 0, m, 0]
        assert ours[:, 0] == pytest.approx(line.var[m, :-1, 0], rel=1e-9)
        assert ours[:, 1] == pytest.approx(line.es[m, :-1, 0], rel=1e-9)


def test_an_outcome_is_the_move_of_the_position_as_it_was_held_and_masked_where_unknown() -> None:
    engine = make_engine(books={"b": {"A": 2.0, "B": -1.0}}, symbols=("A", "B"), track="all")
    tape = Recorded(engine)
    prices = {0: (100.0, 50.0), 1: (101.0, 50.0), 2: (None, 51.0), 3: (102.0, 52.0), 4: (103.0, 50)}
    for interval, pair in prices.items():
        for asset, price in enumerate(pair):
            if price is not None:
                engine.update(TickBatch.of(asset, price, START + interval * SECOND))
    engine.update(TickBatch.of(0, 103.0, START + 5 * SECOND))
    nan = np.nan
    wanted = [  # A, B, the book; A does not trade in interval 2
        (nan, nan, nan), (-2.0, 0.0, -2.0), (nan, 1.0, nan), (nan, 1.0, nan), (-2.0, -2.0, -4.0),
    ]  # fmt: skip
    assert np.array(tape.losses) == pytest.approx(np.array(wanted), nan_ok=True)
    assert tape.intervals == [START // SECOND + i for i in prices]


def test_what_happens_in_an_interval_never_moves_the_forecast_for_it() -> None:
    calm = market(300)
    t = START + 250 * SECOND
    moved = TickBatch.of(
        calm.asset, np.where(calm.ts_event_ns >= t, calm.price * 1.05, calm.price),
        calm.ts_event_ns,
    )  # fmt: skip
    one, other = tournament(track="all"), tournament(track="all")
    tapes = Recorded(one), Recorded(other)
    one.update(calm)
    other.update(moved)
    upto = tapes[0].intervals.index(t // SECOND)
    assert tapes[0].intervals == tapes[1].intervals
    first, second = (np.array(tape.forecasts) for tape in tapes)
    assert np.isfinite(first[upto]).all()
    assert first[: upto + 1].tobytes() == second[: upto + 1].tobytes()
    assert tapes[0].losses[upto].tobytes() != tapes[1].losses[upto].tobytes()
    assert first[upto + 1].tobytes() != second[upto + 1].tobytes()


@pytest.mark.parametrize("model", MODELS)
def test_a_forecast_is_the_models_answer_to_the_closed_intervals(model: str) -> None:
    engine = make_engine(model, window=120, track="all", options={"refit_every": 1000})
    tape = Recorded(engine)
    batch = walk(131)
    last = np.flatnonzero(batch.ts_event_ns < START + 130 * SECOND)[-1] + 1
    engine.update(batch[: last + 1])  # the first tick of interval 130 opened it
    waiting = tape.scorer.forecasts()
    for s, line in enumerate(tape.scorer.tracked.tolist()):
        sample = engine.lines.sample(line, closed=True)
        tails = engine.model.estimate(sample, engine.config.confidence, engine.fitted.get(line))
        for c, tail in enumerate(tails):
            # 1e-9: running sums and one-pass sums differ in their rounding
            assert tuple(waiting[s, 0, c]) == pytest.approx((tail.var, tail.es), rel=1e-9)


def without_peaks(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but the highest values since the report before, which depend on when that was."""
    for line in lines:
        for estimate in line["estimates"]:
            assert estimate.pop("var_peak", estimate["var"]) >= estimate["var"]
            assert estimate.pop("es_peak", estimate["es"]) >= estimate["es"]
    return lines


def test_however_ticks_are_batched_and_reports_asked_for_the_track_is_the_same() -> None:
    batch = market(330)
    whole = tournament()
    whole.update(batch)
    wanted = whole.report(NOW).to_dict()
    rng = np.random.default_rng(5)
    for _ in range(3):
        engine = tournament()
        cuts = sorted({0, len(batch), *rng.integers(0, len(batch), 200).tolist()})
        for start, stop in pairwise(cuts):
            engine.update(batch[start:stop])
            if rng.random() < 0.5:
                report = engine.report(NOW)
                if rng.random() < 0.2:
                    report.to_dict()
        got = engine.report(NOW).to_dict()
        assert json.dumps(got["track"]) == json.dumps(wanted["track"])
        assert without_peaks(got["books"]) == without_peaks(wanted["books"])


def test_a_summary_never_changes_and_is_made_once_an_interval() -> None:
    engine = tournament()
    batch = market(700)
    at = len(batch) // 3
    engine.update(batch[:at])
    early, twice = engine.report(NOW), engine.report(NOW)
    assert early.track is not None
    assert early.track is twice.track
    copy = early.to_dict()["track"]
    unread = tournament()
    unread.update(batch[:at])
    later = unread.report(NOW)
    unread.update(batch[at:])
    assert later.to_dict()["track"] == copy, "read only after the engine had gone on"
    assert unread.report(NOW).track is not later.track


def test_memory_is_bounded_and_the_counts_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "MOST_ROWS", 500)
    engine = make_engine("historical", beside=("gaussian",), books={"b": {"A": 1.0}})
    for part in range(4):
        engine.update(walk(450, per_interval=1, first=450 * part, seed=part))
        track = engine.track
        assert track is not None
        assert len(track.log.blocks) <= 4
    found = track["b"][0]
    assert found.n > 1700
    assert found.fz0_n == 500
    assert found.recent_n == 250


def test_what_one_reader_does_to_a_track_no_other_sees() -> None:
    engine = make_engine("historical", beside=("ewma",))
    engine.update(walk(60))
    report = engine.report(NOW)
    track = report.track
    assert track is not None
    wanted = json.dumps(report.to_dict()["track"])
    mine = report.to_dict()["track"]
    mine["lines"][0]["standings"][0]["n"] = -1
    mine["lines"][0]["standings"].pop()
    mine["lines"].pop()
    mine["intervals"] = -1
    assert json.dumps(report.to_dict()["track"]) == wanted
    arrays = [track.counts, track.served, track.tails]
    arrays += [a for block in track.log.blocks for a in (block.scores, block.hits)]
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    engine.update(walk(3, first=60, seed=1))
    assert engine.track is not None
    assert engine.track["short"][0].n == track["short"][0].n + 3, "the engine still writes"


def test_a_single_line_is_computed_without_the_others_and_gives_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = tournament(track="all")
    engine.update(market(200))
    whole = engine.track
    assert whole is not None
    whole.to_dict()
    engine._scorer._summary = None  # type: ignore[union-attr]
    one = engine.track
    assert one is not None
    seen: list[tuple[int, ...]] = []
    figures = track_module.coverage_figures

    def watched(n: Float64, *others: Any) -> Any:
        seen.append(n.shape)
        return figures(n, *others)

    monkeypatch.setattr(track_module, "coverage_figures", watched)
    for name in ("short", "A"):
        assert one[name] == whole[name]
    assert seen == [(1, len(MODELS), 2)] * 2


def test_a_broken_link_masks_the_interval_and_is_counted() -> None:
    engine = make_engine()
    engine.update(walk(40))
    assert engine.track is not None
    before = engine.track["short"][0]
    engine.link_changed(LinkChange((1,), up=False, ts_ns=0))
    engine.link_changed(LinkChange((1,), up=True, ts_ns=0))
    engine.update(walk(3, first=40, seed=2))
    after = engine.track["short"][0]
    assert (after.n, after.masked) == (before.n + 2, before.masked + 1)
    assert after.unforecast == before.unforecast == 11, "warming: nothing was forecast"


def test_what_is_tracked_can_be_chosen() -> None:
    held = {"b": {"A": 1.0, "B": -1.0}, "c": {"B": 1.0}, "empty": {"C": 0.0}}
    books, everything, off = (
        make_engine(books=held, track=track).track for track in ("books", "all", "off")
    )
    assert books is not None
    assert everything is not None
    assert books.lines == ("b", "c")
    assert everything.lines == ("A", "b", "c"), "B is held by nobody on balance, C not at all"
    assert off is None
    assert "track" not in make_engine(track="off").report(NOW).to_dict()
    assert make_engine(books={}).track is None
    with pytest.raises(DataError, match="'A' is not tracked; b, c are"):
        books["A"]


def test_few_intervals_give_a_difference_without_an_interval_and_none_give_nothing() -> None:
    engine = make_engine("historical", beside=("gaussian",))
    engine.update(walk(11))
    assert engine.track is not None
    found = engine.track["hedged"]
    assert [(f.n, f.zone, f.binomial, f.fz0, f.place) for f in found] == [
        (0, None, None, None, None)
    ] * 4
    assert {f.e_value for f in found} == {1.0}
    engine.update(walk(LEAST, first=11, seed=1))  # the last of them stays open
    second = engine.track["hedged"][1]
    assert second.fz0_n == LEAST - 1
    assert second.behind is not None
    assert (second.behind_low, second.behind_high) == (None, None)
    engine.update(walk(1, first=11 + LEAST, seed=1))
    assert engine.track["hedged"][1].behind_low is not None


def test_a_model_that_never_answers_is_not_scored_and_holds_nobody_up() -> None:
    engine = make_engine("historical", beside=("evt",), window=130)
    engine.update(walk(200))  # evt: too few losses beyond its threshold
    assert engine.track is not None
    first, second = engine.track.at("hedged", 0.99)
    assert (first.model, first.place, first.fz0_n) == ("historical", 1, first.n)
    assert (second.model, second.n, second.place, second.fz0) == ("evt", 0, None, None)
    assert second.unforecast == 199


def test_an_engine_whose_fits_come_later_scores_from_then_on() -> None:
    engine = make_engine(
        "student-t", window=80, min_obs=50, books=BOOKS, options={"inline_fits": False}
    )
    engine.update(walk(60))
    assert engine.track is not None
    assert engine.track["short"][0].n == 0
    for job in engine.fit_jobs():
        engine.take_fit(job, job.run())
    engine.update(walk(3, first=60, seed=1))
    found = engine.track["short"][0]
    assert found.n == 2, "the interval that was open had no forecast when it opened"
