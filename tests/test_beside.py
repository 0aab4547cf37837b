"""Several models on one stream: each says what it says alone, and a line shows its own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from engine_support import BOOKS, SECOND, START, make_engine, walk
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_determinism import BREAK, MARKET, MODELS

from rtre import names
from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.errors import DataError
from rtre.market import LinkChange, Quality
from rtre.models.base import FIT_PENDING
from rtre.report import RiskReport

NOW = START + 400 * SECOND
ALL = tuple(MODELS)


def bits(figures: Any) -> tuple[Any, ...]:
    fitted = None if figures.fitted_ns is None else figures.fitted_ns.tobytes()
    sheet, problems = figures.sheet, sorted(figures.problems.items())
    return sheet.values.tobytes(), sheet.n_obs.tobytes(), problems, figures.min_obs, fitted


def alone(report: RiskReport) -> tuple[Any, ...]:
    return bits(report._first)


def run(engine: RiskEngine, cuts: list[int], asked: set[int]) -> list[RiskReport]:
    """Feed the market in pieces and report after those in `asked`; break a link half way."""
    reports = []
    for k, (start, stop) in enumerate(pairwise(sorted({0, BREAK, len(MARKET), *cuts}))):
        if start == BREAK:
            engine.link_changed(LinkChange((1,), up=False, ts_ns=0))
            engine.link_changed(LinkChange((1,), up=True, ts_ns=0))
        engine.update(MARKET[start:stop])
        if k in asked:
            reports.append(engine.report(START + start))
    reports.append(engine.report(NOW))
    return reports


def fresh(model: str, **risk: Any) -> RiskEngine:
    parameters = {"ewma": {"decay": 0.9}}
    return make_engine(
        model, models=parameters, window=200, min_obs=20, options={"refit_every": 25}, **risk
    )


def check_bits(order: list[str], track: str, cuts: list[int], asked: set[int]) -> None:
    together = run(fresh(order[0], beside=tuple(order[1:]), track=track), cuts, asked)
    for place, model in enumerate(order):
        single = run(fresh(model, track="off"), cuts, asked)
        for one, several in zip(single, together, strict=True):
            assert several.models[place].model == model
            assert bits(several.models[place]) == alone(one)
            if place == 0:
                assert several.values.tobytes() == one.values.tobytes()
                assert several.qualities.tobytes() == one.qualities.tobytes()


@pytest.mark.parametrize("track", ["off", "books", "all"])
@pytest.mark.parametrize("turn", range(len(ALL)))
def test_whichever_comes_first_all_say_what_they_say_alone(turn: int, track: str) -> None:
    cuts = list(range(0, len(MARKET), 90))
    check_bits([*ALL[turn:], *ALL[:turn]], track, cuts, set(range(2, len(cuts), 2)))


@given(
    st.lists(st.integers(0, len(MARKET)), min_size=3, max_size=15),
    st.sets(st.integers(0, 15), max_size=8),
    st.sampled_from(["off", "books", "all"]),
    st.permutations(ALL),
)
# each example is seven runs of a market: to shrink one takes many minutes
@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_beside_others_a_model_gives_the_bits_that_it_gives_alone(
    cuts: list[int], asked: set[int], track: str, order: list[str]
) -> None:
    check_bits(order, track, cuts, asked)


def test_a_line_tells_what_each_model_says() -> None:
    engine = make_engine("historical", beside=("ewma", "student-t"), window=60)
    engine.update(walk(40))
    report = engine.report(NOW)
    line = report["hedged"]
    assert (line.model, list(line.beside)) == ("historical", ["ewma", "student-t"])
    assert [e.model for e in line.beside["ewma"].estimates] == ["ewma", "ewma"]
    assert line.beside["student-t"].problem == "WARMING: 38 of 50 complete rows"
    assert line.beside["student-t"].estimates == ()
    assert Quality.WARMING not in line.quality, "its own model has a number"
    said = report.to_dict()
    book = said["books"][0]
    assert (said["schema"], said["model"], book["model"]) == (1, "historical", "historical")
    assert book["beside"]["ewma"]["estimates"][0]["var"] == line.beside["ewma"].estimates[0].var
    assert book["beside"]["student-t"]["problem"].startswith("WARMING")


def test_with_one_model_a_report_has_no_key_for_others() -> None:
    engine = make_engine()
    engine.update(walk(40))
    for line in (said := engine.report(NOW).to_dict())["books"] + said["symbols"]:
        assert not {"model", "beside"} & set(line)


def test_a_book_may_have_a_model_of_its_own() -> None:
    engine = make_engine("historical", book_models={"short": "student-t"}, window=80, min_obs=10)
    plain = make_engine("historical", window=80, min_obs=10)
    fitted = make_engine("student-t", window=80, min_obs=10)
    for n, first in ((40, 0), (40, 40)):
        for each in (engine, plain, fitted):
            each.update(walk(n, first=first, seed=first))
        report, alone = engine.report(NOW), plain.report(NOW)
        for name in ("A", "B", "C", "hedged"):
            assert report[name].model == "historical"
            assert report[name].estimates == alone[name].estimates
            assert report[name].min_obs == 10
        own, same = report["short"], fitted.report(NOW)["short"]
        assert (own.model, own.min_obs, own.beside) == ("student-t", 50, {})
        assert (own.estimates, own.problem) == (same.estimates, same.problem)
        assert own.quality == same.quality
        assert own.model_age_ns == same.model_age_ns
    assert own.estimates
    assert report.values[4].tobytes() == fitted.report(NOW).values[4].tobytes()
    assert {s.model for s in report.track["short"]} == {"student-t"}  # type: ignore[index]
    assert {s.model for s in report.track["hedged"]} == {"historical"}  # type: ignore[index]


def test_a_model_runs_on_no_line_that_nobody_shows_it_on() -> None:
    engine = make_engine("historical", book_models={"short": "student-t"}, window=80)
    engine.update(walk(70))
    fits = engine._estimators[1].fits
    assert fits is not None
    assert set(fits.values) == {4}, "symbols and the other book have no use for a fit"
    assert np.isnan(engine.report(NOW).models[1].sheet.values[:4]).all()


def test_in_a_tournament_a_book_with_a_model_of_its_own_meets_all_others() -> None:
    engine = make_engine("historical", beside=("ewma",), book_models={"short": "ewma"})
    engine.update(walk(40))
    report = engine.report(NOW)
    assert (report["short"].model, list(report["short"].beside)) == ("ewma", ["historical"])
    assert (report["hedged"].model, list(report["hedged"].beside)) == ("historical", ["ewma"])
    assert report.to_dict()["books"][1]["model"] == "ewma"
    assert len(report.models) == 2, "the same model is not run twice"


def test_two_of_a_kind_run_side_by_side_under_the_text_that_asked_for_them() -> None:
    engine = make_engine("ewma", beside=("ewma(decay=0.8)", "fhs"), window=120)
    engine.update(walk(115))
    report = engine.report(NOW)
    assert [m.model for m in report.models] == ["ewma", "ewma(decay=0.8)", "filtered"]
    line = report["A"]
    assert line.estimates[0].var != line.beside["ewma(decay=0.8)"].estimates[0].var


def test_a_model_for_a_book_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        DataError, match="no book named 'x' to give a model; there is hedged, short"
    ):
        make_engine(book_models={"x": "ewma"})


def test_fits_of_several_models_take_turns_and_come_home() -> None:
    engine = make_engine(
        "student-t", beside=("filtered(filter=garch)",), window=130, min_obs=50, books=BOOKS,
        options={"inline_fits": False},
    )  # fmt: skip
    engine.update(walk(120))
    assert engine.report(NOW)["short"].problem == FIT_PENDING
    asked = [engine.fit_jobs(1)[0] for _ in range(4)]
    assert len({job.model for job in asked[:2]}) == 2
    assert [job.line for job in asked] == [0, 0, 1, 1]
    for job in [*asked, *engine.fit_jobs()]:
        engine.take_fit(job, job.run())
    assert engine.fit_jobs() == []
    short = engine.report(NOW)["short"]
    assert short.estimates
    assert short.beside["filtered(filter=garch)"].estimates
    assert short.beside["filtered(filter=garch)"].model_age_ns == short.model_age_ns
    assert set(engine.fitted) == {0, 1, 2, 3, 4}


def test_every_model_can_be_the_only_one_beside_any_other() -> None:
    for model in names.available("models"):
        config = RiskConfig(beside=(model,), window=60) if model != "historical" else RiskConfig()
        engine = make_engine(beside=config.beside, window=60)
        engine.update(walk(20))
        engine.report(NOW).to_dict()
