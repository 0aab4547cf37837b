"""Order-statistic tails against `Historical.estimate` and a full sort."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from rtre.kernels.tail import complete_rows, select_smallest, tail_of_ascending
from rtre.models.historical import Historical
from rtre.order import rank_table
from rtre.sheet import RESULTS

CONFIDENCES = (0.6, 0.95, 0.99)

samples = npst.arrays(
    np.float64,
    st.integers(2, 300),
    elements=st.one_of(
        st.floats(-1e6, 1e6, allow_subnormal=True),
        st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1.0, -1.0]),
    ),
)


def tails(ascending: np.ndarray, n: int, scale: float) -> np.ndarray:
    ranks, m = rank_table(CONFIDENCES, len(ascending))
    out = np.empty((len(CONFIDENCES), RESULTS))
    for c in range(len(CONFIDENCES)):
        tail_of_ascending(ascending, n, scale, ranks[c, n], m[c, n], out[c])
    return out


@given(samples, st.sampled_from([1.0, 250.0, 0.001]))
@settings(max_examples=200, deadline=None)
def test_a_tail_is_what_a_full_sort_gives(pnl: np.ndarray, scale: float) -> None:
    got = tails(np.sort(pnl), len(pnl), scale)
    want = Historical().estimate(scale * pnl, CONFIDENCES)
    unit = float(np.abs(scale * pnl).max())
    for row, tail in zip(got, want, strict=True):
        expected = [tail.var, tail.es, tail.var_low, tail.var_high, tail.es_se]
        # the spread behind es_se is a difference of nearly equal numbers: 1e-7 of the largest
        np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-7 * unit)
        assert row[0] == tail.var, "an order statistic is a value of the sample, not nearly one"
        assert row[1] >= row[0]


@pytest.mark.parametrize("scale", [1.0, 0.0])
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_no_loss_is_minus_zero(scale: float, zero: float) -> None:
    out = tails(np.full(5, zero), 5, scale)
    numbers = out[np.isfinite(out)]
    assert not np.signbit(numbers).any()


def test_values_beyond_the_count_are_not_read() -> None:
    ascending = np.array([-3.0, -1.0, 2.0, math.nan, -1e9])
    # pad the rank table to the array's length
    assert tails(ascending, 3, 1.0)[:, 0].max() == 3.0


@given(
    npst.arrays(
        np.float64,
        st.integers(1, 200),
        elements=st.one_of(st.floats(-10, 10), st.integers(-2, 2).map(float)),
    ),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_selection_brings_the_smallest_to_the_front_in_order(
    values: np.ndarray, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(values)))
    count = data.draw(st.integers(0, n))
    want = np.sort(values[:n])
    work = values.copy()
    select_smallest(work, n, count)
    assert work[:count].tolist() == want[:count].tolist()
    assert np.sort(work[:n]).tolist() == want.tolist(), "nothing is lost or made up"
    assert work[n:].tolist() == values[n:].tolist()


@pytest.mark.parametrize("count", [1, 10, 64, 65, 200, 1000])
@pytest.mark.parametrize("kind", ["up", "down", "constant", "organ", "random"])
def test_selection_of_ordered_values(kind: str, count: int) -> None:
    up = np.arange(1000.0)
    values = {
        "up": up,
        "down": up[::-1].copy(),
        "constant": np.ones(1000),
        "organ": np.minimum(up, up[::-1]),
        "random": np.random.default_rng(1).permutation(up),
    }[kind]
    want = np.sort(values)[:count]
    work = values.copy()
    select_smallest(work, 1000, count)
    assert work[:count].tolist() == want.tolist()


def test_only_complete_rows_in_use_are_copied() -> None:
    out = np.full(6, math.nan)
    n = complete_rows(np.arange(5.0), np.array([0, 2, 0, 1, 0]), 4, out)
    assert out[:n].tolist() == [0.0, 2.0]
