"""The sorted window against a plain list kept with `bisect`, value by value."""

from __future__ import annotations

import bisect
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rtre.kernels.sorted_window import insert, lower_bound, remove

# ties, both zeros, the smallest numbers there are, and the largest
awkward = st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e-308, 1.0, -1.0, 1e308, -1e308])
values = st.one_of(awkward, st.floats(-1e308, 1e308), st.integers(-3, 3).map(float))


class SortedWindow(RuleBasedStateMachine):
    """A window of one or a few places; the oldest value leaves when it is full.

    Who owns the array sees to it that there is a place: the smallest windows are refused by
    `RollingTail`, `RollingMoments` and `Lines`, each with a test of its own.
    """

    @initialize(capacity=st.integers(1, 9))
    def start(self, capacity: int) -> None:
        self.array = np.full(capacity, math.nan)
        self.arrived: list[float] = []
        self.twin: list[float] = []

    @rule(value=values)
    def slide(self, value: float) -> None:
        n = len(self.arrived)
        if n == len(self.array):
            old = self.arrived.pop(0)
            remove(self.array, n, old)
            insert(self.array, n - 1, value)
            self.twin.remove(old)
        else:
            insert(self.array, n, value)
        self.arrived.append(value)
        bisect.insort(self.twin, value)

    @rule(first=values, step=st.sampled_from([0.0, -1.0, 1.0, 5e-324]), count=st.integers(1, 25))
    def run(self, first: float, step: float, count: int) -> None:
        """Constant, rising, or falling."""
        for k in range(count):
            self.slide(first + k * step)

    @precondition(lambda self: self.arrived)
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.arrived) - 1))
        value = self.arrived.pop(place)
        remove(self.array, len(self.arrived) + 1, value)
        self.twin.remove(value)

    @invariant()
    def holds_the_same_values(self) -> None:
        n = len(getattr(self, "arrived", []))
        if n:
            assert self.array[:n].tolist() == self.twin


TestSortedWindow = SortedWindow.TestCase
TestSortedWindow.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


@given(st.lists(values, max_size=30), values)
@settings(deadline=None)
def test_the_lower_bound_is_that_of_bisect(found: list[float], x: float) -> None:
    found.sort()
    assert lower_bound(np.array([*found, math.nan]), len(found), x) == bisect.bisect_left(found, x)
