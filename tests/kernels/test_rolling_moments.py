"""Rolling mean and deviation of a stream against exact sums over a deque."""

from __future__ import annotations

import math
import os
from collections import deque
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rtre.errors import DataError
from rtre.windows.rolling_moments import RollingMoments

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") != "1"
LENGTH = 200_000 if JIT else 8_000

# an offset, small moves about it, spikes, repeats, and steps to another level
values = st.one_of(
    st.floats(-1.0, 1.0),
    st.floats(-1e-6, 1e-6).map(lambda x: 1e6 + x),
    st.sampled_from([0.0, 0.1, 1e6, 1e8, -1e12, 3.3e10, 1e9, 3.3e7, 1e140, -1e-120]),
    st.sampled_from([-0.0, 5e-324, -5e-324, 2.2e-308, -1e-310, 1e150, -1e150]),
)
steps = st.sampled_from([0.0, 1.0, -1.0, 1e-9, -1e-12, 5e-324, 1e8])
refused = st.sampled_from([math.nan, math.inf, -math.inf, 1.1e150, -1e200])


def exact(window: list[float], ddof: int) -> tuple[float, float]:
    """Mean and standard deviation with no rounding before the last steps."""
    n = len(window)
    fractions = [Fraction(x) for x in window]
    mean = sum(fractions, Fraction(0)) / n
    if n <= ddof:
        return float(mean), math.nan
    squares = sum(((f - mean) ** 2 for f in fractions), Fraction(0)) / (n - ddof)
    # a fraction may be below the smallest double: its root is not
    shift = Fraction(2) ** 600 if squares < Fraction(1, 10**200) else Fraction(1)
    return float(mean), math.sqrt(float(squares * shift)) / math.sqrt(float(shift))


def fsum_moments(window: list[float]) -> tuple[float, float]:
    """Mean and deviation in two passes of correctly rounded sums."""
    mean = math.fsum(window) / len(window)
    squares = math.fsum((x - mean) ** 2 for x in window)
    return mean, math.sqrt(squares / (len(window) - 1))


class Twin(RuleBasedStateMachine):
    """A deque does what the ring does; fractions do what the sums do."""

    @initialize(
        window=st.one_of(st.just(2), st.integers(2, 9)), ddof=st.integers(0, 1), data=st.data()
    )
    def make(self, window: int, ddof: int, data: st.DataObject) -> None:
        self.min_obs = data.draw(st.integers(1, window))
        self.ddof = ddof
        self.ours = RollingMoments(window, self.min_obs, ddof=ddof)
        self.twin: deque[float] = deque(maxlen=window)
        self.skipped = 0

    @rule(x=values)
    def push(self, x: float) -> None:
        self.ours.push(x)
        self.twin.append(x)

    @rule(xs=st.lists(values, max_size=25))
    def push_many(self, xs: list[float]) -> None:
        out = self.ours.push_many(np.array(xs))
        self.twin.extend(xs)
        if xs:
            assert repr(out[-1].tolist()) == repr([self.ours.mean, self.ours.std])

    @rule(first=values, step=steps, count=st.integers(1, 25))
    def run(self, first: float, step: float, count: int) -> None:
        """A constant, rising or falling series, longer than the window."""
        self.push_many([first + k * step for k in range(count) if abs(first + k * step) <= 1e150])

    @rule(x=refused)
    def refuse(self, x: float) -> None:
        before = repr((self.ours.mean, self.ours.std, len(self.ours)))
        self.ours.push(x)
        self.skipped += 1
        assert repr((self.ours.mean, self.ours.std, len(self.ours))) == before

    @rule()
    def restart_from_a_snapshot(self) -> None:
        self.ours = RollingMoments.restore(self.ours.snapshot())

    @invariant()
    def same_moments(self) -> None:
        window = list(self.twin)
        assert len(self.ours) == len(window)
        assert self.ours.skipped == self.skipped
        if len(window) < self.min_obs:
            assert math.isnan(self.ours.mean)
            assert math.isnan(self.ours.std)
            return
        mean, sd = exact(window, self.ddof)
        # the guard gives up 6 bits of 53, and nine sums may each lose one: 64 * 9 * 1e-16; a
        # spread whose squares lie below 1e-300 reads as none
        assert self.ours.std == pytest.approx(sd, rel=1e-13, abs=1e-150, nan_ok=True)
        slack = 4.0 * math.ulp(mean) + (1e-13 * sd if sd > 0.0 else 0.0)
        assert abs(self.ours.mean - mean) <= slack
        assert math.isnan(self.ours.variance) or self.ours.std == math.sqrt(self.ours.variance)
        if len(set(window)) == 1 and len(window) > self.ddof:
            assert self.ours.std == 0.0


Twin.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_every_history_gives_the_exact_moments = Twin.TestCase


def test_a_window_of_one_value_is_refused_and_two_are_enough() -> None:
    for window in (1, 0, -3):
        with pytest.raises(DataError, match=f"from 2 to .* got {window}"):
            RollingMoments(window)
    out = RollingMoments(2, 1).push_many(np.array([-0.0, 0.0, 5e-324, 1e8, 1e8]))
    assert out[:, 0].tolist() == [0.0, 0.0, 0.0, 5e7, 1e8]
    assert out[[1, 2, 4], 1].tolist() == [0.0, 0.0, 0.0]


