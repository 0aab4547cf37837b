"""Published and independently computed numbers, reproduced through the public functions.

The cases are JSON files in a folder `shared/data/oracles` beside the checkout; where it is absent
they are skipped, and the printed constants at the end still run. Each case names its convention;
`oracles_models` and `oracles_backtest` name the options that stand for it.
"""

from __future__ import annotations

import json

import pytest

pytest.register_assert_rewrite("oracle_support", "oracles_models", "oracles_backtest")

import oracles_backtest  # noqa: E402, F401 - registers its cases
import oracles_models  # noqa: E402, F401
from oracle_support import CASES, FOLDER  # noqa: E402

from rtre.backtest.coverage import kupiec, kupiec_region, tuff  # noqa: E402
from rtre.backtest.exceedances import Transitions  # noqa: E402
from rtre.backtest.independence import christoffersen, conditional_coverage  # noqa: E402
from rtre.backtest.traffic_light import traffic_light  # noqa: E402
from rtre.models.gaussian import normal_factors  # noqa: E402
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


def test_printed_quantile_constants_are_reproduced() -> None:
    # the RiskMetrics and Basel tables print three to four digits
    assert round(normal_factors(0.975)[1], 3) == 2.338
    assert round(normal_factors(0.99)[0], 3) == 2.326
    assert [round(f, 3) for f in t_factors(0.99, 4.0)] == [3.747, 5.221]
    assert [traffic_light(250, x, 0.99).plus for x in (4, 5, 9, 10)] == [0.0, 0.4, 0.85, 1.0]
