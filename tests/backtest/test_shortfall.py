"""Tests of ES: the statistics, their simulated laws, edges, size and power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtre.backtest.shortfall import (
    _null,
    acerbi_szekely,
    exceedance_residuals,
    null_draws,
    simulate_z,
    z1_statistic,
    z2_statistic,
    z_critical,
)
from rtre.errors import DataError
from rtre.models.gaussian import normal_factors
from rtre.models.student_t import t_factors

VAR, ES = normal_factors(0.975)


def forecasts(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full(n, VAR), np.full(n, ES)


@given(st.lists(st.floats(-10.0, 10.0), min_size=1, max_size=80))
def test_the_statistics_are_their_sums(losses: list[float]) -> None:
    n = len(losses)
    ratios = [loss / ES for loss in losses if loss > VAR]
    z1 = 1.0 - sum(ratios) / len(ratios) if ratios else 0.0
    z2 = 1.0 - sum(ratios) / (n * 0.025)
    assert z1_statistic(losses, *forecasts(n)) == pytest.approx(z1, abs=1e-9)
    assert z2_statistic(losses, *forecasts(n), 0.975) == pytest.approx(z2, rel=1e-9, abs=1e-9)


def test_the_short_cut_of_the_simulation_has_the_law_of_the_long_way() -> None:
    rng = np.random.default_rng(1)
    losses = rng.standard_t(5.0, (20_000, 250))
    var, es = t_factors(0.975, 5.0)
    long_way = 1.0 - np.sum(np.where(losses > var, losses, 0.0), axis=1) / es / (250 * 0.025)
    short_cut = simulate_z(250, 0.975, 20_000, rng, df=5.0)
    for level in (0.01, 0.05, 0.25, 0.5, 0.75):
        # 0.03 to 0.08: three standard errors of a quantile of 20 000 draws, wider far out
        tolerance = 0.08 if level == 0.01 else 0.035
        assert np.quantile(short_cut, level) == pytest.approx(
            np.quantile(long_way, level), abs=tolerance
        )


@pytest.mark.parametrize(("df", "critical"), [(None, -0.70), (3.0, -0.82)])
def test_critical_values_are_the_published_ones(df: float | None, critical: float) -> None:
    drawn = simulate_z(250, 0.975, 200_000, np.random.default_rng(2), df=df)
    # the paper prints two digits of a simulation of its own
    assert np.quantile(drawn, 0.05) == pytest.approx(critical, abs=0.015)


@pytest.mark.parametrize("statistic", ["z1", "z2"])
def test_the_size_is_what_it_promises_and_fat_tails_are_found(statistic: str) -> None:
    rng = np.random.default_rng(3)
    rejected: dict[str, list[bool]] = {"right": [], "fat": []}
    for _ in range(200):
        for name, losses in (
            ("right", rng.normal(size=500)),
            ("fat", 0.7 * rng.standard_t(3.0, 500)),
        ):
            result = acerbi_szekely(
                losses,
                *forecasts(500),
                0.975,
                rng=rng,
                statistic=statistic,
                draws=2000,  # type: ignore[arg-type]
            )
            rejected[name].append(result.rejects())
    assert np.mean(rejected["right"]) == pytest.approx(0.05, abs=0.047)  # three binomial errors
    assert np.mean(rejected["fat"]) > 0.4  # VaR right to 5 %, ES 30 % too low


@pytest.mark.parametrize(
    "kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]
)
def test_remembered_draws_are_those_of_the_simulation_to_the_bit(
    kind: type[np.random.BitGenerator],
) -> None:
    plain, first, again = (np.random.Generator(kind(11)) for _ in range(3))
    for statistic in ("z1", "z2"):
        for n, confidence, df in ((250, 0.975, None), (250, 0.975, 4.0), (500, 0.99, None)):
            want = simulate_z(n, confidence, 400, plain, statistic=statistic, df=df)  # type: ignore[arg-type]
            for rng in (first, again):
                got = null_draws(n, confidence, 400, rng, statistic=statistic, df=df)  # type: ignore[arg-type]
                assert got.tobytes() == np.sort(want).tobytes()
                assert not got.flags.writeable
    # and what is drawn afterwards is not moved by what was remembered
    assert plain.random() == first.random() == again.random()


def test_what_is_remembered_is_bounded_and_used() -> None:
    _null.cache_clear()
    for seed in range(40):
        null_draws(250, 0.975, 100, np.random.default_rng(seed))
    null_draws(250, 0.975, 100, np.random.default_rng(39))
    info = _null.cache_info()
    assert (info.hits, info.misses, info.currsize) == (1, 40, 32)


class Foreign(np.random.PCG64):
    """A generator that numpy does not know by name."""


def test_a_foreign_generator_is_served_without_memory() -> None:
    got = null_draws(250, 0.975, 100, np.random.Generator(Foreign(1)))
    want = simulate_z(250, 0.975, 100, np.random.default_rng(1))
    assert np.array_equal(got, np.sort(want))


def test_the_critical_value_is_a_quantile_of_the_draws() -> None:
    got = z_critical(250, 0.975, rng=np.random.default_rng(2), draws=2000)
    drawn = simulate_z(250, 0.975, 2000, np.random.default_rng(2))
    assert got == np.quantile(drawn, 0.05)
    # the paper: about -0.7 in 250 days at 97.5 %; 2000 draws know it to 0.03
    assert got == pytest.approx(-0.70, abs=0.08)
    with pytest.raises(DataError, match=r"level must lie .* got 1\.5"):
        z_critical(250, 0.975, 1.5, rng=np.random.default_rng(2))


def test_the_same_generator_state_gives_the_same_p_value() -> None:
    losses = np.random.default_rng(4).normal(size=250)
    results = [
        acerbi_szekely(losses, *forecasts(250), 0.975, rng=np.random.default_rng(5), draws=500)
        for _ in range(2)
    ]
    assert results[0] == results[1]


def test_without_an_exceedance_every_test_has_an_answer() -> None:
    calm = np.zeros(250)
    z1 = acerbi_szekely(
        calm, *forecasts(250), 0.975, rng=np.random.default_rng(6), statistic="z1", draws=100
    )
    assert (z1.statistic, z1.p_value) == (0.0, 1.0)
    assert "no exceedance" in z1.note
    z2 = acerbi_szekely(calm, *forecasts(250), 0.975, rng=np.random.default_rng(6), draws=100)
    assert z2.statistic == 1.0
    assert not z2.rejects()
    assert z2.direction == "too high"
    for losses in (calm, np.append(calm[1:], 5.0)):
        residuals = exceedance_residuals(losses, *forecasts(250))
        assert (residuals.statistic, residuals.p_value) == (0.0, 1.0)
        assert residuals.note


def test_all_periods_beyond_var_have_an_answer() -> None:
    losses = np.full(50, 10.0)
    assert z1_statistic(losses, *forecasts(50)) == pytest.approx(1.0 - 10.0 / ES)
    same = exceedance_residuals(losses, *forecasts(50))
    assert same.statistic == math.inf
    assert same.p_value == 0.0
    assert same.direction == "too low"


def test_residuals_have_the_size_they_promise_and_find_a_low_es() -> None:
    rng = np.random.default_rng(7)
    sd = np.exp(rng.normal(0.0, 0.4, 2000))
    rates = {}
    for name, cut in (("right", 1.0), ("low", 0.85)):
        rejected = []
        for _ in range(200):
            losses = sd * rng.normal(size=2000)
            es = np.maximum(cut * ES * sd, VAR * sd)
            result = exceedance_residuals(losses, VAR * sd, es, scale=sd)
            rejected.append(result.rejects())
        rates[name] = np.mean(rejected)
    # one-sided, on fifty skew residuals: a little conservative on this side
    assert 0.0 <= rates["right"] < 0.09
    assert rates["low"] > 0.9


def test_the_bootstrap_agrees_with_the_normal_law_on_many_exceedances() -> None:
    rng = np.random.default_rng(8)
    losses = rng.normal(size=40_000)
    es = np.full(40_000, 1.004 * ES)
    plain = exceedance_residuals(losses, np.full(40_000, VAR), es)
    boot = exceedance_residuals(losses, np.full(40_000, VAR), es, rng=rng, draws=4000)
    assert boot.statistic == plain.statistic
    assert boot.p_value == pytest.approx(plain.p_value, abs=0.05)


@pytest.mark.parametrize(
    ("var", "es", "words"),
    [(2.0, 1.0, "ES is below VaR"), (1.0, math.inf, "finite")],
)
def test_forecasts_that_make_no_sense_are_refused(var: float, es: float, words: str) -> None:
    with pytest.raises(DataError, match=words):
        z2_statistic([3.0, 3.0], [var, var], [es, es], 0.975)


def test_wrong_options_are_named() -> None:
    rng = np.random.default_rng(9)
    with pytest.raises(DataError, match="'z3'"):
        acerbi_szekely([1.0], [1.0], [2.0], 0.975, rng=rng, statistic="z3")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="df above 1"):
        simulate_z(10, 0.975, 10, rng, df=1.0)
    with pytest.raises(DataError, match="scale must be positive"):
        exceedance_residuals([3.0, 3.0], [1.0, 1.0], [2.0, 2.0], scale=[0.0, 1.0])


@pytest.mark.parametrize("unit", [5e-324 * 2**60, 1e-170, 1.0, 1e170, 1.5e307])
@pytest.mark.parametrize("scale", [None, 1e-300, 1.0, 1e300])
@pytest.mark.filterwarnings("error")
def test_residuals_are_tested_the_same_whatever_the_unit_of_money(
    unit: float, scale: float | None
) -> None:
    losses, zero, var = np.array([1.0, 3.0, 5.0, -2.0]), np.zeros(4), np.full(4, 0.5)
    want = exceedance_residuals(losses, zero, var, rng=np.random.default_rng(2), draws=200)
    got = exceedance_residuals(
        unit * losses, zero, unit * var, rng=np.random.default_rng(2), draws=200,
        scale=None if scale is None else np.full(4, scale),
    )  # fmt: skip
    assert got.statistic == pytest.approx(want.statistic, rel=1e-12)  # units round
    assert got.p_value == want.p_value
    mixed = exceedance_residuals([1e300, 2.0, -2.0], [-3.0] * 3, [-1.0] * 3)
    assert 0.0 < mixed.statistic < math.inf
    with pytest.raises(DataError, match="positive and finite"):
        exceedance_residuals(losses, zero, var, scale=np.full(4, math.inf))


def test_where_es_is_not_positive_a_loss_above_it_has_an_infinite_ratio_and_no_other() -> None:
    assert z1_statistic([1.0, 3.0], [0.0, 0.0], [0.0, 2.0]) == -math.inf
    assert z2_statistic([1.0, 3.0], [0.0, 0.0], [0.0, 2.0], 0.9) == -math.inf
    below = z1_statistic([-2.0, 0.0], [-3.0, 0.0], [-1.0, 0.0])
    assert below == 0.0, "the loss is beyond VaR, and not above ES"
