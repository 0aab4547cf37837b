"""Cornish-Fisher: its quantiles, the mean beyond them, and the domain in which they are any."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, stats

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.market import TickBatch, Universe
from rtre.models.cornish_fisher import (
    CornishFisher,
    cornish_fisher_factors,
    cornish_fisher_quantile,
    edgeworth_shortfall,
    in_domain,
    matched_parameters,
    moments_of,
)
from rtre.models.gaussian import Gaussian, normal_factors

GRID = stats.norm.ppf((np.arange(50_000) + 0.5) / 50_000)
shapes = st.tuples(st.floats(-1.5, 1.5), st.floats(-1.0, 9.0))


@given(shapes)
def test_the_domain_is_where_quantiles_rise(shape: tuple[float, float]) -> None:
    z = np.linspace(-60.0, 60.0, 24_001)
    slopes = np.diff(cornish_fisher_quantile(z, *shape))
    skew, kurtosis = shape
    bend = kurtosis / 8.0 - skew**2 / 6.0
    assume(abs(bend) > 0.01)  # an almost straight cubic turns beyond any grid
    if in_domain(*shape):
        assert np.all(slopes >= -1e-9)
    else:
        # the parabola of the slope dips below zero, perhaps between two points of the grid
        level = 1.0 - kurtosis / 8.0 + 5.0 * skew**2 / 36.0
        low = level - (skew / 3.0) ** 2 / (4.0 * bend) if bend > 0.0 else -1.0
        assert low < 1e-9
        assert bend < 0.0 or np.min(slopes) < 1e-3


@pytest.mark.parametrize(
    ("skew", "kurtosis", "inside"),
    [
        (0.0, 0.0, True),
        (0.0, 8.0, True),
        (0.0, 8.01, False),
        (0.0, -0.01, False),
        (-0.5, 2.0, True),
        (-0.5, 0.2, False),
    ],
)
def test_the_edges_of_the_domain(skew: float, kurtosis: float, inside: bool) -> None:
    assert in_domain(skew, kurtosis) is inside


@given(shapes, st.sampled_from([0.9, 0.975, 0.995]))
def test_es_is_the_integral_of_the_quantiles(shape: tuple[float, float], confidence: float) -> None:
    _, c = cornish_fisher_factors(confidence, *shape)
    z = -normal_factors(confidence)[0]
    area, _ = integrate.quad(
        lambda x: -cornish_fisher_quantile(x, *shape) * stats.norm.pdf(x), -12.0, z
    )
    assert c == pytest.approx(area / (1.0 - confidence), abs=1e-6)  # the accuracy of quad


@given(shapes)
def test_moments_are_those_of_many_draws(shape: tuple[float, float]) -> None:
    # quantiles of a fine grid stand for draws: a midpoint rule on (0, 1)
    values = cornish_fisher_quantile(GRID, *shape)
    mean, sd, skew, _ = moments_of(*shape)
    assert mean == pytest.approx(values.mean(), abs=1e-3)
    assert sd == pytest.approx(values.std(), rel=1e-2)
    assert skew == pytest.approx(stats.skew(values), abs=0.15)  # the grid cuts the far tail


@given(shapes)
def test_matched_parameters_give_back_the_moments(shape: tuple[float, float]) -> None:
    assume(in_domain(*shape))
    _, _, skew, kurtosis = moments_of(*shape)
    found = matched_parameters(skew, kurtosis)
    if found is not None:
        _, _, got_skew, got_kurtosis = moments_of(*found)
        assert got_skew == pytest.approx(skew, abs=1e-7)
        assert got_kurtosis == pytest.approx(kurtosis, abs=1e-7)


@pytest.mark.parametrize("shape", [(-0.68, 7.908), (0.071, 7.106), (0.915, 8.306), (0.0, 8.0)])
def test_of_several_pairs_with_the_same_moments_the_one_in_the_domain_is_taken(
    shape: tuple[float, float],
) -> None:
    assert in_domain(*shape)
    _, _, skew, kurtosis = moments_of(*shape)
    assert matched_parameters(skew, kurtosis) == pytest.approx(shape, abs=1e-6)


def test_zero_skew_and_kurtosis_is_the_normal_model() -> None:
    for confidence in (0.95, 0.99):
        normal = normal_factors(confidence)
        assert cornish_fisher_factors(confidence, 0.0, 0.0) == pytest.approx(normal, rel=1e-12)
        assert edgeworth_shortfall(confidence, 0.0, 0.0) == pytest.approx(normal[1], rel=1e-12)


def test_a_lopsided_sample_is_read_better_than_by_the_normal_model() -> None:
    rng = np.random.default_rng(6)
    pnl = -rng.gumbel(size=20_000)
    truth = float(stats.gumbel_r.ppf(0.99))
    errors = [
        abs(model.estimate(pnl, [0.99])[0].var - truth)
        for model in (CornishFisher(parameters="matched"), CornishFisher(), Gaussian())
    ]
    assert errors[0] < 0.1 * truth
    assert errors[1] < 0.1 * truth
    assert errors[2] > 0.2 * truth


def test_the_promised_share_of_losses_is_beyond_var_in_its_own_law() -> None:
    rng = np.random.default_rng(7)
    shape = (-0.4, 2.0)
    rates = []
    for _ in range(200):
        pnl = cornish_fisher_quantile(rng.normal(size=4000), *shape)
        tail = CornishFisher(parameters="matched").estimate(pnl, [0.99])[0]
        assert not tail.problem
        rates.append(np.mean(-pnl > tail.var))
    # the fourth moment of 4000 draws is rough: 5 % of the tail is three standard errors of 200
    assert np.mean(rates) == pytest.approx(0.01, rel=0.05)


def test_outside_the_domain_it_refuses_and_says_where_the_sample_lies() -> None:
    pnl = np.random.default_rng(8).standard_t(2.5, 5000)
    tail = CornishFisher().estimate(pnl, [0.99])[0]
    assert "excess kurtosis" in tail.problem
    assert not CornishFisher(outside="compute").estimate(pnl, [0.99])[0].problem


@pytest.mark.parametrize("parameters", ["moments", "matched"])
@pytest.mark.parametrize("shortfall", ["integral", "edgeworth"])
def test_the_error_is_that_of_leaving_out_one_observation(parameters: str, shortfall: str) -> None:
    # the influence function is the limit of n times the change when one observation is left out,
    # so the jackknife, which knows no derivative, has the same error
    # effects of the order of 1/n: the matched model is slow, so its sample is smaller and milder
    n, skewed = (1200, 0.2) if parameters == "matched" else (4000, 1.0)
    rng = np.random.default_rng(11)
    pnl = rng.normal(size=n) - skewed * rng.gumbel(size=n)
    model = CornishFisher(parameters=parameters, shortfall=shortfall, outside="compute")  # type: ignore[arg-type]
    tail = model.estimate(pnl, [0.975])[0]
    left_out = [model.estimate(np.delete(pnl, i), [0.975])[0] for i in range(len(pnl))]
    for got, numbers in (
        ((tail.var_high - tail.var) / 1.959964, [t.var for t in left_out]),
        (tail.es_se, [t.es for t in left_out]),
    ):
        jackknife = np.std(numbers) * np.sqrt(len(pnl) - 1.0)
        assert got == pytest.approx(jackknife, rel=0.03)


@pytest.mark.parametrize(("parameters", "cadence"), [("moments", "tick"), ("matched", "interval")])
def test_the_slow_search_runs_when_an_interval_closes_and_not_on_a_tick(
    parameters: Literal["moments", "matched"], cadence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CornishFisher(parameters=parameters)
    assert model.cadence == cadence
    engine = RiskEngine(
        Universe(("A",)), {"book": {"A": 1.0}}, RiskConfig(window=60, min_obs=40), model
    )
    second = engine.lines.interval_ns
    prices = 100.0 * np.exp(np.cumsum(np.random.default_rng(12).normal(0.0, 1e-3, 60)))
    engine.update(TickBatch.of(0, prices, second * np.arange(1, 61)))
    engine.report(61 * second)
    asked = []
    estimate = CornishFisher.estimate
    monkeypatch.setattr(
        CornishFisher, "estimate", lambda *given: asked.append(1) or estimate(*given)
    )
    for k in range(5):
        engine.update(TickBatch.of(0, 100.0 + k, 60 * second + 10 + k))
        engine.report(61 * second)
    assert bool(asked) == (cadence == "tick")
    engine.update(TickBatch.of(0, 100.0, 61 * second))
    engine.report(61 * second)
    assert asked
