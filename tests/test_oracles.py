"""Published and independently computed numbers, reproduced through the public functions.

The cases are JSON files in a folder `shared/data/oracles` beside the checkout; where it is absent
they are skipped, and the printed constants at the end still run. Each case names its convention;
`oracles_models` and `oracles_backtest` name the options that stand for it.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

pytest.register_assert_rewrite("oracle_support", "oracles_models", "oracles_backtest")

import oracles_backtest  # noqa: E402, F401 - registers its cases
import oracles_models  # noqa: E402
from oracle_support import CASES, DATA, FOLDER, column  # noqa: E402

from rtre.backtest.coverage import kupiec, kupiec_region, tuff  # noqa: E402
from rtre.backtest.exceedances import Transitions  # noqa: E402
from rtre.backtest.independence import christoffersen, conditional_coverage  # noqa: E402
from rtre.backtest.traffic_light import traffic_light  # noqa: E402
from rtre.models.contributions import cornish_fisher_contributions  # noqa: E402
from rtre.models.ewma import ewma_covariance  # noqa: E402
from rtre.models.gaussian import normal_contributions, normal_factors  # noqa: E402
from rtre.models.student_t import t_factors  # noqa: E402

needs_data = pytest.mark.skipif(not FOLDER.is_dir(), reason="no folder shared/data beside this one")

#: Facts of recorded WebSocket sessions: they belong to the tests of the venues.
ELSEWHERE = {"capture_facts"}


@needs_data
def test_every_case_in_the_folder_has_a_check() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(CASES) | ELSEWHERE


@needs_data
@pytest.mark.parametrize("name", CASES)
def test_the_number_of_the_case_is_reproduced(name: str) -> None:
    CASES[name](json.loads((FOLDER / f"{name}.json").read_text()))


@needs_data
def test_hulls_ewma_example_is_reproduced() -> None:
    # Hull, Risk Management and Financial Institutions: the four indices at 0.94, printed in dollars
    returns, positions = oracles_models.hull_returns(), np.array(oracles_models.HULL)
    start = np.cov(returns.T, bias=True)
    covariance = ewma_covariance(returns, 0.94, start)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([0.0219, 0.0321, 0.0309, 0.0159], abs=5e-5)
    parts, _ = normal_contributions(positions, np.zeros(4), covariance, 0.99)
    assert round(1000.0 * float(np.sum(parts)), -1) == 471_030  # 471,025 at a rounded quantile


@needs_data
def test_modified_component_es_of_performance_analytics_is_reproduced() -> None:
    # printed by PerformanceAnalytics for edhec up to August 2009 (152 months), equal weights, 95 %
    with (DATA / "returns" / "edhec.csv").open() as lines:
        funds = [name.strip('"') for name in lines.readline().strip().split(",")[1:]]
    returns = np.column_stack([column("returns/edhec.csv", f) for f in funds])
    got = cornish_fisher_contributions(
        np.full(13, 1.0 / 13.0), returns[:152], 0.95, shortfall="edgeworth", ddof=1
    )
    printed = [
        0.0074750513, -0.0028125166, 0.0039422674, 0.0069376579, 0.0008077760, 0.0037114666,
        0.0043125937, 0.0007173036, 0.0036152960, 0.0013693293, 0.0037650911, -0.0048178690,
        0.0033924063,
    ]  # fmt: skip
    assert got.total_es == pytest.approx(0.03241585, abs=5e-9)
    assert got.es == pytest.approx(printed, abs=1e-9)  # ten digits; slopes by differences


def test_printed_backtest_constants_are_reproduced() -> None:
    # MathWorks' documentation prints five digits
    pof = kupiec(1043, 57, 0.95)
    assert (round(pof.statistic, 5), round(pof.p_value, 5)) == (0.46147, 0.49694)
    wait = tuff(58, 0.95)
    assert (round(wait.statistic, 4), round(wait.p_value, 5)) == (1.7354, 0.18773)
    moves = Transitions(932, 53, 53, 4)
    independence = christoffersen(moves)
    assert (round(independence.statistic, 5), round(independence.p_value, 5)) == (0.25866, 0.61104)
    both = conditional_coverage(1043, 57, moves, 0.95)
    assert (round(both.statistic, 5), round(both.p_value, 5)) == (0.72013, 0.69763)
    light = traffic_light(1043, 57, 0.95)
    assert (light.zone, round(light.cumulative, 5), light.plus) == ("green", 0.77913, 0.0)
    assert round(kupiec(250, 0, 0.99).statistic, 2) == 5.03
    assert kupiec_region(510, 0.95) == (17, 35)
    # Kupiec's own table (1995): non-rejection at 5 % of 1 %, 2.5 % and 5 % in 255 and 1000 days
    assert [kupiec_region(255, c) for c in (0.99, 0.975, 0.95)] == [(1, 6), (3, 11), (7, 20)]
    assert [kupiec_region(1000, c) for c in (0.99, 0.975, 0.95)] == [(5, 16), (16, 35), (38, 64)]


def test_edges_of_the_printed_tests_are_defined() -> None:
    assert kupiec(250, 250, 0.99).statistic == pytest.approx(-500.0 * math.log(0.01))
    assert kupiec(10, 0, 0.99).statistic == pytest.approx(-20.0 * math.log(0.99))
    assert tuff(1, 0.99).statistic == pytest.approx(-2.0 * math.log(0.01))
    assert (tuff(None, 0.99, n=250).statistic, tuff(None, 0.99, n=250).p_value) == (0.0, 1.0)
    for empty in ((249, 0, 0, 0), (0, 0, 0, 249), (247, 1, 1, 0), (0, 124, 125, 0), (0, 0, 0, 0)):
        assert 0.0 <= christoffersen(Transitions(*empty)).p_value <= 1.0
    lights = [traffic_light(n, n, c) for n in (1, 10, 250, 1000) for c in (0.9, 0.975, 0.999)]
    assert {light.zone for light in lights} <= {"green", "yellow", "red"}
    assert all(light.multiplier <= 4.0 for light in lights)


def test_printed_quantile_constants_are_reproduced() -> None:
    # the RiskMetrics and Basel tables print three to four digits
    assert round(normal_factors(0.975)[1], 3) == 2.338
    assert round(normal_factors(0.99)[0], 3) == 2.326
    assert [round(f, 3) for f in t_factors(0.99, 4.0)] == [3.747, 5.221]
    assert [traffic_light(250, x, 0.99).plus for x in (4, 5, 9, 10)] == [0.0, 0.4, 0.85, 1.0]
