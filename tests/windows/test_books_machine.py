"""Books by candidates, every tick and once a batch, against a table of prices and a sort.

Three `Lines` get the same ticks: one evaluates every tick, one its batches, one looks at all rows
when asked. What they say must be the same to the bit, and what the table says within rounding.
"""

from __future__ import annotations

import math
import os

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from price_table import PriceTable, tails

from rtre.kernels import layout
from rtre.kernels.snapshot import take_peaks
from rtre.market import TickBatch, Universe
from rtre.sheet import RESULTS, Sheet
from rtre.windows.lines import EVALUATIONS, Evaluation, Lines

JIT = os.environ.get("NUMBA_DISABLE_JIT", "0") != "1"
SECOND, MIN_OBS = 10**9, 2
SYMBOLS = "ABCDEF"

moves = st.sampled_from([0.0, -0.0, 1e-15, 1e-9, -1e-9, 1e-5, -1e-4, 3e-3, -1e-2, 0.09, -0.09])
#: the jump limit itself, beyond it, and to the ends of the range of prices
jumps = st.sampled_from([1.1, 0.9, 1.15, 0.8, 1.9, 0.55, 40.0, 1e-3, 1e9, 1e-12, 1e30, 1e-30])
steps = st.sampled_from([1.002, 1.08, 1.9])
#: in turn: noise, all returns equal, rising and falling by ever more, ties, and none at all
SHAPES = ("noise", "constant", "rising", "falling", "ties", "still")
units = st.sampled_from([1.0, -1.0, 3.0, -2.5, 1e-3, -1e6])


@st.composite
def holdings(draw: st.DrawFn, n: int) -> np.ndarray:
    """One to three books: of any signs, the exact opposite of the first, empty, of denormals."""
    found: list[list[float]] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["long", "any", "any", "opposite", "empty", "tiny"]))
        row = [draw(units) if draw(st.booleans()) else 0.0 for _ in range(n)]
        if kind == "long":
            row = [abs(u) for u in row]
        elif kind == "opposite" and found:
            row = [-u for u in found[0]]
        elif kind == "empty":
            row = [0.0] * n
        elif kind == "tiny":
            row = [1e-300 * u for u in row]
        found.append(row)
    return np.array(found)


def shaped(shape: str, k: int, rng: np.random.Generator, n: int) -> np.ndarray:
    """Returns of all assets in the k-th interval of a run."""
    return {
        "noise": lambda: 1e-2 * np.clip(rng.standard_t(3, n), -9, 9),
        "constant": lambda: np.full(n, 1e-3),
        "rising": lambda: np.full(n, 1e-5 * (k + 1)),
        "falling": lambda: np.full(n, -1e-5 * (k + 1)),
        "ties": lambda: 0.01 * rng.integers(-1, 2, n),
        "still": lambda: np.zeros(n),
    }[shape]()


