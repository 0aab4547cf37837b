"""`LineMoments` and `EwmaVariance` of symbols and books against sums over the table of prices.

What a running sum may be off is of the largest numbers that went through it since it was summed
afresh, which happens when the ring comes round at the latest.
"""

from __future__ import annotations

import os

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from price_table import PriceTable

from rtre.market import TickBatch, Universe
from rtre.windows.ewma import EwmaVariance
from rtre.windows.lines import Lines
from rtre.windows.moments import LineMoments

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") != "1"
SECOND = 10**9
N = 3
UNITS = np.array([[2.0, 0.0, 0.0], [1.0, -3.0, 0.0], [0.0, 1e-290, -1e-290]])
UNIVERSE = Universe(tuple("ABC"))
BOOKS = {f"book {b}": dict(zip("ABC", row, strict=True)) for b, row in enumerate(UNITS.tolist())}

moves = st.one_of(
    st.floats(-0.3, 0.3),
    st.sampled_from([0.0, -0.0, 1e-16, 1e-15, -1e-15, 0.05, -0.05, 1e8, 1e12, -0.999999]),
)


class Trackers(RuleBasedStateMachine):
    """Prices come and go; the moments are asked for at any time."""

    @initialize(window=st.integers(2, 9), decay=st.sampled_from([0.5, 0.94, 1.0]))
    def start(self, window: int, decay: float) -> None:
        self.window, self.decay = window, decay
        self.lines = self.make()
        self.table = PriceTable(UNITS, window, 1e70, 1)
        self.interval = 1_000
        # largest return of each symbol so far, and of the last few intervals
        self.sizes: list[np.ndarray] = []
        self.feed([(i, 100.0 + i) for i in range(N)])

    def make(self) -> Lines:
        lines = Lines(UNIVERSE, BOOKS, window=self.window, interval_ns=SECOND, jump=1e70)
        lines.tracker(LineMoments)
        lines.tracker(EwmaVariance, self.decay)
        return lines

    def feed(self, ticks: list[tuple[int, float]], ago: int = 0) -> None:
        k = self.interval - ago
        for i, unbounded in ticks:
            price = min(max(unbounded, 1e-30), 1e30)
            if k < self.table.newest[i]:
                continue
            batch = TickBatch.of(i, price, k * SECOND)
            if self.lines.apply(batch, 0) == 0:
                self.lines.open_row(k)
                self.table.open(k)
                assert self.lines.apply(batch, 0) == 1
            self.table.take(i, price, k)
            self.sizes.append(np.abs(np.nan_to_num(self.table.returns())).max(axis=1))

    @rule(asset=st.integers(0, N - 1), move=moves)
    def tick(self, asset: int, move: float) -> None:
        self.feed([(asset, self.table.last[asset] * (1.0 + move))])

    @rule(asset=st.integers(0, N - 1), move=moves, ago=st.integers(0, 3))
    def late(self, asset: int, move: float, ago: int) -> None:
        self.feed([(asset, self.table.last[asset] * (1.0 + move))], ago)

    @rule(moves=st.lists(moves, min_size=N, max_size=N), gap=st.sampled_from([1, 1, 1, 3]))
    def close(self, moves: list[float], gap: int) -> None:
        self.interval += gap
        last = self.table.last
        self.feed([(i, last[i] * (1.0 + move)) for i, move in enumerate(moves)])

    @rule(
        step=st.sampled_from([0.0, 1e-3, -1e-3]), growth=st.sampled_from([0.0, 1e-3]),
        count=st.integers(1, 25), silent=st.integers(0, N),
    )  # fmt: skip
    def a_run(self, step: float, growth: float, count: int, silent: int) -> None:
        """Constant returns, none at all, or each further out than the one before."""
        for k in range(count):
            self.interval += 1
            move = 1.0 + step * (1.0 + growth * k)
            self.feed([(i, self.table.last[i] * move) for i in range(N) if i != silent])

    @rule(asset=st.integers(0, N - 1))
    def lose_data(self, asset: int) -> None:
        self.lines.break_chain(asset)
        self.table.losses[asset] += 1

    @rule()
    def save_and_restore(self) -> None:
        data = self.lines.snapshot()
        self.lines = self.make()
        self.lines.restore(data)
        assert self.lines.snapshot() == data

    @rule(lines=st.sets(st.integers(0, N + len(UNITS) - 1), min_size=1), ddof=st.integers(0, 1))
    def ask(self, lines: set[int], ddof: int) -> None:
        samples, gross = self.table.samples()
        which = np.array(sorted(lines), np.int64)
        moments = self.lines.tracker(LineMoments).of(which, ddof)
        variances = self.lines.tracker(EwmaVariance, self.decay).of(which)
        for line, got, (variance, n) in zip(which.tolist(), moments, variances, strict=True):
            x = samples[line]
            assert got[2] == n == len(x)
            if not len(x):
                assert np.isnan([*got[:2], variance]).all()
                continue
            size = self.largest(line, gross)
            mean = x.mean()
            # each of some 50 additions rounds once, 1e-16 of the largest number in a sum
            assert abs(got[0] - mean) <= 1e-13 * size + 1e-320
            if len(x) <= ddof:
                assert np.isnan(got[1])
            else:
                square = ((x - mean) ** 2).sum() / (len(x) - ddof)
                # a sum of squares about zero: of the square, not of its root
                assert abs(np.longdouble(got[1]) ** 2 - square) <= 1e-13 * size * size + 1e-320
            weights = np.longdouble(self.decay) ** np.arange(len(x))[::-1]
            want = (weights * x * x).sum() / weights.sum()
            assert abs(variance - want) <= 1e-13 * size * size + 1e-320

    def largest(self, line: int, gross: np.ndarray) -> float:
        """The largest P&L that has gone through the sums of a line since they were made."""
        if line >= N:
            return float(gross[line])  # books are summed when asked
        # removed squares of more than 1e6 times what is left make the sums anew
        own = float(gross[line])
        exposure = abs(float(self.table.units[line, line]) * self.table.last[line])
        past = [float(size[line]) * exposure for size in self.sizes[-N * 3 * self.window :]]
        return max([own, *(p for p in past if p <= 1e3 * own)])

    def teardown(self) -> None:
        if hasattr(self, "table"):
            for ddof in (0, 1):
                self.ask(set(range(N + len(UNITS))), ddof)


TestTrackers = Trackers.TestCase
TestTrackers.settings = settings(
    max_examples=150 if JIT else 40, stateful_step_count=30, deadline=None
)
