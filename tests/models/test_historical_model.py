"""Historical simulation: each rule against a second way to compute it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from rtre.errors import DataError
from rtre.models.historical import Historical
from rtre.models.rules import RULES, SHORTFALLS, harrell_davis_weights
from rtre.order import tail_ranks

samples = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=120).map(np.array)
levels = st.sampled_from([0.6, 0.9, 0.95, 0.975, 0.99])


@given(samples, levels)
def test_the_default_is_rockafellar_and_uryasev(pnl: np.ndarray, confidence: float) -> None:
    tail = Historical().estimate(pnl, [confidence])[0]
    m = tail_ranks(len(pnl), confidence).m
    assert tail.var == np.sort(-pnl)[::-1][tail_ranks(len(pnl), confidence).k - 1]
    want = tail.var + float(np.sum(np.maximum(-pnl - tail.var, 0.0))) / m
    assert tail.es == pytest.approx(want, rel=1e-9, abs=1e-6)  # values up to 1e6 lose 1e-10 each


@given(samples, levels)
def test_linear_is_numpys_quantile_and_its_integral(pnl: np.ndarray, confidence: float) -> None:
    tail = Historical(rule="linear").estimate(pnl, [confidence])[0]
    assert tail.var == pytest.approx(np.quantile(-pnl, confidence), rel=1e-9, abs=1e-6)
    # the interpolated quantile function is straight between its knots: trapezoids are exact
    knots = np.linspace(0.0, 1.0, len(pnl))
    grid = np.append(knots[knots > confidence], confidence)
    grid.sort()
    area = np.trapezoid(np.quantile(-pnl, grid), grid)
    assert tail.es == pytest.approx(area / (1.0 - confidence), rel=1e-6, abs=1e-4)


TYPES = {
    "type-1": "inverted_cdf",
    "type-2": "averaged_inverted_cdf",
    "type-3": "closest_observation",
    "type-4": "interpolated_inverted_cdf",
    "type-5": "hazen",
    "type-6": "weibull",
    "type-7": "linear",
    "type-8": "median_unbiased",
    "type-9": "normal_unbiased",
}


# tails that floating point holds exactly: where n tail meets a step, 0.95 is a little off
@given(samples, st.sampled_from([0.75, 0.875, 0.9375, 0.984375]), st.sampled_from(list(TYPES)))
def test_the_nine_types_are_numpys(pnl: np.ndarray, confidence: float, rule: str) -> None:
    tail = Historical(rule=rule).estimate(pnl, [confidence])[0]  # type: ignore[arg-type]
    method: Any = TYPES[rule]
    want = -float(np.quantile(pnl, 1.0 - confidence, method=method))
    assert tail.var == pytest.approx(want, rel=1e-9, abs=1e-6)
    # between multiples of 1/24 and of the points themselves each quantile function is straight
    n, a, b = (
        len(pnl),
        *{"5": (0.5, 0.5), "8": (1 / 3, 1 / 3), "9": (0.375, 0.375)}.get(
            rule[-1], (0.0, 0.0) if rule == "type-6" else (0.0, 1.0)
        ),
    )
    knots = [(np.arange(n + 1) - a) / (n + 1 - a - b), np.arange(n + 1) / n]
    knots += [(np.arange(n) + 0.5) / n, np.arange(n) / max(n - 1, 1), [0.0, 1.0 - confidence]]
    edges = np.unique(np.clip(np.concatenate(knots), 0.0, 1.0 - confidence))
    inside = (edges[1:] + edges[:-1]) / 2.0
    area = -float(np.sum(np.diff(edges) * np.quantile(pnl, inside, method=method)))
    assert tail.es == pytest.approx(max(area / (1.0 - confidence), tail.var), rel=1e-6, abs=1e-4)


def test_a_type_meets_its_step_exactly() -> None:
    pnl = -np.arange(1.0, 101.0)  # five losses in the tail: types 1 to 3 differ by their tie rule
    got = {t: Historical(rule=t).estimate(pnl, [0.95])[0].var for t in TYPES}  # type: ignore[arg-type]
    assert (got["type-1"], got["type-2"], got["type-3"], got["type-4"]) == (96.0, 95.5, 96.0, 96.0)
    assert got["type-5"] == 95.5
    assert got["type-6"] == pytest.approx(95.95)
    assert got["type-7"] == pytest.approx(95.05)
    half = {t: Historical(rule=t).estimate(pnl[:50], [0.95])[0].var for t in ("type-1", "type-3")}  # type: ignore[arg-type]
    assert half == {"type-1": 48.0, "type-3": 49.0}  # 2.5 losses: the even rank is 2


@given(samples, levels)
def test_harrell_davis_agrees_with_scipy(pnl: np.ndarray, confidence: float) -> None:
    tail = Historical(rule="harrell-davis").estimate(pnl, [confidence])[0]
    want = float(stats.mstats.hdquantiles(-pnl, [confidence])[0])
    assert tail.var == pytest.approx(want, rel=1e-6, abs=1e-4)


def test_harrell_davis_es_is_the_mean_of_its_quantiles() -> None:
    losses = -np.random.default_rng(1).standard_t(4.0, 60)
    tail = Historical(rule="harrell-davis").estimate(-losses, [0.95])[0]
    area, _ = integrate.quad(
        lambda p: float(stats.mstats.hdquantiles(losses, [p])[0]), 0.95, 1.0, epsrel=1e-8
    )
    assert tail.es == pytest.approx(area / 0.05, rel=1e-6)


@pytest.mark.parametrize("n", [2, 50, 1999])
def test_harrell_davis_weights_add_up_to_one(n: int) -> None:
    for weights in harrell_davis_weights(n, 0.99):
        assert np.sum(weights) == pytest.approx(1.0, rel=1e-9)
        assert np.all(weights >= -1e-15)


@given(samples, levels, st.sampled_from(RULES), st.sampled_from(SHORTFALLS))
def test_no_pair_of_rules_gives_an_es_below_its_var(
    pnl: np.ndarray, confidence: float, rule: str, shortfall: str
) -> None:
    model = Historical(rule=rule, shortfall=shortfall)  # type: ignore[arg-type]
    tail = model.estimate(pnl, [confidence])[0]
    assert tail.es >= tail.var
    assert tail.es <= np.max(-pnl) + 1e-6 * np.max(np.abs(pnl))


def test_rules_differ_where_the_tail_is_a_whole_number_of_losses() -> None:
    pnl = -np.arange(1.0, 101.0)
    var = {rule: Historical(rule=rule).estimate(pnl, [0.95])[0].var for rule in RULES}
    assert var["order-statistic"] == 96.0
    assert var["next-order-statistic"] == 95.0
    assert var["linear"] == pytest.approx(95.05)
    es = {s: Historical(shortfall=s).estimate(pnl, [0.95])[0].es for s in SHORTFALLS}
    assert es == {"matching": 98.0, "beyond": 98.5, "at-or-beyond": 98.0}


def test_with_nothing_beyond_var_the_strict_mean_is_var() -> None:
    tail = Historical(shortfall="beyond").estimate(np.array([5.0, 1.0, -3.0, -3.0]), [0.9])[0]
    assert (tail.var, tail.es) == (3.0, 3.0)


def test_intervals_and_standard_errors_hold_whatever_the_law() -> None:
    rng = np.random.default_rng(8)
    truth_var = -float(stats.t.ppf(0.05, 5.0))
    tails = [Historical().estimate(rng.standard_t(5.0, 1000), [0.95])[0] for _ in range(1500)]
    covered = np.mean([t.var_low <= truth_var <= t.var_high for t in tails])
    assert 0.94 <= covered <= 0.98  # at least 0.95 by construction, less 2 standard errors
    spread = float(np.std([t.es for t in tails]))
    assert np.mean([t.es_se for t in tails]) == pytest.approx(spread, rel=0.08)  # it is skew


def test_the_promised_share_of_losses_is_beyond_var() -> None:
    rng = np.random.default_rng(9)
    rates = [
        stats.t.sf(Historical().estimate(rng.standard_t(4.0, 499), [0.95])[0].var, 4.0)
        for _ in range(1000)
    ]
    # L(25) of 499: exactly 25/500 on average
    assert np.mean(rates) == pytest.approx(0.05, abs=4.0 * np.std(rates) / math.sqrt(1000))


def test_a_short_sample_says_that_var_has_no_upper_bound() -> None:
    pnl = np.random.default_rng(10).normal(size=250)
    assert Historical().estimate(pnl, [0.99])[0].var_high == math.inf


@pytest.mark.parametrize("wrong", [{"rule": "median"}, {"shortfall": "worst"}])
def test_a_wrong_rule_is_named_with_the_right_ones(wrong: dict[str, str]) -> None:
    with pytest.raises(DataError, match="one of"):
        Historical(**wrong)  # type: ignore[arg-type]
