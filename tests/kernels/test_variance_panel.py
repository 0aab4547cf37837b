"""Variances of many symbols stepped together, against each series alone and plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtre.errors import DataError
from rtre.kernels.garch import variance_path
from rtre.windows.variance_panel import VariancePanel

shocks = st.one_of(st.floats(-10.0, 10.0), st.sampled_from([math.nan, math.inf, -1e200, 0.0]))


@given(st.lists(st.tuples(shocks, shocks, shocks), max_size=30), st.integers(0, 10**6))
@settings(deadline=None)
def test_a_panel_is_the_recursion_of_each_symbol(steps: list[tuple[float, ...]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    omega, alpha, gamma, beta = rng.uniform(0.0, [[0.1], [0.2], [0.2], [0.9]], (4, 3))
    first = rng.uniform(0.5, 2.0, 3)
    panel = VariancePanel(first, omega=omega, alpha=alpha, gamma=gamma, beta=beta)
    want, masked = first.tolist(), 0
    for step in steps:
        got = panel.update(np.array(step))
        for i, e in enumerate(step):
            if not abs(e) <= 1e150:
                masked += 1
                continue
            leverage = float(gamma[i]) if e < 0.0 else 0.0
            want[i] = float(omega[i] + (alpha[i] + leverage) * e * e + beta[i] * want[i])
        assert got.tolist() == pytest.approx(want, rel=1e-15)
        assert panel.variances.tolist() == got.tolist()
        assert panel.deviations.tolist() == [math.sqrt(v) for v in got.tolist()]
    assert panel.masked == masked


def test_a_symbol_of_a_panel_has_the_bits_of_its_series() -> None:
    series = np.random.default_rng(5).normal(size=(200, 9))
    panel = VariancePanel(np.full(9, 1.3), omega=0.02, alpha=0.05, gamma=0.08, beta=0.87)
    out = np.empty(201)
    path = np.array([panel.update(row).copy() for row in series])
    for i in range(9):
        variance_path(series[:, i].copy(), 0.02, 0.05, 0.08, 0.87, 1.3, out)
        assert path[:, i].tobytes() == out[1:].tobytes()


def test_an_ewma_forgets_at_its_decay() -> None:
    panel = VariancePanel.ewma([1.0, 1.0], decay=0.9)
    for _ in range(50):
        panel.update(np.array([0.0, math.nan]))
    assert panel.variances.tolist() == pytest.approx([0.9**50, 1.0], rel=1e-13)


@pytest.mark.parametrize(
    "make",
    [
        lambda: VariancePanel([1.0], omega=-1.0, alpha=0.1, beta=0.8),
        lambda: VariancePanel([1.0], omega=0.0, alpha=0.1, gamma=-0.2, beta=0.8),
        lambda: VariancePanel([1.0], omega=0.0, alpha=0.1, beta=math.nan),
        lambda: VariancePanel([0.0], omega=0.0, alpha=0.1, beta=0.8),
        lambda: VariancePanel([math.nan], omega=0.0, alpha=0.1, beta=0.8),
        lambda: VariancePanel([[1.0]], omega=0.0, alpha=0.1, beta=0.8),
        lambda: VariancePanel([1.0, 2.0], omega=[0.0, 0.0, 0.0], alpha=0.1, beta=0.8),
        lambda: VariancePanel.ewma([1.0], decay=1.0),
        lambda: VariancePanel.ewma([1.0], decay=0.9).update(np.zeros(2)),
    ],
)
def test_wrong_arguments_are_refused(make: object) -> None:
    with pytest.raises(DataError, match="must"):
        make()  # type: ignore[operator]
