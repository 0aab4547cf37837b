"""A million ticks of recorded trading through codec and engine, the book checked by recomputing it.

The recordings lie in a folder `shared/data/captures` beside the checkout; where it is absent the
test is skipped. They hold 5 min 45 s of two spot streams of 8 Aug 2024, which are read in the order
of receipt. That is 15,863 trades (the codec passes over the quotes and the order books), so the
capture is repeated, each time at later times, until a million ticks have been applied.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator

import numpy as np
import pytest
from oracle_support import DATA

from rtre.config import RiskConfig
from rtre.engine import RiskEngine
from rtre.kernels import layout
from rtre.market import TickBatch, TickBuffer, Universe
from rtre.venues.binance import Binance
from rtre.venues.frames import Frames

SECOND = 10**9
TICKS, CHECK_EVERY = 1_000_000, 1000
WINDOW, CONFIDENCES = 500, (0.95, 0.99)
UNITS = {"BTCUSDT": 0.75, "ETHUSDT": -14.0}
FILES = [DATA / "captures" / f"binance_spot_{s.lower()}_20240808.gz" for s in UNITS]
FRAMES_A_READ = 64


def recorded() -> TickBatch:
    """The ticks of the capture, out of the codec, in the order of receipt."""
    lines = [
        line.split(b" ", 1) for f in FILES for line in gzip.decompress(f.read_bytes()).splitlines()
    ]
    lines.sort(key=lambda line: int(line[0]))
    venue, out = Binance(Universe(UNITS)), TickBuffer()
    for j in range(0, len(lines), FRAMES_A_READ):
        read = lines[j : j + FRAMES_A_READ]
        notices = venue.decode(Frames.of([payload for _, payload in read]), int(read[-1][0]), out)
        assert notices == []
    assert (venue.counts.rejected, venue.counts.missing, venue.counts.duplicate) == (0, 0, 0)
    return out.take()


def repeated(capture: TickBatch) -> Iterator[TickBatch]:
    """The capture again and again; each begins in the second after the last one's end."""
    span = int(capture.ts_event_ns.max()) // SECOND - int(capture.ts_event_ns.min()) // SECOND + 1
    for lap in range(math.ceil(TICKS / len(capture))):
        shift = lap * span * SECOND
        yield TickBatch.of(
            capture.asset,
            capture.price,
            capture.ts_event_ns + shift,
            size=capture.size,
            ts_init_ns=capture.ts_init_ns + shift,
        )


def pieces(capture: TickBatch) -> Iterator[TickBatch]:
    """A million of these ticks, cut where the book is to be checked."""
    done = 0
    for lap in repeated(capture):
        start = 0
        while start < len(lap) and done < TICKS:
            stop = min(len(lap), start + CHECK_EVERY - done % CHECK_EVERY)
            yield lap[start:stop]
            done += stop - start
            start = stop


class Twin:
    """The last price of each asset in each second, and the seconds that have a row of the grid."""

    def __init__(self) -> None:
        self.closes: tuple[dict[int, float], ...] = ({}, {})
        self.last = [math.nan, math.nan]
        self.rows: list[int] = []

    def feed(self, batch: TickBatch) -> None:
        seconds = (batch.ts_event_ns // SECOND).tolist()
        for i, price, second in zip(
            batch.asset.tolist(), batch.price.tolist(), seconds, strict=True
        ):
            self.closes[i][second] = self.last[i] = price
            if not self.rows or second > self.rows[-1]:
                self.rows.append(second)

    def pnl(self) -> np.ndarray:
        """P&L of the book in each second of the window for which both assets have a return."""
        rows = np.array(self.rows[-WINDOW:])
        total = np.zeros(len(rows))
        for closes, last, units in zip(self.closes, self.last, UNITS.values(), strict=True):
            now = np.array([closes.get(s, math.nan) for s in rows])
            before = np.array([closes.get(s - 1, math.nan) for s in rows])
            total += units * last * (now / before - 1.0)
        return total[~np.isnan(total)]


def tail(pnl: np.ndarray, confidence: float) -> tuple[float, float]:
    """VaR and ES from all of a sample: L(k), and the mean of the worst m of n losses."""
    m = round(len(pnl) * (1.0 - confidence), 9)
    k = math.ceil(m)
    losses = np.sort(-pnl)[::-1]
    return losses[k - 1], (losses[: k - 1].sum() + (m - k + 1) * losses[k - 1]) / m


@pytest.mark.skipif(not all(f.exists() for f in FILES), reason="no recorded streams beside this")
def test_a_million_recorded_ticks_leave_the_book_what_a_recompute_says() -> None:
    config = RiskConfig(
        confidence=CONFIDENCES, window=WINDOW, min_obs=60, horizon="1s", evaluation="every-tick"
    )
    engine, twin = RiskEngine(Universe(UNITS), {"book": UNITS}, config), Twin()
    kept = layout.tails(engine.lines.floats, engine.lines.ints)[2]
    done, checks, worst = 0, 0, 0.0
    for piece in pieces(recorded()):
        engine.update(piece)
        twin.feed(piece)
        done += len(piece)
        pnl = twin.pnl()
        if done % CHECK_EVERY or len(pnl) < config.min_obs:
            continue
        checks += 1
        assert engine.lines.complete[0] == len(pnl)
        report = engine.report(int(piece.ts_init_ns[-1]))
        for c, estimate in enumerate(report["book"].estimates):
            wanted = tail(pnl, CONFIDENCES[c])
            for var, es in ((kept[c, 0], kept[c, 1]), (estimate.var, estimate.es)):
                worst = max(worst, abs(var / wanted[0] - 1.0), abs(es / wanted[1] - 1.0))
    assert engine.counts().applied == done == TICKS
    assert checks > 990  # all but those of the first minute
    assert worst < 1e-9  # measured: 2.5e-14, rounding of sums; 1e-9 is what an audit allows
