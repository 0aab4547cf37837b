"""The traffic light: its boundaries, its capital, and any number of periods."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rtre.backtest.running import zones
from rtre.backtest.traffic_light import traffic_light, zone_probabilities, zone_starts
from rtre.errors import DataError

levels = st.sampled_from([0.9, 0.95, 0.975, 0.99, 0.995])


@given(st.integers(1, 2000), levels)
def test_zones_begin_where_the_cumulative_probability_says(n: int, confidence: float) -> None:
    yellow, red = zone_starts(n, confidence)
    tail = 1.0 - confidence
    for start, level in ((yellow, 0.95), (red, 0.9999)):
        # 1e-12: the two tails differ in the last bits
        assert stats.binom.cdf(start, n, tail) >= level - 1e-12
        assert start == 1 or stats.binom.cdf(start - 1, n, tail) < level + 1e-12
    assert yellow <= red <= n


@given(st.integers(1, 2000), st.floats(0.51, 0.999999))
def test_a_model_without_an_exceedance_is_green(n: int, confidence: float) -> None:
    assert traffic_light(n, 0, confidence).zone == "green"
    assert zone_starts(n, confidence)[0] >= 1
    assert zones(np.array([float(n)]), np.zeros(1), np.array([1.0 - confidence])) == [0]


@given(st.integers(1, 600), levels, st.data())
def test_more_exceedances_never_mean_less_capital(
    n: int, confidence: float, data: st.DataObject
) -> None:
    x = data.draw(st.integers(0, n - 1))
    before, after = (traffic_light(n, k, confidence, plus="formula") for k in (x, x + 1))
    order = ["green", "yellow", "red"]
    assert order.index(before.zone) <= order.index(after.zone)
    assert 3.0 <= before.multiplier <= after.multiplier <= 4.0
    assert before.cumulative <= after.cumulative
    assert before.type_one >= after.type_one


@pytest.mark.parametrize(
    ("confidence", "starts"), [(0.99, (5, 10)), (0.975, (11, 17)), (0.95, (18, 27))]
)
def test_two_hundred_and_fifty_days_have_the_published_zones(
    confidence: float, starts: tuple[int, int]
) -> None:
    assert zone_starts(250, confidence) == starts


def test_the_table_and_the_formula_differ_by_rounding_and_policy() -> None:
    table = [traffic_light(250, x, 0.99).plus for x in range(4, 11)]
    formula = [traffic_light(250, x, 0.99, plus="formula").plus for x in range(4, 11)]
    assert table == [0.0, 0.4, 0.5, 0.65, 0.75, 0.85, 1.0]
    assert [round(f, 2) for f in formula] == [0.0, 0.4, 0.53, 0.65, 0.77, 0.88, 1.0]


def test_the_later_base_has_its_own_table() -> None:
    plus = [traffic_light(250, x, 0.99, base=1.5).plus for x in range(4, 12)]
    assert plus == [0.0, 0.2, 0.26, 0.33, 0.38, 0.42, 0.5, 0.5]
    assert traffic_light(250, 12, 0.99, base=1.5).multiplier == 2.0


def test_there_is_no_table_for_other_numbers_of_periods() -> None:
    with pytest.raises(DataError, match="250 periods"):
        traffic_light(500, 8, 0.99, plus="table")
    assert 0.0 < traffic_light(500, 10, 0.99).plus < 1.0


@given(st.integers(1, 800), levels, st.floats(0.0, 1.0))
def test_zone_probabilities_add_up_to_one(n: int, confidence: float, true_tail: float) -> None:
    chances = zone_probabilities(n, confidence, true_tail)
    assert sum(chances) == pytest.approx(1.0, abs=1e-9)
    assert all(0.0 <= chance <= 1.0 for chance in chances)


def test_a_right_model_is_yellow_in_one_year_of_nine() -> None:
    green, yellow, red = zone_probabilities(250, 0.99, 0.01)
    assert (round(green, 4), round(yellow, 4), round(red, 5)) == (0.8922, 0.1076, 0.00025)


@pytest.mark.parametrize(
    ("n", "x", "words"), [(0, 0, "not possible"), (10, 11, "11 exceedances"), (10, -1, "-1")]
)
def test_impossible_counts_are_refused(n: int, x: int, words: str) -> None:
    with pytest.raises(DataError, match=words):
        traffic_light(n, x, 0.99)


def test_wrong_options_are_named() -> None:
    with pytest.raises(DataError, match="base must be positive, got 0"):
        traffic_light(250, 5, 0.99, base=0.0)
    with pytest.raises(DataError, match="'guess'"):
        traffic_light(250, 5, 0.99, plus="guess")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="yellow < red"):
        zone_starts(250, 0.99, yellow=0.99, red=0.95)
    with pytest.raises(DataError, match="probability"):
        zone_probabilities(250, 0.99, 1.5)
