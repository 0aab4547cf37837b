"""The ends of a window against a sort of the whole of it."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.kernels import layout
from rtre.kernels.ends import slide
from rtre.market import TickBatch, Universe
from rtre.windows.lines import Lines

numbers = st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, 1.0, 1.0, -1.0, 1e30, math.nan]), st.floats(-2.0, 2.0)
)


@given(st.lists(numbers, max_size=60), st.integers(1, 6), st.integers(1, 8))
@settings(deadline=None)
def test_an_end_holds_the_lowest_values_whatever_comes_and_goes(
    series: list[float], places: int, window: int
) -> None:
    end, m = np.zeros(places), 0
    held: deque[float] = deque()
    for new in series:
        old = held.popleft() if len(held) == window else math.nan
        before = sum(not math.isnan(x) for x in held) + int(not math.isnan(old))
        held.append(new)
        m = slide(end, m, before, old, new)
        valid = sorted(x for x in held if not math.isnan(x))
        assert m <= min(places, len(valid))
        assert end[:m].tolist() == valid[:m]
        if len(valid) <= 1:
            assert m == len(valid), "what is all there is stays known"


@pytest.mark.parametrize("drift", [0.0, 1e-2, -1e-2])
def test_both_ends_follow_the_window_for_long(drift: float) -> None:
    window = 80
    lines = Lines(
        Universe(("A",)), {"b": {"A": -1.0}}, window=window, interval_ns=10, jump=10.0,
        confidences=(0.9,), evaluation="every-tick",
    )  # fmt: skip
    rng = np.random.default_rng(3)
    price, scale = 100.0, 1e-3
    for k in range(600):
        scale *= 1.0 + drift  # returns grow or shrink: each one becomes an end, or none
        price *= math.exp(scale * rng.standard_t(3)) if scale < 0.3 else 1.0
        lines.open_row(k + 1)
        lines.apply(TickBatch.of(0, price, 10 * (k + 1)), 0)
        returns = lines.returns[0]
        closed = np.sort(np.delete(returns, lines.head))
        closed = closed[~np.isnan(closed)]
        low, high = lines.clocks[0, (layout.C_LOWEST, layout.C_HIGHEST)]
        need = layout.need(lines.ints)[layout.SHOWN, len(closed)]
        assert min(low, high) >= min(need, len(closed))
        ends = layout.ends(lines.floats, lines.ints)[0]
        assert ends[0, :low].tolist() == closed[:low].tolist()
        assert (-ends[1, :high]).tolist() == closed[::-1][:high].tolist()
        extremes = layout.extremes(lines.floats, lines.ints)[0].tolist()
        assert extremes == [min([0.0, *closed]), max([0.0, *closed])]
