"""`VariancePanel` against the recursion in fractions, run over the whole history at each look."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtre.windows.variance_panel import VariancePanel

N = 3
shocks = st.one_of(
    st.floats(-10.0, 10.0),
    st.sampled_from([0.0, -0.0, 5e-324, -1e-160, 1e-3, 1e-3, 1e8, -1e12, 1e150, -1e150]),
    st.sampled_from([math.nan, math.inf, -math.inf, 1.01e150, -1e308]),
)


class Panel(RuleBasedStateMachine):
    """Shocks of three symbols, of which any may be masked."""

    @initialize(
        first=st.lists(st.sampled_from([1.0, 1e-12, 2.5, 5e-324]), min_size=N, max_size=N),
        omega=st.sampled_from([0.0, 0.02, 1e-300]),
        alpha=st.sampled_from([0.0, 0.06, 1.0]),
        gamma=st.sampled_from([0.0, 0.1, -0.06]),
        beta=st.sampled_from([0.0, 0.9, 0.94, 1.0]),
    )
    def start(
        self, first: list[float], omega: float, alpha: float, gamma: float, beta: float
    ) -> None:
        gamma = max(gamma, -alpha)
        self.panel = VariancePanel(first, omega=omega, alpha=alpha, gamma=gamma, beta=beta)
        self.parameters = tuple(Fraction(x) for x in (omega, alpha, gamma, beta))
        self.first = [Fraction(x) for x in first]
        self.taken: list[list[Fraction]] = [[] for _ in range(N)]
        self.masked = 0

    @rule(row=st.lists(shocks, min_size=N, max_size=N))
    def step(self, row: list[float]) -> None:
        self.panel.update(np.array(row))
        for taken, e in zip(self.taken, row, strict=True):
            if abs(e) <= 1e150:
                taken.append(Fraction(e))
            else:
                self.masked += 1

    @rule(shock=shocks, count=st.integers(1, 12), growth=st.sampled_from([1.0, 2.0, -0.5]))
    def run(self, shock: float, count: int, growth: float) -> None:
        """Constant shocks, or each further out, or dying away with a changing sign."""
        for k in range(count):
            self.step([shock * growth**k] * N)

    @rule()
    def read_only_and_strided_rows_are_the_same(self) -> None:
        wide = np.zeros((2 * N,))
        wide[::2] = 0.5
        wide.setflags(write=False)
        self.panel.update(wide[::2])
        for taken in self.taken:
            taken.append(Fraction(1, 2))

    @invariant()
    def the_variances_are_the_recursion(self) -> None:
        if not hasattr(self, "panel"):
            return
        assert self.panel.masked == self.masked
        omega, alpha, gamma, beta = self.parameters
        for i, taken in enumerate(self.taken):
            h = self.first[i]
            # from the newest back: h = sum of beta^age (omega + weight e^2) + beta^n first
            total, weight = Fraction(0), Fraction(1)
            for e in reversed(taken):
                total += weight * (omega + (alpha + (gamma if e < 0 else 0)) * e * e)
                weight *= beta
            want = float(min(total + weight * h, Fraction(10) ** 306))
            # all terms are positive, so each of some four roundings a step counts in full; squares
            # below the smallest number are lost
            slack = 1e-15 * max(len(taken), 4)
            got = float(self.panel.variances[i])
            assert got == pytest.approx(want, rel=slack, abs=1e-320)
            assert self.panel.deviations[i] == math.sqrt(got)


TestPanel = Panel.TestCase
TestPanel.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