class Books(RuleBasedStateMachine):
    """Three engines' lines and a table."""

    @initialize(
        n=st.integers(2, 6),
        window=st.one_of(st.sampled_from([2, 3]), st.integers(60, 150 if JIT else 70)),
        confidences=st.sampled_from([(0.9, 0.97), (0.95, 0.99)]),
        limit=st.sampled_from([(0.1, 3), (0.1, 1), (1e70, 1)]),
        shape=st.sampled_from(SHAPES),
        seed=st.integers(0, 99),
        data=st.data(),
    )
    def start(
        self, n: int, window: int, confidences: tuple[float, ...], limit: tuple[float, int],
        shape: str, seed: int, data: st.DataObject,
    ) -> None:  # fmt: skip
        held = data.draw(holdings(n))
        self.n, self.confidences, self.limit = n, confidences, limit
        self.universe = Universe(tuple(SYMBOLS[:n]))
        self.books = {
            f"book {b}": dict(zip(self.universe.symbols, row, strict=True))
            for b, row in enumerate(held.tolist())
        }
        self.table = PriceTable(held, window, *limit)
        self.lines = {e: self.make(e) for e in EVALUATIONS}
        self.rng = np.random.default_rng(seed)
        self.interval = 1_000
        self.seen = [np.full((len(held) + n, 2, 2), math.nan)]
        self.reach = np.zeros(len(held) + n)
        self.begin_peaks()
        self.fill(shape, window + 3, False)
        self.taken()  # the table has not looked at every tick so far
        self.begin_peaks()
        self.watch(True)

    def make(self, evaluation: Evaluation) -> Lines:
        return Lines(
            self.universe, self.books, window=self.table.window, interval_ns=SECOND,
            jump=self.limit[0], confirm=self.limit[1], confidences=self.confidences,
            min_obs=MIN_OBS, evaluation=evaluation,
        )  # fmt: skip

    def fill(self, shape: str, count: int, watched: bool) -> None:
        """Whole intervals of a shape."""
        level = np.where(np.isnan(self.table.last), 100.0, self.table.last)
        for k in range(count):
            self.interval += 1
            level = np.clip(level * (1.0 + shaped(shape, k, self.rng, self.n)), 1e-30, 1e30)
            ticks = [(i, float(p), self.interval) for i, p in enumerate(level)]
            self.feed(ticks, watched)

    def feed(self, ticks: list[tuple[int, float, int]], watched: bool = True) -> None:
        """Give the ticks to all: one by one where every tick counts, else as a batch."""
        ticks = [(i, min(max(price, 1e-30), 1e30), k) for i, price, k in ticks]
        asset, price, interval = (list(column) for column in zip(*ticks, strict=True))
        batch = TickBatch.of(asset, price, np.array(interval) * SECOND)
        for j, tick in enumerate(ticks):
            self.step(batch[j : j + 1], *tick, watched)
        for evaluation in ("per-batch", "on-demand"):
            lines, at = self.lines[evaluation], 0
            while (at := lines.apply(batch, at)) < len(batch):
                lines.open_row(interval[at])

    def step(self, tick: TickBatch, i: int, price: float, k: int, watched: bool) -> None:
        """One tick, its VaR and ES at once."""
        lines, table = self.lines["every-tick"], self.table
        applied = int(lines.counts[layout.APPLIED])
        taken = k >= table.newest[i] and table.accepts(i, price)
        if taken and table.opens(k):
            assert lines.apply(tick, 0) == 0
            lines.open_row(k)
            table.open(k)
            self.watch(watched)
        assert lines.apply(tick, 0) == 1
        assert lines.counts[layout.APPLIED] - applied == taken
        if taken:
            if not 0.5 * table.last[i] <= price <= 2.0 * table.last[i]:
                self.reach[table.needed[:, i]] = 0.0  # such a tick has the books summed afresh
            table.take(i, price, k)
        self.watch(watched)

    def watch(self, watched: bool) -> None:
        """Compare what is kept after a tick with the table, and remember it for the peaks."""
        lines = self.lines["every-tick"]
        kept = layout.tails(lines.floats, lines.ints)[:, :, :2].copy()
        self.seen.append(kept)
        if watched:
            samples, gross = self.table.samples()
            want = tails(samples, self.confidences, MIN_OBS)[:, :, :2]
            self.reach = np.maximum(self.reach, gross)
            self.close_to(kept, want, self.rounding(gross))
            self.wanted = np.fmax(self.wanted, want)
            self.slack = np.maximum(self.slack, self.rounding(gross))

    def rounding(self, gross: np.ndarray) -> np.ndarray:
        """What running sums may be off, of each line.

        1e-9 of the gross P&L is what an audit allows, and some 80 ticks of 1e-16 each are usual. A
        price that has come down since the sums were made leaves roundings of the size it had.
        """
        return 1e-9 * gross + 1e-13 * self.reach

    def close_to(self, got: np.ndarray, want: np.ndarray, slack: np.ndarray) -> None:
        """Equal, NaN and inf included, up to the slack of each line and a few smallest numbers."""
        with np.errstate(invalid="ignore"):
            near = np.abs(got - want) <= slack[:, None, None] + 1e-321
        same = near | (got == want) | (np.isnan(got) & np.isnan(want))
        assert same.all(), (np.argwhere(~same).tolist(), got[~same], want[~same])

    def ask(self, which: np.ndarray) -> None:
        """Tails of some lines: the same bits in all three, and those of the table."""
        samples, gross = self.table.samples()
        which = np.array([line for line in which.tolist() if len(samples[line])], np.int64)
        shape = (len(samples), 2, RESULTS)
        found = []
        for lines in self.lines.values():
            assert lines.observations().tolist() == [len(sample) for sample in samples]
            out = np.full(shape, math.nan)
            lines.tails(which, out)
            found.append(out)
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
        want = tails(samples, self.confidences, 1)
        self.close_to(found[0][which, :, :4], want[which], 1e-12 * gross[which])  # fresh sums
        one = self.lines["every-tick"]
        kept = layout.tails(one.floats, one.ints)[which, :, :2]
        ripe = np.array([len(samples[line]) >= MIN_OBS for line in which], bool)
        slack = self.rounding(gross)[which[ripe]]
        self.close_to(kept[ripe], found[0][which[ripe], :, :2], slack)

    @rule(asset=st.integers(0, 5), moves=st.lists(st.one_of(moves, moves, st.floats(-0.05, 0.05))))
    def tick(self, asset: int, moves: list[float]) -> None:
        i, ticks = asset % self.n, []
        price = self.table.last[i]
        for move in moves:
            price *= 1.0 + move
            ticks.append((i, price, self.interval))
        if ticks:
            self.feed(ticks)

    @rule(size=st.sampled_from([1e-5, 1e-3, 1e-2]), count=st.integers(5, 40))
    def stir(self, size: float, count: int) -> None:
        """Small ticks of all assets: rows change places below the floor and above it."""
        price, ticks = list(self.table.last), []
        assets = self.rng.integers(0, self.n, count).tolist()
        for i, z in zip(assets, self.rng.standard_normal(count).tolist(), strict=True):
            price[i] *= 1.0 + size * min(max(z, -3.0), 3.0)
            ticks.append((i, price[i], self.interval))
        self.feed(ticks)

    @rule(asset=st.integers(0, 5), there=moves, times=st.integers(1, 3))
    def there_and_exactly_back(self, asset: int, there: float, times: int) -> None:
        i = asset % self.n
        price = self.table.last[i]
        self.feed([(i, price * (1.0 + there), self.interval), (i, price, self.interval)] * times)

    @rule(asset=st.integers(0, 5), back=st.integers(1, 40))
    def to_an_old_price(self, asset: int, back: int) -> None:
        i = asset % self.n
        past = sorted(self.table.table[i])
        self.feed([(i, self.table.table[i][past[-min(back, len(past))]][0], self.interval)])

    @rule(asset=st.integers(0, 5), factor=jumps, prints=st.integers(1, 4), here=st.booleans())
    def jump(self, asset: int, factor: float, prints: int, here: bool) -> None:
        i = asset % self.n
        price, interval = self.table.last[i] * factor, self.interval + (not here)
        self.interval = max(self.interval, interval)
        self.feed([(i, price * (1.0 + 1e-3 * k), interval) for k in range(prints)])

    @rule(asset=st.integers(0, 5), factor=steps, far=st.integers(1, 5))
    def a_far_way_up_and_down_in_small_steps(self, asset: int, factor: float, far: int) -> None:
        i, count = asset % self.n, far if factor == 1.9 else 8 * far
        up = [self.table.last[i] * factor**k for k in range(count)]
        self.feed([(i, price, self.interval) for price in [*up, *reversed(up)]])

    @rule(asset=st.integers(0, 5), move=moves, ago=st.integers(0, 4))
    def late(self, asset: int, move: float, ago: int) -> None:
        """Into the newest interval of an asset that is behind, between, or too late: refused."""
        i = asset % self.n
        interval = min(self.interval, max(self.table.newest[i] + 1 - ago, 1))
        self.feed([(i, self.table.last[i] * (1.0 + move), interval)])

    @rule(silent=st.sets(st.integers(0, 5)), move=moves, gap=st.sampled_from([1, 1, 1, 2, 5]))
    def close(self, silent: set[int], move: float, gap: int) -> None:
        """Open an interval in which some trade; with a gap, none of the returns is one of it."""
        self.interval += gap
        loud = [i for i in range(self.n) if i not in silent]
        if loud:
            last, k = self.table.last, self.interval
            self.feed([(i, last[i] * (1.0 + move * (-1) ** i), k) for i in loud])

    @rule(shape=st.sampled_from(SHAPES), count=st.integers(1, 12))
    def run_of_intervals(self, shape: str, count: int) -> None:
        self.fill(shape, count, True)

    @rule(assets=st.sets(st.integers(0, 5), min_size=1))
    def lose_data(self, assets: set[int]) -> None:
        for i in {asset % self.n for asset in assets}:
            self.table.losses[i] += 1
            for lines in self.lines.values():
                lines.break_chain(i)

    @rule(some=st.sets(st.integers(0, 8), min_size=1))
    def ask_for_some(self, some: set[int]) -> None:
        self.ask(np.array(sorted({line % len(self.table.units) for line in some}), np.int64))

    @rule()
    def take_peaks(self) -> None:
        out = self.taken()
        np.testing.assert_array_equal(out, np.fmax.reduce(self.seen))
        self.close_to(out, self.wanted, self.slack)
        self.begin_peaks()

    def taken(self) -> np.ndarray:
        lines = self.lines["every-tick"]
        sheet = Sheet.empty(lines.n_assets, len(lines.books), 2)
        take_peaks(lines.floats, lines.ints, sheet.block, 1.0)
        return sheet.peaks

    def begin_peaks(self) -> None:
        self.seen = [self.seen[-1]]
        self.wanted = self.seen[0].astype(np.longdouble)
        self.slack = np.zeros(len(self.wanted))

    @rule()
    def save_and_restore(self) -> None:
        for evaluation, lines in self.lines.items():
            data = lines.snapshot()
            self.lines[evaluation] = other = self.make(evaluation)
            other.restore(data)
            assert other.snapshot() == data

    @rule()
    def audit(self) -> None:
        """Have books compared with fresh sums, which raises where they differ.

        A tick at the price that an asset has anyway does it, in a book with enough observations.
        """
        table, lines = self.table, self.lines["every-tick"]
        whole = [i for i in range(self.n) if table.table[i][table.newest[i]][1] == table.losses[i]]
        due = table.needed[self.n :, whole].any(axis=1) & (lines.complete >= MIN_OBS)
        layout.watch(lines.ints)[due, layout.W_SINCE] = 10**9
        ticks = [(i, table.last[i], table.newest[i]) for i in whole]
        if ticks:
            self.feed(ticks)

    def teardown(self) -> None:
        if hasattr(self, "table"):
            self.ask(np.arange(len(self.table.units)))


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=80 if JIT else 8, stateful_step_count=30, deadline=None)


