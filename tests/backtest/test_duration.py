"""The duration test: its likelihood against scipy's Weibull, its edges, its size and power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from rtre.backtest.duration import (
    Law,
    discrete_weibull_loglik,
    duration,
    durations,
    weibull_loglik,
)
from rtre.backtest.exceedances import Counts
from rtre.errors import DataError

marks = st.lists(st.booleans(), min_size=1, max_size=120)


@given(marks)
def test_waits_and_their_open_ends_fill_the_sample(hits: list[bool]) -> None:
    counts = Counts.of(hits)
    waits, whole = durations(counts)
    # an exceedance in the first period is at the end of no wait, open or whole
    assert sum(waits) == len(hits) - (1 if hits[0] else 0) or not any(hits)
    assert int(np.sum(whole)) == max(counts.x - 1, 0)
    assert np.all(waits > 0.0) or not counts.x


@given(marks, st.floats(0.2, 4.0), st.floats(-6.0, 0.0))
def test_the_likelihoods_are_those_of_scipys_weibull(
    hits: list[bool], shape: float, log_rate: float
) -> None:
    waits, whole = durations(Counts.of(hits))
    law = stats.weibull_min(shape, scale=math.exp(-log_rate / shape))
    want = np.sum(np.where(whole == 1.0, law.logpdf(waits), law.logsf(waits)))
    assert weibull_loglik(waits, whole, shape, log_rate) == pytest.approx(float(want), rel=1e-9)
    # a difference of two survivals keeps no digit where the wait is impossible
    ended = law.sf(waits - 1.0) - law.sf(waits)
    if np.all(ended > 1e-8):
        want = np.sum(np.where(whole == 1.0, np.log(ended), law.logsf(waits)))
        got = discrete_weibull_loglik(waits, whole, shape, log_rate)
        assert got == pytest.approx(float(want), rel=1e-6, abs=1e-9)


def loss(x: np.ndarray, waits: np.ndarray, whole: np.ndarray, discrete: bool) -> float:
    law = stats.weibull_min(math.exp(x[0]), scale=math.exp(x[1]))
    ended = np.log(law.sf(waits - 1.0) - law.sf(waits)) if discrete else law.logpdf(waits)
    return -float(np.sum(np.where(whole == 1.0, ended, law.logsf(waits))))


@pytest.mark.parametrize("law", ["discrete", "continuous"])
def test_the_statistic_is_the_ratio_of_two_searches(law: Law) -> None:
    counts = Counts.of(np.random.default_rng(1).random(800) < 0.1)
    waits, whole = durations(counts)
    if law == "discrete":
        waits[0] -= 1.0
    settings = {"method": "Nelder-Mead", "options": {"xatol": 1e-9, "fatol": 1e-11}}
    free = optimize.minimize(loss, [0.0, 2.0], args=(waits, whole, law == "discrete"), **settings)
    bound = optimize.minimize(
        lambda x: loss(np.array([0.0, x[0]]), waits, whole, law == "discrete"), [2.0], **settings
    )
    got = duration(counts, 0.95, law=law)
    assert got.statistic == pytest.approx(2.0 * (bound.fun - free.fun), abs=1e-6)
    assert got.inputs["shape"] == pytest.approx(math.exp(free.x[0]), rel=1e-4)
    assert got.law == "chi2(1)"
    assert got.p_value == pytest.approx(stats.chi2.sf(got.statistic, 1))
    # a rate of one in twenty: a scale of 20, or of -1/ln(0.95) where periods are whole
    scale = -1.0 / math.log(0.95) if law == "discrete" else 20.0
    promised = loss(np.array([0.0, math.log(scale)]), waits, whole, law == "discrete")
    both = duration(counts, 0.95, law=law, coverage=True)
    assert both.statistic == pytest.approx(2.0 * (promised - free.fun), rel=1e-6)
    assert both.law == "chi2(2)"
    assert both.direction == "too low"
    assert both.rejects(1e-3)
    assert not got.rejects(0.01)


@given(
    marks,
    st.sampled_from([0.9, 0.95, 0.99]),
    st.booleans(),
    st.sampled_from(["discrete", "continuous"]),
)
def test_every_run_has_an_answer(
    hits: list[bool], confidence: float, coverage: bool, law: Law
) -> None:
    got = duration(Counts.of(hits), confidence, law=law, coverage=coverage)
    assert got.statistic >= 0.0
    assert 0.0 <= got.p_value <= 1.0
    assert bool(got.note) == (sum(hits) < (3 if law == "discrete" else 2) or all(hits))


@pytest.mark.parametrize("law", ["discrete", "continuous"])
def test_long_waits_do_not_overflow(law: Law) -> None:
    hits = np.zeros(2_000_000)
    hits[[0, 1, 1_999_999]] = 1.0
    got = duration(Counts.of(hits), 0.99, law=law)
    assert math.isfinite(got.statistic)
    assert got.direction == "too low"


def test_the_size_is_near_what_it_promises_and_clusters_are_found() -> None:
    rng = np.random.default_rng(3)
    rejected: dict[str, list[bool]] = {"right": [], "continuous": [], "clustered": []}
    for _ in range(200):
        independent = Counts.of(rng.random(1000) < 0.05)
        wild = np.repeat(rng.random(20) < 0.25, 50)  # fifty days calm, fifty days wild
        clustered = Counts.of(rng.random(1000) < np.where(wild, 0.16, 0.0133))
        rejected["right"].append(duration(independent, 0.95).rejects())
        rejected["continuous"].append(duration(independent, 0.95, law="continuous").rejects())
        rejected["clustered"].append(duration(clustered, 0.95).rejects())
    # three binomial errors of 200 runs
    assert np.mean(rejected["right"]) == pytest.approx(0.05, abs=0.047)
    assert np.mean(rejected["continuous"]) > np.mean(rejected["right"])
    assert np.mean(rejected["clustered"]) > 0.5


def test_one_wait_between_two_exceedances_tells_nothing_of_memory() -> None:
    # the likelihood of ever more regular waits has no end; at a shape of 10 it rejects
    hits = np.zeros(250)
    hits[[15, 230]] = 1.0
    got = duration(Counts.of(hits), 0.99)
    assert (got.statistic, got.p_value, got.direction) == (0.0, 1.0, "in line")
    assert "too few waits" in got.note
    assert duration(Counts.of(hits), 0.99, law="continuous").rejects()


def test_a_right_var_with_the_few_exceedances_of_a_year_is_seldom_rejected() -> None:
    rng = np.random.default_rng(4)
    rejected = [duration(Counts.of(rng.random(250) < 0.01), 0.99).rejects() for _ in range(400)]
    # a nominal 5 %; 14 % while one wait was taken for evidence
    assert np.mean(rejected) < 0.09


def test_a_wrong_law_is_named() -> None:
    with pytest.raises(DataError, match="discrete or continuous, got 'normal'"):
        duration(Counts.of([0, 1, 1]), 0.95, law="normal")  # type: ignore[arg-type]
