"""The scoring kernel against the batch functions of the backtest package, interval by interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.backtest.eprocess import LEAST_LOOK, MAX_BET, es_eprocess, var_eprocess
from rtre.backtest.exceedances import Counts, exceedances
from rtre.backtest.scores import fz0
from rtre.errors import DataError
from rtre.kernels import outcomes as k

LEVELS = (0.95, 0.99)


def fresh(models: int = 1) -> np.ndarray:
    state = np.zeros((1, models, len(LEVELS), k.FIELDS))
    state[..., k.VAR] = state[..., k.ES] = math.nan
    state[..., k.LAST] = -1.0
    return state


def levels() -> np.ndarray:
    return np.array([[1.0 - c for c in LEVELS], [MAX_BET] * 2, [LEAST_LOOK] * 2]).round(12)


number = st.one_of(
    st.floats(-5.0, 5.0), st.sampled_from([math.nan, 0.0, 1.0, 2.0, math.inf, -math.inf])
)
loss = st.one_of(st.floats(-5.0, 5.0), st.sampled_from([math.nan, 1.0, 2.0, 1e300]))
rows = st.lists(st.tuples(loss, number, number, number, number), max_size=40)


@given(rows)
@settings(max_examples=300, deadline=None)
def test_interval_by_interval_it_counts_and_scores_what_the_batch_functions_do(
    found: list[tuple[float, ...]],
) -> None:
    state = fresh()
    scores: list[list[float]] = [[], []]
    for lost, *forecast in found:
        for c in range(2):
            state[0, 0, c, k.VAR], state[0, 0, c, k.ES] = forecast[2 * c : 2 * c + 2]
        with np.errstate(all="ignore"):  # as compiled code does
            k.score_outcomes(state, np.array([lost]), levels())
        for c in range(2):
            scores[c].append(state[0, 0, c, k.SCORE])
    for c, confidence in enumerate(LEVELS):
        row = state[0, 0, c]
        data = np.array([(r[0], r[1 + 2 * c], r[2 + 2 * c]) for r in found]).reshape(-1, 3)
        forecast_there = ~np.isnan(data[:, 1]) & ~np.isnan(data[:, 2])
        used = forecast_there & ~np.isnan(data[:, 0])
        assert row[k.UNFORECAST] == np.count_nonzero(~forecast_there)
        assert row[k.MASKED] == np.count_nonzero(forecast_there & ~used)
        assert row[k.N] == np.count_nonzero(used)
        assert np.isnan(np.array(scores[c])[~used]).all()
        if not used.any():
            continue
        losses, var, es = data[used].T
        hits = Counts.of(exceedances(losses, var))
        t = hits.transitions
        assert row[k.HITS] == hits.x
        assert tuple(row[[k.N00, k.N01, k.N10, k.N11]]) == (t.n00, t.n01, t.n10, t.n11)
        bet = var_eprocess(losses, var, confidence)
        # 1e-12: logarithms of two libraries, summed
        assert row[k.LOG_WEALTH] == pytest.approx(bet.log_wealth[-1], rel=1e-12, abs=1e-12)
        assert math.exp(-row[k.PEAK]) == pytest.approx(bet.p_value, rel=1e-12)
        sound = es >= var
        if sound.any():
            bet = es_eprocess(losses[sound], var[sound], es[sound], confidence)
            # stakes follow each other, so that a difference in the last bit goes on
            assert row[k.ES_LOG_WEALTH] == pytest.approx(bet.log_wealth[-1], rel=1e-9, abs=1e-9)
            assert math.exp(-row[k.ES_PEAK]) == pytest.approx(bet.p_value, rel=1e-9)
        assert not np.isnan(row[k.ES_LOG_WEALTH :]).any()
        for at, values in zip(np.flatnonzero(used), zip(losses, var, es, strict=True), strict=True):
            try:
                with np.errstate(all="ignore"):
                    want = float(fz0(*([v] for v in values), confidence)[0])
            except DataError:
                want = math.nan
            want = want if math.isfinite(want) else math.nan
            assert scores[c][at] == pytest.approx(want, rel=1e-12, abs=1e-12, nan_ok=True)


def test_the_stake_of_an_interval_does_not_know_its_outcome() -> None:
    calm, crash = fresh(), fresh()
    for state, last in ((calm, 0.0), (crash, 9.0)):
        state[..., k.VAR], state[..., k.ES] = 1.0, 2.0
        for lost in (9.0, 9.0, 9.0, 0.0):
            k.score_outcomes(state, np.array([lost]), levels())
        before = state[0, 0, 0, k.LOG_WEALTH]
        k.score_outcomes(state, np.array([last]), levels())
        state[0, 0, 0, k.LOG_WEALTH] -= before
    bet = -math.expm1(calm[0, 0, 0, k.LOG_WEALTH])
    assert bet > 0.0
    assert math.expm1(crash[0, 0, 0, k.LOG_WEALTH]) == pytest.approx(bet * (1 / 0.05 - 1))


def test_forecasts_stay_until_they_are_replaced_and_models_do_not_mix() -> None:
    state = fresh(models=2)
    state[0, 1, :, k.VAR], state[0, 1, :, k.ES] = 1.0, 2.0
    k.score_outcomes(state, np.array([1.5]), levels())
    assert (state[0, 0, :, k.N] == 0).all()
    assert (state[0, 0, :, k.UNFORECAST] == 1).all()
    assert (state[0, 1, :, k.HITS] == 1).all()
    assert (state[0, 1, :, k.VAR] == 1.0).all()


@pytest.mark.parametrize("wide", [0.7, 1.0, 1.4, 3.0])
def test_the_running_bet_on_es_is_that_of_the_batch_over_a_long_run(wide: float) -> None:
    rng = np.random.default_rng(11)
    losses = wide * rng.standard_t(4.0, 3000)
    var, es = np.exp(rng.normal(0.0, 0.3, (2, 3000))) + np.array([[1.5], [2.5]])
    es = np.maximum(es, var)
    state = fresh()
    wealth = []
    for i in range(3000):
        state[..., k.VAR], state[..., k.ES] = var[i], es[i]
        k.score_outcomes(state, losses[i : i + 1], levels())
        wealth.append(state[0, :, :, k.ES_LOG_WEALTH].ravel().copy())
    for c, confidence in enumerate(LEVELS):
        bet = es_eprocess(losses, var, es, confidence)
        got = np.array(wealth)[:, c]
        assert got == pytest.approx(bet.log_wealth, rel=1e-9, abs=1e-9)  # as above
        assert state[0, 0, c, k.ES_PEAK] == pytest.approx(max(bet.log_wealth.max(), 0.0), rel=1e-9)


def test_wealth_of_the_bet_on_es_leaves_the_range_of_floats_and_stays_a_number() -> None:
    state = fresh()
    state[..., k.VAR], state[..., k.ES] = 1.0, 1.5
    for _ in range(3000):
        k.score_outcomes(state, np.array([9.0]), levels())
    assert (state[..., k.ES_LOG_WEALTH] > 1000.0).all()
    state[..., k.ES] = 1.0  # no loss beyond it is possible
    k.score_outcomes(state, np.array([9.0]), levels())
    for _ in range(5):
        k.score_outcomes(state, np.array([0.0]), levels())
    assert np.isposinf(state[..., k.ES_LOG_WEALTH]).all()
    assert np.isposinf(state[..., k.ES_PEAK]).all()
    assert np.isfinite(state[..., k.ES_BET :]).all()