def garch(n: int) -> np.ndarray:
    """Heavy-tailed returns whose volatility clusters."""
    rng = np.random.default_rng(7)
    out, variance = np.empty(n), 1e-4
    for t, z in enumerate(rng.standard_t(5.0, n)):
        out[t] = math.sqrt(0.6 * variance) * z
        variance = 2e-6 + 0.08 * out[t] ** 2 + 0.9 * variance
    return out


def worst_error(series: np.ndarray, window: int, checked: np.ndarray) -> tuple[float, int]:
    """Largest relative error of the deviation at the places `checked`, and the restarts."""
    moments = RollingMoments(window)
    out = moments.push_many(series)
    worst = 0.0
    for t in checked[checked >= window - 1]:
        _, sd = fsum_moments(series[t - window + 1 : t + 1].tolist())
        worst = max(worst, abs(out[t, 1] / sd - 1.0))
    return worst, moments.restarts


@pytest.mark.parametrize("window", [10, 250])
def test_an_offset_of_a_million_costs_no_digits(window: int) -> None:
    series = garch(LENGTH) * 100.0 + 1e6
    checked = np.linspace(0, LENGTH - 1, 300).astype(int)
    # the twin's own rounded mean costs it 1e-14 at this offset
    assert worst_error(series, window, checked)[0] < 1e-13


@pytest.mark.parametrize("window", [10, 250])
def test_spikes_leave_no_trace_once_they_are_out(window: int) -> None:
    series = garch(LENGTH)
    first, second = LENGTH // 3, LENGTH // 2
    series[first], series[second] = 1e8, -1e12
    after = np.arange(-2, 3 * window)
    checked = np.concatenate([first + after, second + after, [LENGTH - 1]])
    worst, restarts = worst_error(series, window, checked)
    assert worst <= 1e-12  # the goal; it is met with two digits to spare
    assert restarts >= 2


def test_spikes_that_leave_in_falling_order_leave_no_trace_either() -> None:
    # each is 30 times smaller than the one before: no single step gives up more than three digits
    window, spikes = 50, 12
    series = np.concatenate([1e9 * 30.0 ** -np.arange(spikes), garch(200)])
    worst, restarts = worst_error(series, window, np.arange(window - 1, window + spikes + 30))
    assert worst <= 1e-12
    assert restarts > 0


def test_returns_never_trip_the_guard() -> None:
    moments = RollingMoments(250)
    moments.push_many(garch(LENGTH))
    assert moments.restarts == 0


@given(st.lists(st.one_of(values, refused), max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_any_batching_gives_the_same_bits(series: list[float], data: st.DataObject) -> None:
    whole, cut, single = (RollingMoments(7, 3) for _ in range(3))
    want = whole.push_many(np.array(series))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(series)), max_size=5)))
    parts = [cut.push_many(part) for part in np.split(np.array(series), cuts)]
    assert np.concatenate(parts).tobytes() == want.tobytes()
    for x, row in zip(series, want.tolist(), strict=True):
        single.push(x)
        assert repr([single.mean, single.std]) == repr(row)
    assert whole.snapshot() == cut.snapshot() == single.snapshot()


def test_a_strided_or_read_only_series_is_read_and_left_as_it_was() -> None:
    wide = np.arange(20.0).reshape(10, 2)
    fixed = wide[:, 0].copy()
    fixed.setflags(write=False)
    want = RollingMoments(4).push_many(wide[:, 0])
    assert RollingMoments(4).push_many(fixed).tobytes() == want.tobytes()


def test_out_is_written_and_returned() -> None:
    out = np.empty((3, 2))
    assert RollingMoments(2).push_many(np.array([1.0, 3.0, 5.0]), out) is out
    assert out[1:].tolist() == [[2.0, math.sqrt(2.0)], [4.0, math.sqrt(2.0)]]


@pytest.mark.parametrize(
    "make",
    [
        lambda: RollingMoments(1),
        lambda: RollingMoments(10**8),
        lambda: RollingMoments(5, 6),
        lambda: RollingMoments(5, 0),
        lambda: RollingMoments(5, ddof=2),
        lambda: RollingMoments(5).push_many(np.zeros((2, 2))),
        lambda: RollingMoments(5).push_many(np.zeros(3), np.empty((2, 2))),
        lambda: RollingMoments(5).push_many(np.zeros(3), np.empty((2, 3)).T),
        lambda: RollingMoments(5).push_many(np.zeros(3), np.empty((3, 2), np.float32)),
    ],
)
def test_wrong_arguments_are_refused(make: object) -> None:
    with pytest.raises(DataError, match="must"):
        make()  # type: ignore[operator]


def test_a_damaged_or_foreign_snapshot_is_refused() -> None:
    good = RollingMoments(5).snapshot()
    with pytest.raises(DataError, match="kind"):
        RollingMoments.restore(b"XXXX" + good[4:])
    with pytest.raises(DataError, match="damaged"):
        RollingMoments.restore(good[:-1])
    for place in range(4, len(good)):
        with pytest.raises(DataError):
            RollingMoments.restore(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
