"""Many forecasts tested in one go, against one test of one forecast at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.backtest.coverage import binomial, kupiec
from rtre.backtest.exceedances import Counts
from rtre.backtest.independence import christoffersen, conditional_coverage
from rtre.backtest.running import ZONES, coverage_figures, zones
from rtre.backtest.traffic_light import traffic_light

LEVELS = (0.95, 0.975, 0.99)
TAILS = np.array([0.05, 0.025, 0.01])


@given(
    st.lists(
        st.tuples(st.integers(1, 600), st.floats(0.0, 0.2), st.integers(0, 2**31)),
        min_size=1, max_size=5,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_every_figure_is_that_of_the_single_test(runs: list[tuple[int, float, int]]) -> None:
    counts = [Counts.of(np.random.default_rng(seed).random(n) < share) for n, share, seed in runs]
    wide = np.ones(len(LEVELS))
    n = np.array([c.n for c in counts])[:, None] * wide
    x = np.array([c.x for c in counts])[:, None] * wide
    pairs = [
        np.array([getattr(c.transitions, name) for c in counts])[:, None] * wide
        for name in ("n00", "n01", "n10", "n11")
    ]
    found = coverage_figures(n, x, (pairs[0], pairs[1], pairs[2], pairs[3]), TAILS)
    for i, c in enumerate(counts):
        for j, level in enumerate(LEVELS):
            light = traffic_light(c.n, c.x, level)
            want = {
                "binomial": binomial(c.n, c.x, level),
                "kupiec": kupiec(c.n, c.x, level),
                "independence": christoffersen(c.transitions),
                "conditional": conditional_coverage(c.n, c.x, c.transitions, level),
            }
            assert ZONES[found.zone[i, j]] == light.zone
            for name, test in want.items():
                # 1e-9: two libraries' binomial and chi-square tails; absolute, for p next to 0
                assert getattr(found, name)[i, j] == pytest.approx(
                    test.p_value, rel=1e-9, abs=1e-12
                ), name


def test_without_a_period_there_is_no_figure() -> None:
    none = np.zeros((1, 3))
    found = coverage_figures(none, none, (none, none, none, none), TAILS)
    assert (found.zone == -1).all()
    for name in ("binomial", "kupiec", "independence", "conditional"):
        assert np.isnan(getattr(found, name)).all()


def test_the_zones_begin_where_the_table_says() -> None:
    n = np.full(601, 250.0)
    x = np.minimum(np.arange(601.0), 250.0)
    for level, tail in zip(LEVELS, TAILS, strict=True):
        light = traffic_light(250, 0, level)
        found = zones(n, x, tail)
        assert int(np.argmax(found >= 1)) == light.yellow_from
        assert int(np.argmax(found >= 2)) == light.red_from