def test_an_audit_that_falls_due_below_min_obs_is_no_drift() -> None:
    lines = Lines(
        Universe(("A",)), {"book": {"A": 1.0}}, window=4, interval_ns=SECOND, confidences=(0.95,),
        min_obs=4, evaluation="every-tick",
    )  # fmt: skip
    for k in range(1_000, 1_010):
        lines.open_row(k)
        lines.apply(TickBatch.of(0, 100.0 + k % 3, k * SECOND), 0)
    assert lines.complete[0] == 4
    layout.watch(lines.ints)[:, layout.W_SINCE] = 10**9  # as after so many ticks
    lines.open_row(1_010)  # three observations are left, and the audit is put off
    lines.apply(TickBatch.of(0, [100.5, 100.6], 1_010 * SECOND), 0)


def test_a_long_climb_in_small_steps_and_the_way_back_leave_no_rounding_behind() -> None:
    lines = Lines(
        Universe(("A", "B")), {"book": {"A": 1.0, "B": -1.0}}, window=20, interval_ns=SECOND,
        confidences=(0.95,), min_obs=4, evaluation="every-tick",
    )  # fmt: skip
    rng = np.random.default_rng(3)
    for k in range(1_000, 1_022):
        lines.open_row(k)
        lines.apply(
            TickBatch.of([0, 1], 100.0 * (1 + 0.01 * rng.standard_normal(2)), k * SECOND), 0
        )
    climb = 100.0 * np.cumprod(np.full(378, 1.05))
    for price in [*climb, *climb[::-1]]:
        start = 0
        batch = TickBatch.of(0, price, k * SECOND)
        while start < 1:
            start = lines.apply(batch, start)
    shown = np.empty((3, 1, 5))
    lines.tails(np.arange(3), shown)
    kept = layout.tails(lines.floats, lines.ints)[2, 0, :2]
    np.testing.assert_allclose(kept, shown[2, 0, :2], rtol=1e-11)
