"""Age-weighted historical simulation: limits, ghosts, and weights as repeated losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.models.age_weighted import AgeWeighted, weighted_tail
from rtre.models.historical import Historical

levels = st.sampled_from([0.9, 0.95, 0.975, 0.99])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=200).map(np.array), levels)
def test_without_decay_it_is_plain_historical_simulation(
    pnl: np.ndarray, confidence: float
) -> None:
    got = AgeWeighted(decay=1.0).estimate(pnl, [confidence])[0]
    want = Historical().estimate(pnl, [confidence])[0]
    assert got.var == want.var
    assert got.es == pytest.approx(want.es, rel=1e-9, abs=1e-6)
    assert (got.var_low, got.var_high) == (want.var_low, want.var_high)
    assert got.es_se == pytest.approx(want.es_se, rel=1e-6, abs=1e-3, nan_ok=True)


@given(
    st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 5)), min_size=2, max_size=30), levels
)
def test_a_weight_counts_like_that_many_equal_losses(
    pairs: list[tuple[int, int]], confidence: float
) -> None:
    ordered = sorted(pairs, reverse=True)
    losses = np.array([float(loss) for loss, _ in ordered])
    counts = np.array([count for _, count in ordered])
    got = weighted_tail(losses, counts / counts.sum(), confidence, "order-statistic", "matching")
    want = Historical().estimate(-np.repeat(losses, counts), [confidence])[0]
    assert got.var == want.var
    assert got.es == pytest.approx(want.es, rel=1e-9, abs=1e-9)


def test_es_of_the_linear_rule_is_the_integral_of_its_quantiles() -> None:
    rng = np.random.default_rng(2)
    losses = np.sort(rng.standard_t(4.0, 300))[::-1]
    weights = rng.uniform(0.5, 1.5, 300)
    weights /= weights.sum()
    got = weighted_tail(losses, weights, 0.95, "linear", "matching")
    # the rule: linear between losses at the weight of all losses up to them, from the smallest
    at = np.cumsum(weights[::-1])
    grid = np.linspace(0.95, 1.0, 200_001)
    quantiles = np.interp(grid, at, losses[::-1])
    assert got.var == pytest.approx(quantiles[0], rel=1e-12)
    assert got.es == pytest.approx(np.trapezoid(quantiles, grid) / 0.05, rel=1e-6)


def test_a_crash_fades_and_leaves_no_ghost() -> None:
    rng = np.random.default_rng(3)
    calm = rng.normal(size=600)
    calm[100:103] = -12.0
    plain, aged = Historical(), AgeWeighted(decay=0.98)
    windows = [calm[start : start + 500] for start in (90, 104)]
    drop = [
        m.estimate(windows[0], [0.995])[0].es / m.estimate(windows[1], [0.995])[0].es
        for m in (plain, aged)
    ]
    assert drop[0] > 2.0  # the three crash days leave the window: ES jumps overnight
    assert drop[1] == pytest.approx(1.0, abs=0.05)  # their weight was 0.98^490


def test_the_promised_share_of_losses_is_beyond_var() -> None:
    rng = np.random.default_rng(4)
    from scipy import stats

    model = AgeWeighted(decay=0.998)
    rates = [
        stats.norm.sf(model.estimate(rng.normal(size=1500), [0.95])[0].var) for _ in range(600)
    ]
    # 950 effective observations: L(k) of n leaves k/(n+1), within a part of 1/950 of the tail
    assert np.mean(rates) == pytest.approx(0.05, abs=0.002)


def test_a_fast_decay_says_that_var_has_no_upper_bound() -> None:
    pnl = np.random.default_rng(5).normal(size=1000)
    assert AgeWeighted(decay=0.97).estimate(pnl, [0.99])[0].var_high == math.inf


@pytest.mark.parametrize("wrong", [{"decay": 0.0}, {"decay": 1.5}, {"rule": "harrell-davis"}])
def test_a_wrong_parameter_is_named(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match=r"AgeWeighted\.(decay|rule) must be"):
        AgeWeighted(**wrong)  # type: ignore[arg-type]
