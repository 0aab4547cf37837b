"""Live scoring: what is late is lost to no outcome, and the log keeps to its bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from engine_support import SECOND, START, make_engine, walk
from test_track import Recorded

from rtre import scorer
from rtre.backtest import battery
from rtre.backtest.battery import run_battery
from rtre.backtest.eprocess import es_eprocess, var_eprocess
from rtre.engine import RiskEngine
from rtre.errors import DataError
from rtre.kernels.outcomes import ES, VAR
from rtre.market import Float64, TickBatch
from rtre.outcome_log import BLOCK
from rtre.tested import CHECKED, COUNTED, DRAWS, EVERY
from rtre.track import Track


def late_fall(engine: RiskEngine, fall: float) -> None:
    """40 calm intervals, then a fall of B that comes after A has opened the next interval."""
    engine.update(walk(40, assets=2))
    a, b = (float(p) for p in engine.lines.last[:2])
    opened, closed = START + 40 * SECOND, START + 40 * SECOND - 1
    for asset, price, ts in (
        (0, a, opened), (1, b * (1.0 - fall), closed), (1, b * (1.0 - fall), opened),
        (0, a, opened + SECOND),
    ):  # fmt: skip
        engine.update(TickBatch.of(asset, price, ts))


def test_a_fall_that_comes_after_another_asset_opened_the_next_interval_is_an_exceedance() -> None:
    calm, fallen = (
        make_engine(symbols=("A", "B"), books={"b": {"A": 1.0, "B": 1.0}}, track="all")
        for _ in range(2)
    )
    tape = Recorded(fallen)
    late_fall(calm, 0.0)
    late_fall(fallen, 0.05)
    b = float(fallen.lines.last[1]) / 0.95
    assert tape.losses[-1] == pytest.approx([0.0, 0.05 * b, 0.05 * b])
    assert calm.track is not None
    assert fallen.track is not None
    for name, more in (("A", 0), ("B", 1), ("b", 1)):
        for before, after in zip(calm.track[name], fallen.track[name], strict=True):
            assert after.exceedances == before.exceedances + more, name
            assert (after.n, after.masked) == (before.n, before.masked)


@pytest.mark.parametrize("seed", range(5))
def test_whatever_comes_late_the_outcomes_add_up_to_the_whole_move(seed: int) -> None:
    intervals, units = 60, {"A": 2.0, "B": -1.0, "C": 0.5}
    clean = walk(intervals, seed=seed)
    rng = np.random.default_rng(seed)
    # an asset's ticks stay in order, and its first of an interval comes before that closes
    arrival = clean.ts_event_ns + rng.integers(0, SECOND // 3, len(clean))
    second = (clean.ts_event_ns - START) % SECOND != 0
    arrival[second] += rng.integers(0, SECOND // 3, int(second.sum()))
    for asset in range(3):
        of = clean.asset == asset
        arrival[of] = np.maximum.accumulate(arrival[of])
    order = np.argsort(arrival, kind="stable")
    engine = make_engine(books={"b": units}, track="all")
    tape = Recorded(engine)
    assets, price = clean.asset[order], clean.price[order]
    opened, last = -1, np.full(3, np.nan)
    at_close: list[Float64] = []  # last prices whenever an interval closes, kept another way
    for asset, value, ts in zip(assets, price, clean.ts_event_ns[order], strict=True):
        if opened >= 0 and ts // SECOND > opened:
            at_close.append(last.copy())
        opened = max(opened, int(ts // SECOND))
        last[asset] = value
        engine.update(TickBatch.of(int(asset), float(value), int(ts)))
    assert engine.lines.counts[1:].sum() == 0, "late for the interval, not for the asset"
    late = np.diff(clean.ts_event_ns[order] // SECOND) < 0
    assert late.sum() > 2
    held = np.array(list(units.values()))
    losses = np.array(tape.losses)
    known = ~np.isnan(losses[:, :3]).any(axis=1)
    assert known[1:].all()
    moves = np.diff(np.array(at_close), axis=0)
    # 1e-12: differences of prices near 100, in units
    assert losses[1:, 3] == pytest.approx(-(moves @ held), abs=1e-12)
    assert losses[1:, :3] == pytest.approx(-(moves * held), abs=1e-12)


def make_scorer(books: int, models: int, levels: int) -> scorer.Scorer:
    held = {f"b{i}": {"A": 1.0} for i in range(books)}
    lines = make_engine(symbols=("A",), books=held, track="off").lines
    confidences = tuple(float(c) for c in np.linspace(0.9, 0.99, levels))
    served = np.ones((books, models), np.bool_)
    tracked = np.arange(1, books + 1)
    return scorer.Scorer(
        lines, held, tracked, [f"m{i}" for i in range(models)], served, confidences
    )


def log_bytes(of: scorer.Scorer) -> int:
    return sum(
        part.nbytes
        for block in of.summary().log.blocks
        for part in (block.scores, block.hits, block.losses, block.forecasts)
    )


@pytest.mark.parametrize(
    ("books", "models", "levels", "most"),
    [(1, 1, 1, 10_000), (7, 3, 2, 450_000), (40, 12, 8, 3_600_000), (40, 12, 8, 6_000_000)],
)
def test_the_log_never_takes_more_bytes_than_it_may_however_many_lines_there_are(
    monkeypatch: pytest.MonkeyPatch, books: int, models: int, levels: int, most: int
) -> None:
    monkeypatch.setattr(scorer, "MOST_BYTES", most)
    found = make_scorer(books, models, levels)
    found._state[..., VAR], found._state[..., ES] = 1.0, 2.0
    found.outcomes = lambda: np.arange(books) * 0.1  # type: ignore[method-assign]
    row = books * (8 + models * levels * 25)
    for n in range(1, 3 * most // row):
        found.close()
        assert log_bytes(found) <= most
        track = found.summary()
        assert track.log.last - track.log.first == min(n, found._most)
    assert found._most >= 32
    assert found._most * row > 0.7 * most, "the bytes are used"
    standing = found.summary()["b0"][0]
    assert standing.fz0_n == found._most
    assert standing.recent_n == min(BLOCK, found._most)
    assert standing.n == n


def test_a_thousand_books_with_twelve_models_keep_to_the_bytes() -> None:
    found = make_scorer(1000, 12, 8)
    assert found._most >= 32
    row = 1000 * (8 + 12 * 8 * 25)
    assert (-(-found._most // found._size) + 1) * found._size * row <= scorer.MOST_BYTES


def test_a_log_that_cannot_keep_to_the_bytes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "MOST_BYTES", 3_000_000)
    with pytest.raises(DataError, match=r"40 lines x 12 models x 8 .* 3\.47 MB .* at most 3 MB"):
        make_scorer(40, 12, 8)


def test_the_whole_battery_runs_on_what_the_live_log_holds() -> None:
    engine = make_engine("historical", beside=("ewma",), track="all")
    tape = Recorded(engine)
    engine.update(walk(400))
    track = engine.track
    assert track is not None
    name, confidence = "hedged", 0.95
    found = track.tests(name, "ewma", confidence)
    assert found is not None
    assert found is track.tests(name, "ewma", confidence), "worked out once"
    slot, c = track.lines.index(name), track.confidences.index(confidence)
    losses = np.array([row[slot] for row in tape.losses])
    said = np.array([row[slot, 1, c] for row in tape.forecasts])
    scored = ~np.isnan(losses) & ~np.isnan(said).any(axis=1)
    losses, var, es = losses[scored], said[scored, 0], said[scored, 1]
    wanted = run_battery(losses, var, es, confidence, rng=np.random.default_rng(1), draws=DRAWS)
    assert found.n == len(losses) > 200
    assert [(r.test, r.statistic, r.p_value) for r in found.results] == [
        (r.test, r.statistic, r.p_value) for r in wanted
    ]
    assert len(found.results) >= 10
    standing = next(s for s in track.at(name, confidence) if s.model == "ewma")
    assert found.var_bet.e_value == pytest.approx(standing.e_value, rel=1e-9)
    assert found.var_bet.p_value == standing.e_p_value
    bet = es_eprocess(losses, var, es, confidence)
    assert found.es_bet.e_value == standing.es_e_value
    # 1e-9: stakes follow each other, so that a difference in the last bit goes on
    assert found.es_bet.e_value == pytest.approx(bet.e_value, rel=1e-9)
    assert found.es_bet.p_value == pytest.approx(bet.p_value, rel=1e-9)
    for wrong in (("nosuch", "ewma", 0.95), (name, "nosuch", 0.95), (name, "ewma", 0.5)):
        with pytest.raises(DataError):
            track.tests(*wrong)


def test_before_the_first_closed_interval_there_is_nothing_to_test() -> None:
    engine = make_engine("historical")
    engine.update(walk(3))
    assert engine.track is not None
    assert engine.track.tests("hedged", "historical", 0.95) is None


def test_constant_prices_and_then_one_loss_leave_every_test_with_an_answer() -> None:
    engine = make_engine("historical", books={"b": {"A": 1.0}}, symbols=("A",), confidence=(0.9,))
    for i in range(100):
        engine.update(TickBatch.of(0, 100.0 if i < 98 else 90.0, START + i * SECOND))
    assert engine.track is not None
    found = engine.track.tests("b", "historical", 0.9)
    assert found is not None
    results = {r.test: r for r in found.results}
    assert results["acerbi-szekely-z2"].statistic == -np.inf
    assert results["acerbi-szekely-z2"].p_value == 1.0 / (1.0 + DRAWS)
    assert "exceedance-residuals" in results


def test_the_bets_run_over_the_whole_run_however_little_the_log_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scorer, "MOST_ROWS", 100)
    monkeypatch.setattr(scorer, "BLOCK", 25)
    found = make_scorer(1, 1, 1)
    rng = np.random.default_rng(3)
    losses = 1.3 * rng.normal(size=900)
    for loss in losses:
        found._state[..., VAR], found._state[..., ES] = 1.2816, 1.755
        found.outcomes = lambda loss=loss: np.array([-loss])  # type: ignore[method-assign, misc]
        found.close()
    track = found.summary()
    tests = track.tests("b0", "m0", 0.9)
    assert tests is not None
    assert tests.n == 100
    var, es = np.full(900, 1.2816), np.full(900, 1.755)
    for bet, want in (
        (tests.var_bet, var_eprocess(losses, var, 0.9)),
        (tests.es_bet, es_eprocess(losses, var, es, 0.9)),
    ):
        assert bet.e_value == pytest.approx(want.e_value, rel=1e-9)  # sums of logarithms
        assert bet.p_value == pytest.approx(want.p_value, rel=1e-9)
        assert bet.e_value > 20.0
    standing = track["b0"][0]
    assert (standing.es_e_value, standing.es_e_p_value) == (
        tests.es_bet.e_value, tests.es_bet.p_value,
    )  # fmt: skip


def checked(track: Track, m: int = 0) -> dict[str, Any] | None:
    found: dict[str, Any] | None = track.to_dict()["lines"][0]["standings"][m]["tests"]
    return found


def test_the_report_has_every_test_as_of_a_check_and_computes_it_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran: list[int] = []
    real = battery.run_battery

    def counted(losses: Any, *rest: Any, **options: Any) -> Any:
        ran.append(len(losses))
        return real(losses, *rest, **options)

    monkeypatch.setattr(battery, "run_battery", counted)
    found, unread = make_scorer(1, 1, 1), make_scorer(1, 1, 1)
    losses = np.random.default_rng(4).normal(size=2 * EVERY + 30)
    said = []
    for i, loss in enumerate(losses):
        for each in (found, unread):
            each._state[..., VAR], each._state[..., ES] = 1.2816, 1.755
            each.outcomes = lambda loss=loss: np.array([-loss])  # type: ignore[method-assign, misc]
            each.close()
        if i != EVERY + 5:
            said.append(checked(found.summary()))
    assert ran == [1, 1 + EVERY, 1 + 2 * EVERY]
    assert checked(unread.summary()) == said[-1], "whoever read before"
    last = 2 * EVERY + 1
    assert said[-1] is not None
    assert (said[-1]["interval"], said[-1]["n"]) == (last, last)
    wanted = real(
        losses[:last], np.full(last, 1.2816), np.full(last, 1.755), 0.9,
        rng=np.random.default_rng(1), draws=DRAWS,
    )  # fmt: skip
    assert {name: r["p_value"] for name, r in said[-1]["results"].items()} == {
        r.test: r.p_value for r in wanted if r.test not in COUNTED
    }
    assert set(said[-1]["results"]) == {
        "tuff", "tbf", "duration", "dynamic-quantile", "exceedance-residuals",
        "acerbi-szekely-z1", "acerbi-szekely-z2",
    }  # fmt: skip
    mine = checked(found.summary())
    assert mine is not None
    mine["results"]["tuff"]["p_value"] = 7.0
    mine["n"] = 7
    assert checked(found.summary()) == said[-1]


def test_lines_are_checked_in_turn_and_no_check_keeps_what_the_log_has_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for most, size in ((80, 7), (2000, 25)):
        monkeypatch.setattr(scorer, "MOST_ROWS", most)
        monkeypatch.setattr(scorer, "BLOCK", size)
        found = make_scorer(4, 2, 1)
        found._state[..., VAR], found._state[..., ES] = 1.0, 2.0
        found.outcomes = lambda: np.zeros(4)  # type: ignore[method-assign]
        seen: list[list[int]] = [[] for _ in range(4)]
        for _ in range(2200):
            found.close()
            track = found.summary()
            kept = set(map(id, track.log.blocks))
            for slot, check in enumerate(track.checks):
                if check is None:
                    continue
                assert {id(block) for block in check.log.blocks} <= kept
                if seen[slot][-1:] != [check.interval]:
                    seen[slot].append(check.interval)
        lengths = [
            len(check.log.scored(s, 0, 0)[0]) for s, check in enumerate(track.checks) if check
        ]
        assert all(length == min(found._most, CHECKED) for length in lengths)
        if size == 25:
            assert [s[:3] for s in seen] == [
                [1 + phase, 1 + phase + EVERY, 1 + phase + 2 * EVERY] for phase in (0, 12, 25, 37)
            ]
            assert sum(map(len, seen)) == 4 * 2200 // EVERY
