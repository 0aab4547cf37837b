"""A snapshot of `Lines`: what follows a restore has the bits of what follows the original."""

from __future__ import annotations

import numpy as np
import pytest

from rtre.errors import DataError
from rtre.kernels.snapshot import take_peaks
from rtre.market import TickBatch, Universe
from rtre.sheet import Sheet
from rtre.windows.ewma import EwmaVariance
from rtre.windows.lines import EVALUATIONS, Evaluation, Lines
from rtre.windows.moments import LineMoments

SECOND = 10**9
UNIVERSE = Universe(("A", "B", "C"))
BOOKS = {"long": {"A": 1.0, "B": 2.0}, "hedged": {"A": 3.0, "C": -1.0}}


def make(evaluation: Evaluation, window: int = 120) -> Lines:
    lines = Lines(
        UNIVERSE, BOOKS, window=window, interval_ns=SECOND, confidences=(0.9, 0.95),
        evaluation=evaluation,
    )  # fmt: skip
    lines.tracker(LineMoments)
    lines.tracker(EwmaVariance, 0.94)
    return lines


def feed(lines: Lines, count: int, seed: int) -> np.ndarray:
    """Ticks over `count` intervals; all that can be seen after each interval."""
    rng = np.random.default_rng(seed)
    seen = []
    start = max(lines.open_interval, 999) + 1
    level = np.where(np.isnan(lines.last), 100.0, lines.last)
    for interval in range(start, start + count):
        assets = rng.integers(0, 3, 8)
        level = level * np.exp(1e-4 * rng.standard_t(4, 3))
        batch = TickBatch.of(assets, level[assets], interval * SECOND)
        first = 0
        while first < len(batch):
            first = lines.apply(batch, first)
            if first < len(batch):
                lines.open_row(interval)
        seen.append(look(lines))
    return np.array(seen)


def look(lines: Lines) -> np.ndarray:
    which = np.flatnonzero(lines.observations() >= 2)
    out = np.full((len(lines), 2, 5), np.nan)
    lines.tails(which, out)
    moments = np.full((len(lines), 3), np.nan)
    moments[which] = lines.tracker(LineMoments).of(which, 1)
    variance = np.full((len(lines), 2), np.nan)
    variance[which] = lines.tracker(EwmaVariance, 0.94).of(which)
    sheet = Sheet.empty(lines.n_assets, len(lines.books), 2)
    sheet.values[:] = out
    take_peaks(lines.floats, lines.ints, sheet.block, 1.0)
    shown = (out, moments, variance, sheet.peaks, lines.exposure)
    return np.concatenate([x.ravel() for x in shown])


@pytest.mark.parametrize("evaluation", EVALUATIONS)
def test_what_follows_a_restore_has_the_same_bits(evaluation: Evaluation) -> None:
    lines = make(evaluation)
    feed(lines, 150, 1)
    data = lines.snapshot()
    other = make(evaluation)
    other.restore(data)
    assert other.snapshot() == data
    np.testing.assert_array_equal(feed(lines, 60, 2), feed(other, 60, 2))
    assert lines.snapshot() == other.snapshot()


def test_a_snapshot_fits_only_what_it_was_made_with() -> None:
    data = make("every-tick").snapshot()
    with pytest.raises(DataError, match="numbers was expected"):
        make("every-tick", window=121).restore(data)
    with pytest.raises(DataError, match="numbers was expected"):
        make("per-batch").restore(data)
    named = Lines(
        Universe(("A", "B", "X")), {"long": {"A": 1.0, "B": 2.0}, "hedged": {"A": 3.0, "X": -1.0}},
        window=120, interval_ns=SECOND, confidences=(0.9, 0.95), evaluation="every-tick",
    )  # fmt: skip
    named.tracker(LineMoments)
    named.tracker(EwmaVariance, 0.94)
    with pytest.raises(DataError, match="other symbols"):
        named.restore(data)


def test_damage_is_found_and_nothing_is_taken_from_it() -> None:
    lines = make("every-tick")
    feed(lines, 20, 3)
    before = lines.snapshot()
    for at in (0, 5, 9, len(before) // 2, len(before) - 1):
        damaged = bytearray(before)
        damaged[at] ^= 1
        with pytest.raises(DataError):
            lines.restore(bytes(damaged))
    with pytest.raises(DataError):
        lines.restore(before[:-8])
    assert lines.snapshot() == before
