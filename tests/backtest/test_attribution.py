"""P&L attribution: the metrics against scipy, and the zones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rtre.backtest.attribution import attribution, ks_distance, spearman
from rtre.errors import DataError

pairs = st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2, max_size=60)


@given(pairs)
def test_the_metrics_agree_with_scipy(days: list[tuple[int, int]]) -> None:
    first, second = (np.array(series, dtype=float) for series in zip(*days, strict=True))
    if np.ptp(first) and np.ptp(second):
        want = stats.spearmanr(first, second).statistic
        assert spearman(first, second) == pytest.approx(want, abs=1e-12)
    else:
        assert spearman(first, second) == 0.0
    want = stats.ks_2samp(first, second, method="asymp").statistic
    assert ks_distance(first, second) == pytest.approx(want, abs=1e-12)


def test_a_good_model_is_green_and_a_rough_one_is_not() -> None:
    rng = np.random.default_rng(1)
    desk = rng.normal(size=250)
    assert attribution(desk, desk + 0.05 * rng.normal(size=250)).zone == "green"
    assert attribution(desk, rng.normal(size=250)).zone == "red"
    doubled = attribution(desk, 2.0 * desk)  # moves together, but of another size
    assert doubled.spearman_zone == "green"
    assert doubled.zone == doubled.distance_zone == "red"


def test_the_pairing_by_day_matters() -> None:
    rng = np.random.default_rng(2)
    desk, model = rng.normal(size=250), rng.normal(size=250)
    assert abs(spearman(desk, model)) < 0.2
    assert spearman(np.sort(desk), np.sort(model)) > 0.99


def test_one_day_has_no_correlation() -> None:
    with pytest.raises(DataError, match="at least 2 days"):
        attribution([1.0], [1.0])
