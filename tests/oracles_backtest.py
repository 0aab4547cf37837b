"""Oracle cases about backtests: whose statistic each function reproduces."""

from __future__ import annotations

import numpy as np
import pytest
from oracle_support import Oracle, case, close, column

from rtre.backtest.coverage import kupiec, kupiec_region, tuff
from rtre.backtest.dynamic_quantile import dynamic_quantile
from rtre.backtest.exceedances import Counts, Transitions, exceedances
from rtre.backtest.independence import christoffersen, conditional_coverage
from rtre.backtest.scores import pinball
from rtre.backtest.shortfall import (
    exceedance_residuals,
    simulate_z,
    z1_statistic,
    z2_statistic,
)
from rtre.backtest.traffic_light import traffic_light, zone_probabilities
from rtre.models.gaussian import normal_factors
from rtre.models.volatility_weighted import ewma_variances


@case(
    "backtest_AA_0.01",
    "backtest_DAX_0.01",
    "backtest_FTSEMIB_0.01",
    "backtest_sp500_0.01",
    "backtest_sp500_0.05",
)
def _(o: Oracle) -> None:
    pnl = column(o["data"]["file"], o["data"]["columns"][0])
    confidence = round(1.0 - o["params"]["alpha"], 6)
    variances = ewma_variances(pnl, 0.94, first=float(np.mean(pnl[:250] ** 2)))
    sd, losses = np.sqrt(variances[250:-1]), -pnl[250:]
    var, es = (factor * sd for factor in normal_factors(confidence))
    counts = Counts.of(exceedances(losses, var))
    pof = kupiec(counts.n, counts.x, confidence)
    both = conditional_coverage(counts.n, counts.x, counts.transitions, confidence)
    got = {
        "n": counts.n,
        "violations": counts.x,
        "uc_LRstat": pof.statistic,
        "uc_LRp": pof.p_value,
        "cc_LRstat": both.statistic,
        "cc_LRp": both.p_value,
        "ESTest_p": exceedance_residuals(losses, var, es).p_value,
        "DQ_stat": dynamic_quantile(losses, var, confidence).statistic,
        "AE": counts.ratio(confidence),
        "mean_quantile_loss": float(np.mean(pinball(losses, var, confidence))),
    }
    for name, want in o["expected"].items():
        if name.endswith("p"):
            # R took these from one, which leaves them a multiple of 1.1e-16: no digit of a tiny
            # p-value is good to a part in 1e8, ours are
            assert got[name] == pytest.approx(want, rel=o["tolerance"]["rel"], abs=2**-53)
        else:
            close(got[name], want, o["tolerance"])


@case("kupiec_regions_p01", "kupiec_regions_p05")
def _(o: Oracle) -> None:
    level = 1.0 - o["params"]["test_confidence"]
    for name, want in o["expected"].items():
        confidence = 1.0 - o["params"]["p"]
        assert list(kupiec_region(int(name[1:]), confidence, level)) == want


@case("scirp_224_5", "scirp_224_7")
def _(o: Oracle) -> None:
    got = kupiec(o["params"]["n"], o["params"]["x"], 1.0 - o["params"]["p"])
    close(got.statistic, o["expected"]["LR"], o["tolerance"])
    close(got.p_value, o["expected"]["p_value"], o["tolerance"])


@case("matlab_pof_cci_cc_1043_57")
def _(o: Oracle) -> None:
    p, confidence = o["params"], 1.0 - o["params"]["p"]
    moves = Transitions(p["N00"], p["N01"], p["N10"], p["N11"])
    results = {
        "pof": kupiec(p["n"], p["x"], confidence),
        "cci": christoffersen(moves),
        "cc": conditional_coverage(p["n"], p["x"], moves, confidence),
    }
    for name, got in results.items():
        close(got.statistic, o["expected"][f"LR_{name}"], o["tolerance"])
        close(got.p_value, o["expected"][f"p_{name}"], o["tolerance"])


@case("matlab_tuff_58")
def _(o: Oracle) -> None:
    got = tuff(o["params"]["first_failure"], 1.0 - o["params"]["p"])
    close(got.statistic, o["expected"]["LR"], o["tolerance"])
    close(got.p_value, o["expected"]["p_value"], o["tolerance"])


@case("matlab_tl_1043_57")
def _(o: Oracle) -> None:
    light = traffic_light(o["params"]["n"], o["params"]["x"], 1.0 - o["params"]["p"])
    close(light.cumulative, o["expected"]["cum_prob"], o["tolerance"])
    close(light.type_one, o["expected"]["typeI"], o["tolerance"])
    assert light.zone == o["expected"]["zone"]
    assert light.plus == o["expected"]["increase"]


@case("basel_traffic_light_250_99")
def _(o: Oracle) -> None:
    want, n, confidence = o["expected"], o["params"]["n"], 1.0 - o["params"]["p"]
    for x, percent in enumerate(want["cum_prob_pct"]):
        light = traffic_light(n, x, confidence)
        close(100.0 * light.cumulative, percent, o["tolerance"])
        assert light.plus == want["plus_factor"][x]
        assert light.multiplier == 3.0 + want["plus_factor"][x]
        assert (light.yellow_from, light.red_from) == (want["yellow_from"], want["red_from"])


@case("basel_error_rates")
def _(o: Oracle) -> None:
    right, wrong = (zone_probabilities(250, 0.99, p) for p in (0.01, 0.03))
    close(1.0 - right[0], o["expected"]["P_more_than_4_given_p01_n250"], o["tolerance"])
    close(wrong[0], o["expected"]["P_at_most_4_given_p03_n250"], o["tolerance"])


@case("as_z1_z2_95")
def _(o: Oracle) -> None:
    p = o["params"]
    losses, var, es = np.zeros(p["N"]), np.ones(p["N"]), np.full(p["N"], 1.05)
    losses[: p["x"]] = 1.05 * (1.0 - p["Z1"])
    assert z1_statistic(losses, var, es) == pytest.approx(p["Z1"], abs=1e-12)
    close(z2_statistic(losses, var, es, 1.0 - p["p"]), o["expected"]["Z2"], o["tolerance"])


@case("as_z2_critical_normal_250")
def _(o: Oracle) -> None:
    p = o["params"]
    drawn = simulate_z(p["T"], 1.0 - p["alpha"], 200_000, np.random.default_rng(1))
    critical = float(np.quantile(drawn, p["test_size"]))
    close(critical, o["expected"]["critical"], o["tolerance"])
